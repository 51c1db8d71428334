"""The model card: what ``model.toml`` beside a model file says about it.

A bare model file needs none; ``bare_card`` makes the card it would have had.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tintype.errors import CardError
from tintype.modelfiles.description import ReadOptions
from tintype.types import Task, name_text

CARD_NAME = "model.toml"
_MAX_CARD_BYTES = 1 << 20
_GENERIC_STEMS = frozenset(
    {"model", "model.weights", "saved_model", "graph", "frozen_graph", "weights"}
)
"""File names that say nothing: the folder's name says more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSize:
    """The size of picture to feed where the file takes any, in pixels."""

    height: int
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One model as its owner wants it served. Only ``name`` and ``file`` are always there.

    ``labels`` is a file beside the model, ``class_names`` the names themselves. ``recipe`` and
    ``view`` are tables in the language of ``imaging.recipe``. ``read`` overrides what is found
    by structure. ``threshold`` (0..1) leaves lower scores out. ``deadline_seconds`` is the longest
    wait for this model, from when it is asked; ``fallback`` the labels told when it gives no
    answer. ``found``: nobody named this file, it lies in a folder that was named; when it cannot
    be served, the others are.
    ``allow_code``: a Keras file with code may be converted by the framework itself, which runs it.
    """

    name: str
    file: Path
    version: str = "1"
    title: str = ""
    description: str = ""
    labels: Path | None = None
    class_names: tuple[str, ...] = ()
    task: Task | None = None
    top: int | None = None
    threshold: float | None = None
    deadline_seconds: float | None = None
    fallback: tuple[str, ...] = ()
    engine: str | None = None
    allow_code: bool = False
    recipe: Mapping[str, object] = field(default_factory=dict)
    view: Mapping[str, object] = field(default_factory=dict)
    size: InputSize | None = None
    read: ReadOptions = field(default_factory=ReadOptions)
    found: bool = False

    @property
    def may_be_absent(self) -> bool:
        """Whether the others are served when this one cannot be: found, or with a fallback."""
        return self.found or bool(self.fallback)


def bare_card(path: Path) -> Card:
    """The card of a model file (or SavedModel folder) that has none, named after the file."""
    named = path.parent if path.stem.lower() in _GENERIC_STEMS and path.parent.name else path
    return Card(name=name_text(named.stem if named is path else named.name), file=path)


def read_card(path: Path) -> Card:
    """The card in ``path``, its files resolved beside it. Raises CardError."""
    try:
        if path.stat().st_size > _MAX_CARD_BYTES:
            raise CardError(f"{path} is larger than 1 MiB, which no model card is")
        table = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise CardError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CardError(
            f"{path} is not UTF-8 text, which a model card is", hint="save it again as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        hint = 'a text stands in quotes: file = "model.keras"'
        raise CardError(f"{path} is no TOML: {error}", hint=hint) from error
    except RecursionError as error:
        raise CardError(f"{path} nests its values deeper than any model card") from error
    return _Reader(path).card(table)


class _Reader:
    """Reads one card's tables; every complaint names the card and the key."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def card(self, table: dict[str, Any]) -> Card:
        known = {f.name for f in fields(Card)} - {"found"}
        self._only(table, known, where="")
        folder = self._path.parent
        labels = self._text(table, "labels")
        if labels is not None and table.get("class_names"):
            raise self._fail("'labels' and 'class_names' both say the labels; expected one of them")
        return Card(
            name=self._text(table, "name") or name_text(folder.name),
            file=self._beside(self._needed(table, "file")),
            version=str(table.get("version", "1")),
            title=self._text(table, "title") or "",
            description=self._text(table, "description") or "",
            labels=None if labels is None else self._beside(labels),
            class_names=self._texts(table, "class_names"),
            task=self._task(table),
            top=self._number(table, "top", low=1, whole=True),
            threshold=self._number(table, "threshold", low=0, high=1),
            deadline_seconds=self._number(table, "deadline_seconds", low=0.001, high=3600),
            fallback=self._texts(table, "fallback"),
            engine=self._text(table, "engine"),
            allow_code=self._flag(table, "allow_code"),
            recipe=self._table(table, "recipe"),
            view=self._table(table, "view"),
            size=self._size(self._table(table, "size")),
            read=self._read(self._table(table, "read")),
        )

    def _fail(self, what: str) -> CardError:
        return CardError(f"{self._path}: {what}", hint="docs/reference/card.md lists the keys")

    def _only(self, table: Mapping[str, Any], known: set[str], *, where: str) -> None:
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                also = f"; did you mean {near[0]!r}?" if near else ""
                raise self._fail(f"unknown key {where + key!r}{also}")

    def _beside(self, name: str) -> Path:
        return self._path.parent / name

    def _needed(self, table: dict[str, Any], key: str) -> str:
        text = self._text(table, key)
        if not text:
            raise self._fail(f"{key!r} is missing: the name of the model file beside the card")
        return text

    def _text(self, table: Mapping[str, Any], key: str) -> str | None:
        value = table.get(key)
        if value is not None and not isinstance(value, str):
            raise self._fail(f"{key!r} must be a text, not {value!r}")
        return value

    def _flag(self, table: Mapping[str, Any], key: str) -> bool:
        value = table.get(key, False)
        if not isinstance(value, bool):
            raise self._fail(f"{key!r} must be true or false, not {value!r}")
        return value

    def _number(
        self,
        table: Mapping[str, Any],
        key: str,
        *,
        low: float,
        high: float = 1e9,
        whole: bool = False,
    ) -> Any:
        value = table.get(key)
        if value is None:
            return None
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            raise self._fail(f"{key!r} must be {kind} from {low} to {high:g}, not {value!r}")
        return value

    def _texts(self, table: dict[str, Any], key: str) -> tuple[str, ...]:
        texts = table.get(key, [])
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise self._fail(f"{key!r} must be a list of texts")
        return tuple(texts)

    def _task(self, table: dict[str, Any]) -> Task | None:
        text = self._text(table, "task")
        if text is None:
            return None
        try:
            return Task(text)
        except ValueError:
            known = ", ".join(Task)
            raise self._fail(f"'task' must be one of {known}, not {text!r}") from None

    def _table(self, table: dict[str, Any], key: str) -> dict[str, Any]:
        value = table.get(key, {})
        if not isinstance(value, dict):
            raise self._fail(f"{key!r} must be a table")
        return value

    def _size(self, table: dict[str, Any]) -> InputSize | None:
        if not table:
            return None
        self._only(table, {"height", "width"}, where="size.")
        sides = [
            self._number(table, side, low=1, high=8192, whole=True) for side in ("height", "width")
        ]
        if None in sides:
            raise self._fail("'size' needs both 'height' and 'width'")
        return InputSize(height=sides[0], width=sides[1])

    def _read(self, table: dict[str, Any]) -> ReadOptions:
        self._only(table, {"input", "output", "signature"}, where="read.")
        return ReadOptions(
            input=self._text(table, "input"),
            output=self._text(table, "output"),
            signature=self._text(table, "signature"),
        )
