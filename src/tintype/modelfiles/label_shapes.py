"""The shapes of labels files. Pure: bytes in, labels out, label i for class i.

Sources of the shapes: Teachable Machine (``0 cat``), TF-Slim (``0:cat``), Caffe
(``n01440764 tench``), keras.applications (imagenet_class_index.json), Keras ``class_indices``
(name to number), the TF Object Detection API (StringIntLabelMap in text form), Ultralytics
(``names:`` in YAML, or a Python dict in ONNX metadata), Hugging Face (``id2label``).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from tintype.errors import LabelsError

MAX_LABELS = 100_000
MAX_LABEL_LENGTH = 1000
_MOST_NUMBER = 999_999

_NUMBERED = re.compile(r"(\d{1,6})(?:\s*[:;,=|\t]\s*|\s+-\s+|\s+)(\S.*)")
_SYNSET = re.compile(r"n\d{8}\s+(\S.*)")
_ITEM = re.compile(r"\bitem\s*:?\s*\{((?:[^{}]|\{[^{}]*\})*)\}")  # keypoints nest once
_TEXT = r"\"((?:[^\"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)'"
_ITEM_ID = re.compile(r"\bid\s*:\s*(\d{1,6})\b")
_ITEM_NAME = re.compile(rf"\bname\s*:\s*(?:{_TEXT})")
_ITEM_DISPLAY = re.compile(rf"\bdisplay_name\s*:\s*(?:{_TEXT})")
_PAIR = re.compile(rf"\s*(?:(\d{{1,6}})|{_TEXT})\s*:\s*(?:(\d{{1,6}})|{_TEXT})\s*(?:,|$)")
_ENTRY = re.compile(rf"\s*(?:{_TEXT})\s*(?:,|$)")
_YAML_HEAD = re.compile(r"^(?:names|labels|classes|class_names)\s*:[ \t]*(\S.*)?$", re.MULTILINE)
_YAML_ITEM = re.compile(r"\s*(?:-\s+|(\d{1,6})\s*:\s+)(\S.*)")
_NESTED_KEYS = ("labels", "class_names", "classes", "names", "id2label", "categories", "label")
_NAME_KEYS = ("display_name", "name", "label", "class_name", "class", "title", "text")
_NUMBER_KEYS = ("id", "index", "class_id", "label_id", "idx", "number", "category_id", "value")
_NAME_COLUMNS = (
    "display_name", "class_name", "classname", "label_name", "name", "label", "labels", "class",
    "classes", "category", "names",
)  # fmt: skip
_NUMBER_COLUMNS = (
    "index", "idx", "id", "class_id", "classid", "label_id", "class_index", "number", "class",
    "label", "mid_index",
)  # fmt: skip


def parse_labels(data: bytes) -> tuple[str, ...]:
    """Read labels from the bytes of a file. Raises LabelsError when no shape fits."""
    text = _decode(data)
    if not text.strip():
        raise LabelsError("the labels file is empty, expected a label a line")
    labels = _by_shape(text)
    if not labels:
        raise LabelsError("the labels file holds no label, expected a label a line")
    if len(labels) > MAX_LABELS:
        raise LabelsError(
            f"the labels file holds {len(labels):,} labels, expected at most {MAX_LABELS:,}"
        )
    for number, label in enumerate(labels):
        if len(label) > MAX_LABEL_LENGTH:
            raise LabelsError(
                f"label {number} has {len(label):,} characters, expected at most "
                f"{MAX_LABEL_LENGTH:,}: is this a labels file?"
            )
    return labels


def parse_property(text: str) -> tuple[str, ...] | None:
    """Read labels from a text property of a model file; None when it holds none.

    JSON, a Python dict or list, one label a line, or one line with commas between.
    """
    try:
        names = parse_python_names(text)
        if names is None and text.strip().startswith("["):
            names = _inline_list(text.strip())
        if names is None and "\n" not in text.strip() and text.strip()[:1] not in ("{", "["):
            names = tuple(part.strip() for part in text.split(",") if part.strip())
        return names or parse_labels(text.encode("utf-8", "replace"))
    except LabelsError:
        return None


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
    return _either_way_round(pairs)


def _by_shape(text: str) -> tuple[str, ...]:
    start = text.lstrip()
    if start[0] in "[{":
        return _from_json(text)
    if _ITEM.search(text):
        return _from_label_map(text)
    head = _YAML_HEAD.search(text)
    if head is not None:
        return _from_yaml(text, head)
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return _from_table(lines) or _in_one_line(lines) or _from_lines(lines)


def _in_one_line(lines: list[str]) -> tuple[str, ...] | None:
    """Read ``cat, dog, owl``: a file of one line, with no number and no WordNet id before it."""
    if len(lines) != 1 or _NUMBERED.fullmatch(lines[0]) or _SYNSET.fullmatch(lines[0]):
        return None
    cells = [cell.strip() for cell in _rows(lines, ",")[0]]
    return tuple(cells) if len(cells) > 1 and all(cells) else None


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace").lstrip("\ufeff")
    if b"\0" in data:
        raise LabelsError(
            "the labels file is not text, expected a label a line",
            hint="give the labels, not the model: --labels labels.txt",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _from_lines(lines: list[str]) -> tuple[str, ...]:
    filled = [line for line in lines if line]
    numbered = [_NUMBERED.fullmatch(line) for line in filled]
    pairs = [(int(match[1]), match[2].strip()) for match in numbered if match]
    if len(pairs) == len(filled) and _counts_up(pairs):
        return _in_order(pairs)
    synsets = [_SYNSET.fullmatch(line) for line in filled]
    named = [match[1].strip() for match in synsets if match]
    if len(named) == len(filled):
        return tuple(named)
    # A blank line in the middle is a class without a name; its number must not be lost.
    return tuple(line or f"class {number}" for number, line in enumerate(lines))


def _counts_up(pairs: list[tuple[int, str]]) -> bool:
    """Tell class numbers from names that begin with a number (``1 euro``, ``2 euro``)."""
    numbers = [number for number, _ in pairs]
    rising = all(a < b for a, b in pairwise(numbers))
    dense = numbers[-1] - numbers[0] < 2 * len(numbers) + 8
    if not rising or not dense:
        return False
    different = len({name for _, name in pairs}) == len(pairs)
    return numbers[0] == 0 or (numbers[0] == 1 and different)


def _in_order(pairs: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    """Lay labels out by number, gaps filled; lists that count from 1 begin with their 1."""
    by_number: dict[int, str] = {}
    for number, name in pairs:
        if not 0 <= number <= _MOST_NUMBER:
            raise LabelsError(
                f"class number {number} is out of range, expected 0 to {_MOST_NUMBER}"
            )
        if by_number.setdefault(number, name) != name:
            raise LabelsError(
                f"class {number} has two labels, {by_number[number]!r} and {name!r}; expected one"
            )
    if not by_number:
        raise LabelsError("the labels file holds no label, expected a name for each class")
    first, last = (0 if 0 in by_number else 1), max(by_number)
    if last >= 4 * len(by_number) + 1000:
        raise LabelsError(
            f"{len(by_number)} labels are numbered up to {last}: these are no class numbers",
            hint="number the classes from 0, or give a label a line in the model's order",
        )
    return tuple(by_number.get(number, f"class {number}") for number in range(first, last + 1))


def _from_json(text: str) -> tuple[str, ...]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if (names := parse_python_names(text) or _python_list(text)) is not None:
            return names
        # Plain lines may begin with a bracket too: `[background]`.
        lines = [line.strip() for line in text.strip().splitlines()]
        if len(lines) > 1 and all(len(line) <= 200 for line in lines) and '"' not in text:
            return _from_lines(lines)
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
        if (labels := _either_way_round(pairs)) is not None:
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
        return _in_order(list(zip(known, labels, strict=True)))
    return labels


def _name_in(entry: object) -> str | None:
    """Read one JSON entry: a text, a number, ``["n01440764", "tench"]``, ``{"name": ...}``."""
    if isinstance(entry, str):
        return entry.strip()
    if isinstance(entry, bool | float):
        return None
    if isinstance(entry, int):
        return str(entry) if abs(entry) <= _MOST_NUMBER else None
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


def _either_way_round(pairs: Sequence[tuple[str, str | None]]) -> tuple[str, ...] | None:
    """Read number-to-name or name-to-number; None when it is neither."""
    known = [(key, name) for key, name in pairs if name is not None]
    if not known or len(known) < len(pairs):
        return None
    # Both sides numbers ({"0": "7"}): the key is the class.
    if all(_is_number(key) for key, _ in known):
        return _in_order([(int(key), name) for key, name in known])
    if all(_is_number(name) for _, name in known):
        return _in_order([(int(name), key.strip()) for key, name in known])
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 6


def _from_label_map(text: str) -> tuple[str, ...]:
    plain = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    pairs: list[tuple[int, str]] = []
    for match in _ITEM.finditer(plain):
        number = _ITEM_ID.search(match[1])
        name = _ITEM_DISPLAY.search(match[1]) or _ITEM_NAME.search(match[1])
        if number is None or name is None:
            line = plain.count("\n", 0, match.start()) + 1
            raise LabelsError(
                f"the item in line {line} of the label map has no id or no name, expected "
                "item { id: 1 name: 'cat' }"
            )
        pairs.append((int(number[1]), _unquote(name[1], name[2])))
    return _in_order(pairs)


def _from_yaml(text: str, head: re.Match[str]) -> tuple[str, ...]:
    """Read ``names:`` of a data.yaml: a list in one line, or one entry a line."""
    if head[1]:
        inline = head[1].split(" #")[0].strip()
        if inline.startswith("{"):
            return parse_python_names(inline) or _bad_yaml(1)
        if not (inline.startswith("[") and inline.endswith("]")):
            return _from_lines([line.strip() for line in text.strip().splitlines()])
        return _inline_list(inline)
    pairs: list[tuple[int, str]] = []
    for line in text[head.end() :].splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _YAML_ITEM.fullmatch(line)
        if match is None:
            break
        number = int(match[1]) if match[1] else len(pairs)
        pairs.append((number, match[2].strip().strip("'\"")))
    return _in_order(pairs) if pairs else _bad_yaml(text.count("\n", 0, head.start()) + 1)


def _inline_list(text: str) -> tuple[str, ...]:
    """Read ``[cat, 'dog']`` of YAML, Python or JSON."""
    inner = text.removeprefix("[").removesuffix("]").replace("\n", " ")
    row = _rows([inner], ",", _quote_of(inner))[0] if inner.strip() else []
    return tuple(cell.strip().strip("'\"") for cell in row if cell.strip())


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


def _bad_yaml(line: int) -> tuple[str, ...]:
    raise LabelsError(f"no labels follow `names:` in line {line}, expected `- cat` or `0: cat`")


def _quote_of(text: str) -> str:
    return "'" if "'" in text and '"' not in text else '"'


def _from_table(lines: list[str]) -> tuple[str, ...] | None:
    """Read CSV with a header that names a column of labels; None when there is no such header."""
    if len(lines) < 2:
        return None
    separator = max(",;\t", key=lines[0].count)
    header = [cell.strip().strip("\"'").lower() for cell in lines[0].split(separator)]
    names = [header.index(name) for name in _NAME_COLUMNS if name in header]
    if not names:
        return None
    rows = [row for row in _rows(lines[1:], separator) if any(cell.strip() for cell in row)]
    numbered = [header.index(name) for name in _NUMBER_COLUMNS if name in header]
    number_column = next((at for at in numbered if _all_numbers(rows, at)), None)
    name_column = next((at for at in names if at != number_column), names[0])
    labels = [row[name_column].strip() if name_column < len(row) else "" for row in rows]
    if number_column is not None and number_column != name_column:
        numbers = [int(row[number_column]) for row in rows]
        return _in_order(list(zip(numbers, labels, strict=True)))
    if len(header) > 1 and len(set(labels)) < len(labels):
        raise LabelsError(
            f"column {header[name_column]!r} repeats its values: this is a list of pictures and "
            "their labels, not of classes",
            hint="expected one row a class",
        )
    return tuple(label or f"class {number}" for number, label in enumerate(labels))


def _rows(lines: list[str], separator: str, quote: str = '"') -> list[list[str]]:
    try:
        rows = csv.reader(lines, delimiter=separator, quotechar=quote, skipinitialspace=True)
        return list(rows)
    except csv.Error as error:
        raise LabelsError(f"the CSV cannot be read: {error}") from error


def _all_numbers(rows: list[list[str]], at: int) -> bool:
    return bool(rows) and all(at < len(row) and _is_number(row[at].strip()) for row in rows)


def _unquote(double: str | None, single: str | None) -> str:
    r"""Undo the escapes of Python and protobuf text: ``\'``, ``\\``, ``\xe9``, ``\u00e9``."""
    text = double if double is not None else single or ""
    replace: Callable[[re.Match[str]], str] = lambda match: (  # noqa: E731  # reads best in place
        chr(int(match[1] or match[2], 16)) if match[1] or match[2] else match[3]
    )
    return re.sub(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", replace, text).strip()
