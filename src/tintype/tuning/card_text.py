"""The table ``[tuned]`` written into the text of a card; every other word of it stays. Pure."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

from tintype.errors import CardError

TABLE: Final = "tuned"
REMARK: Final = "# Written by `tintype tune`, which writes this table anew."
_HEADER: Final = re.compile(r"\s*\[+\s*([^\]]+?)\s*\]+\s*(#.*)?$")
_KEY: Final = re.compile(r"\s*[\w-]+\s*=")


def toml_of(tables: Mapping[str, Mapping[str, object]]) -> str:
    """Tables as TOML, one line a key. Values are texts, numbers, truths and lists of these."""
    lines: list[str] = []
    for name, table in tables.items():
        lines += ["", f"[{name}]"] if name else []
        lines += [f"{key} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines).lstrip("\n") + "\n"


def with_tuned(text: str, table: Mapping[str, object]) -> str:
    """The card's text with ``[tuned]`` replaced, or put at its end.

    Line ends stay what they are. Raises CardError where the table is written in a way that cannot
    be replaced without touching the rest (as an inline table, say).
    """
    end = "\r\n" if "\r\n" in text else "\n"
    kept = _without(text.replace("\r\n", "\n"))
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    inner = {f"{TABLE}.{key}": value for key, value in table.items() if isinstance(value, Mapping)}
    block = f"{REMARK}\n{toml_of({TABLE: plain, **inner})}"
    written = f"{kept.rstrip()}\n\n{block}".lstrip("\n")
    if not _only_tuned_differs(text, written, table):
        raise CardError(
            f"the table [{TABLE}] of the card cannot be replaced without touching the rest of it",
            hint=f"take the old [{TABLE}] out by hand, then tune again",
        )
    return written.replace("\n", end)


def _without(text: str) -> str:
    """The text without the headers and keys of the table; what a person noted in it stays."""
    kept: list[str] = []
    inside = False
    for line in text.split("\n"):
        header = _HEADER.match(line)
        if header is not None:
            name = header[1].replace(" ", "")
            inside = name == TABLE or name.startswith(f"{TABLE}.")
            if inside:
                continue
        if line.strip() == REMARK or (inside and _KEY.match(line)):
            continue
        kept.append(line)
    return "\n".join(kept)


def _only_tuned_differs(before: str, after: str, table: Mapping[str, object]) -> bool:
    try:
        old, new = tomllib.loads(before.lstrip("\ufeff")), tomllib.loads(after.lstrip("\ufeff"))
    except tomllib.TOMLDecodeError:
        return False
    old.pop(TABLE, None)
    return bool(new.pop(TABLE, None) == _plain(table) and new == old)


def _plain(value: object) -> Any:
    """Tuples as the lists that TOML gives back."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, tuple | list) else value


def _value(value: object) -> str:
    """A value as TOML; its texts, lists, truths and numbers are written as JSON's."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{json.dumps(key)} = {_value(one)}" for key, one in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(_value(one) for one in value)}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
