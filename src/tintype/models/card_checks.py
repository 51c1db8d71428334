"""Values of a card's tables, checked; every complaint names the card and the key."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tintype.errors import CardError


class Checks:
    """Takes values of the card ``path`` out of its tables. Every method raises CardError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fail(self, what: str) -> CardError:
        """The complaint, with the card in front."""
        return CardError(f"{self._path}: {what}", hint="docs/reference/card.md lists the keys")

    def only(self, table: Mapping[str, Any], known: set[str], *, where: str) -> None:
        """Complain about a key that is not ``known``; ``where`` stands before it."""
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                also = f"; did you mean {near[0]!r}?" if near else ""
                raise self.fail(f"unknown key {where + key!r}{also}")

    def text(self, table: Mapping[str, Any], key: str) -> str | None:
        """A text, None where there is none."""
        value = table.get(key)
        if value is not None and not isinstance(value, str):
            raise self.fail(f"{key!r} must be a text, not {value!r}")
        return value

    def flag(self, table: Mapping[str, Any], key: str) -> bool:
        """True or false; false where it is not there."""
        value = table.get(key, False)
        if not isinstance(value, bool):
            raise self.fail(f"{key!r} must be true or false, not {value!r}")
        return value

    def number(
        self,
        table: Mapping[str, Any],
        key: str,
        *,
        low: float,
        high: float = 1e9,
        whole: bool = False,
    ) -> Any:
        """A number from ``low`` to ``high``, None where there is none."""
        value = table.get(key)
        if value is None:
            return None
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            raise self.fail(f"{key!r} must be {kind} from {low} to {high:g}, not {value!r}")
        return value

    def texts(self, table: dict[str, Any], key: str) -> tuple[str, ...]:
        """A list of texts."""
        texts = table.get(key, [])
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise self.fail(f"{key!r} must be a list of texts")
        return tuple(texts)

    def table(self, table: dict[str, Any], key: str) -> dict[str, Any]:
        """A table, empty where there is none."""
        value = table.get(key, {})
        if not isinstance(value, dict):
            raise self.fail(f"{key!r} must be a table")
        return value
