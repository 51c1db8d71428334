"""Labels in a notation: JSON, Python's own, YAML, and label maps of the Object Detection API."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from tintype.errors import LabelsError
from tintype.modelfiles.label_order import MAX_LABELS, MOST_NUMBER, either_way_round, in_order
from tintype.modelfiles.label_texts import from_lines, rows_of

_TEXT = r"\"((?:[^\"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)'"
LABEL_MAP_ITEM = re.compile(r"\bitem\s*:?\s*\{((?:[^{}]|\{[^{}]*\})*)\}")  # keypoints nest once
_ITEM_ID = re.compile(r"\bid\s*:\s*(\d{1,6})\b")
_ITEM_NAME = re.compile(rf"\bname\s*:\s*(?:{_TEXT})")
_ITEM_DISPLAY = re.compile(rf"\bdisplay_name\s*:\s*(?:{_TEXT})")
_PAIR = re.compile(rf"\s*(?:(\d{{1,6}})|{_TEXT})\s*:\s*(?:(\d{{1,6}})|{_TEXT})\s*(?:,|$)")
_ENTRY = re.compile(rf"\s*(?:{_TEXT})\s*(?:,|$)")
YAML_HEAD = re.compile(r"^(?:names|labels|classes|class_names)\s*:[ \t]*(\S.*)?$", re.MULTILINE)
_YAML_ITEM = re.compile(r"\s*(?:-\s+|(\d{1,6})\s*:\s+)(\S.*)")
_NESTED_KEYS = ("labels", "class_names", "classes", "names", "id2label", "categories", "label")
_NAME_KEYS = ("display_name", "name", "label", "class_name", "class", "title", "text")
_NUMBER_KEYS = ("id", "index", "class_id", "label_id", "idx", "number", "category_id", "value")


def from_json(text: str) -> tuple[str, ...]:
    """Read a list, or an object of names and numbers. Raises LabelsError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if (names := parse_python_names(text) or _python_list(text)) is not None:
            return names
        # Plain lines may begin with a bracket too: `[background]`.
        lines = [line.strip() for line in text.strip().splitlines()]
        if len(lines) > 1 and all(len(line) <= 200 for line in lines) and '"' not in text:
            return from_lines(lines)
        line = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise LabelsError(
            f"the labels look like JSON, but cannot be read{line}",
            hint='expected ["cat", "dog"] or {"0": "cat", "1": "dog"}',
        ) from None
    return _from_value(value, depth=0)


def _from_value(value: object, *, depth: int) -> tuple[str, ...]:
    if isinstance(value, list):
        return _from_list(value)
    if isinstance(value, dict):
        pairs = [(str(key), _name_in(entry)) for key, entry in value.items()]
        if (labels := either_way_round(pairs)) is not None:
            return labels
        for key in _NESTED_KEYS:
            if depth < 2 and isinstance(value.get(key), list | dict):
                return _from_value(value[key], depth=depth + 1)
    raise LabelsError(
        "the JSON holds no labels",
        hint='expected ["cat", "dog"], {"0": "cat", "1": "dog"} or {"cat": 0, "dog": 1}',
    )


def _from_list(entries: list[object]) -> tuple[str, ...]:
    names = [_name_in(entry) for entry in entries]
    if any(name is None for name in names):
        raise LabelsError(
            f"entry {names.index(None)} of the JSON list is no label, expected a text"
        )
    labels = tuple(str(name) for name in names)
    numbers = [_number_in(entry) for entry in entries]
    known = [number for number in numbers if number is not None]
    if known and len(known) == len(entries):
        return in_order(list(zip(known, labels, strict=True)))
    return labels


def _name_in(entry: object) -> str | None:
    """Read one JSON entry: a text, a number, ``["n01440764", "tench"]``, ``{"name": ...}``."""
    if isinstance(entry, str):
        return entry.strip()
    if isinstance(entry, bool | float):
        return None
    if isinstance(entry, int):
        return str(entry) if abs(entry) <= MOST_NUMBER else None
    if isinstance(entry, list) and entry and all(isinstance(part, str) for part in entry):
        return str(entry[-1]).strip()
    if isinstance(entry, dict):
        found = [entry[key] for key in _NAME_KEYS if isinstance(entry.get(key), str)]
        return str(found[0]).strip() if found else None
    return None


def _number_in(entry: object) -> int | None:
    if not isinstance(entry, dict):
        return None
    found = [entry[key] for key in _NUMBER_KEYS if type(entry.get(key)) is int]
    return found[0] if found else None


def parse_python_names(text: str) -> tuple[str, ...] | None:
    """Read ``{0: 'cat', 1: 'dog'}`` or ``{'cat': 0}``, as Python prints a dict; else None."""
    body = text.strip()
    if not (body.startswith("{") and body.endswith("}")):
        return None
    pairs: list[tuple[str, str]] = []
    rest = body[1:-1].strip()
    place = 0
    while place < len(rest):
        match = _PAIR.match(rest, place)
        if match is None or len(pairs) > MAX_LABELS:
            return None
        key = match[1] if match[1] is not None else _unquote(match[2], match[3])
        value = match[4] if match[4] is not None else _unquote(match[5], match[6])
        pairs.append((key, value))
        place = match.end()
    return either_way_round(pairs)


def _python_list(text: str) -> tuple[str, ...] | None:
    """Read ``['cat', 'dog']``, as Python prints a list of texts; else None."""
    body = text.strip().removesuffix(",")
    if not (body.startswith("[") and body.endswith("]")):
        return None
    names: list[str] = []
    rest, place = body[1:-1].strip(), 0
    while place < len(rest):
        match = _ENTRY.match(rest, place)
        if match is None or len(names) > MAX_LABELS:
            return None
        names.append(_unquote(match[1], match[2]).strip())
        place = match.end()
    return tuple(names) or None


def inline_list(text: str) -> tuple[str, ...]:
    """Read ``[cat, 'dog']`` of YAML, Python or JSON."""
    inner = text.removeprefix("[").removesuffix("]").replace("\n", " ")
    row = rows_of([inner], ",", _quote_of(inner))[0] if inner.strip() else []
    return tuple(cell.strip().strip("'\"") for cell in row if cell.strip())


def _quote_of(text: str) -> str:
    return "'" if "'" in text and '"' not in text else '"'


def from_yaml(text: str, head: re.Match[str]) -> tuple[str, ...]:
    """Read ``names:`` of a data.yaml: a list in one line, or one entry a line."""
    if head[1]:
        inline = head[1].split(" #")[0].strip()
        if inline.startswith("{"):
            return parse_python_names(inline) or _bad_yaml(1)
        if not (inline.startswith("[") and inline.endswith("]")):
            return from_lines([line.strip() for line in text.strip().splitlines()])
        return inline_list(inline)
    pairs: list[tuple[int, str]] = []
    for line in text[head.end() :].splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _YAML_ITEM.fullmatch(line)
        if match is None:
            break
        number = int(match[1]) if match[1] else len(pairs)
        pairs.append((number, match[2].strip().strip("'\"")))
    return in_order(pairs) if pairs else _bad_yaml(text.count("\n", 0, head.start()) + 1)


def _bad_yaml(line: int) -> tuple[str, ...]:
    raise LabelsError(f"no labels follow `names:` in line {line}, expected `- cat` or `0: cat`")


def from_label_map(text: str) -> tuple[str, ...]:
    """Read ``item { id: 1 name: 'cat' }``, over and over. Raises LabelsError."""
    plain = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    pairs: list[tuple[int, str]] = []
    for match in LABEL_MAP_ITEM.finditer(plain):
        number = _ITEM_ID.search(match[1])
        name = _ITEM_DISPLAY.search(match[1]) or _ITEM_NAME.search(match[1])
        if number is None or name is None:
            line = plain.count("\n", 0, match.start()) + 1
            raise LabelsError(
                f"the item in line {line} of the label map has no id or no name, expected "
                "item { id: 1 name: 'cat' }"
            )
        pairs.append((int(number[1]), _unquote(name[1], name[2])))
    return in_order(pairs)


def _unquote(double: str | None, single: str | None) -> str:
    r"""Undo the escapes of Python and protobuf text: ``\'``, ``\\``, ``\xe9``, ``\u00e9``."""
    text = double if double is not None else single or ""
    replace: Callable[[re.Match[str]], str] = lambda match: (  # noqa: E731  # reads best in place
        chr(int(match[1] or match[2], 16)) if match[1] or match[2] else match[3]
    )
    return re.sub(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", replace, text).strip()
