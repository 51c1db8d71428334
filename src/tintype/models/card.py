"""The model card: what ``model.toml`` beside a model file says about it.

A bare model file needs none; ``bare_card`` makes the card it would have had.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from tintype.errors import CardError
from tintype.modelfiles.description import ReadOptions
from tintype.models.address import read_address
from tintype.types import RemoteModel, Task, name_text

CARD_NAME = "model.toml"
_MAX_CARD_BYTES = 1 << 20
_REMOTE_ENGINE = "tfserving"
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
class VersionRules:
    """Which of a model's version folders answers whom.

    ``stable`` None: the highest number that is not the canary. The ``canary`` answers a ``share``
    (0..1) of the pictures. ``shadow``: it is also asked, unseen, about those that ``stable``
    answers, and what differs is noted.
    """

    stable: str | None = None
    canary: str | None = None
    share: float = 0.0
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Pictures whose labels are known: a version below ``accuracy`` (0..1) is never swapped in.

    ``pictures`` is a folder with a subfolder a label, or a CSV of ``file,label``.
    """

    pictures: Path
    accuracy: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One model as its owner wants it served. Only ``name`` and ``file`` are always there.

    ``labels`` is a file beside the model, ``class_names`` the names themselves. ``recipe`` and
    ``view`` are tables in the language of ``imaging.recipe``. ``read`` overrides what is found
    by structure. ``threshold`` (0..1) leaves lower scores out. ``deadline_seconds`` is the longest
    wait for this model, from when it is asked; ``fallback`` the labels told when it gives no
    answer. ``found``: nobody named this file, it lies in a folder that was named; when it cannot
    be served, the others are.
    ``remote``: another server runs the model, and ``file`` is the card itself.
    ``allow_code``: a Keras file with code may be converted by the framework itself, which runs it.

    Of a model with version folders this is the card of the version to serve: ``earlier`` are the
    versions to fall back on at the start, the best first, ``canary`` is the other one to load.
    ``folder`` holds this model (this version) and nothing else, None for a bare file.
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
    versions: VersionRules = field(default_factory=VersionRules)
    golden: Golden | None = None
    remote: RemoteModel | None = None
    found: bool = False
    folder: Path | None = None
    earlier: tuple[Card, ...] = ()
    canary: Card | None = None

    @property
    def may_be_absent(self) -> bool:
        """Whether the others are served when this one cannot be: found, or with a fallback."""
        return self.found or bool(self.fallback)


NOT_KEYS = frozenset({"found", "folder", "earlier", "canary"})
"""Fields of a card that nobody writes: they are found."""


def bare_card(path: Path) -> Card:
    """The card of a model file (or SavedModel folder) that has none, named after the file."""
    named = path.parent if path.stem.lower() in _GENERIC_STEMS and path.parent.name else path
    return Card(name=name_text(named.stem if named is path else named.name), file=path)


def read_card(path: Path, *, environment: Mapping[str, str] = os.environ) -> Card:
    """The card in ``path``, its files resolved beside it. Raises CardError.

    ``environment`` holds the variables that an address may name.
    """
    reader = _Reader(path, folders=(path.parent,), environment=environment)
    return reader.card(_table(path))


def read_rules(folder: Path) -> VersionRules:
    """What the card of a model with version folders says of them. Raises CardError."""
    path = folder / CARD_NAME
    if not path.is_file():
        return VersionRules()
    return _Reader(path, folders=(folder,)).rules(_table(path))


def read_version(folder: Path, number: str, *, files: tuple[Path, ...]) -> Card:
    """The card of one version folder: the model's own, with the version's laid over it.

    A file that either names is looked for in the version's folder first. ``files`` are the model
    files found in there, for cards that name none. Raises CardError.
    """
    version = folder / number
    shared, own = folder / CARD_NAME, version / CARD_NAME
    table: dict[str, Any] = _table(shared) if shared.is_file() else {}
    reader = _Reader(own if own.is_file() else shared, folders=(version, folder))
    if own.is_file():
        told = _table(own)
        reader.refuse(told, {"name", "version", "versions"}, because="the model's card says it")
        table |= told
    if "file" not in table:
        table["file"] = reader.only_one(files)
    card = reader.card(table | {"version": number}, name=folder.name)
    return replace(card, folder=version)


def _table(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_CARD_BYTES:
            raise CardError(f"{path} is larger than 1 MiB, which no model card is")
        return tomllib.loads(path.read_text("utf-8-sig"))
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


class _Reader:
    """Reads one card's tables; every complaint names the card and the key.

    Files that it names are in the first of ``folders`` that has them; an address may name variables
    of ``environment``.
    """

    def __init__(
        self,
        path: Path,
        *,
        folders: tuple[Path, ...],
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._path = path
        self._folders = folders
        self._environment = environment

    def card(self, table: dict[str, Any], *, name: str = "") -> Card:
        known = {f.name for f in fields(Card)} - NOT_KEYS
        self._only(table, known, where="")
        folder = self._folders[0]
        labels = self._text(table, "labels")
        if labels is not None and table.get("class_names"):
            raise self._fail("'labels' and 'class_names' both say the labels; expected one of them")
        name = self._text(table, "name") or name_text(name or folder.name)
        remote = self._remote(table, named=name)
        return Card(
            name=name,
            file=self._path if remote else self._beside(self._needed(table, "file")),
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
            remote=remote,
            versions=self.rules(table),
            golden=self._golden(self._table(table, "golden")),
            folder=folder,
        )

    def rules(self, table: dict[str, Any]) -> VersionRules:
        """The table ``[versions]``."""
        rules = self._table(table, "versions")
        self._only(rules, {f.name for f in fields(VersionRules)}, where="versions.")
        made = VersionRules(
            stable=self._version(rules, "stable"),
            canary=self._version(rules, "canary"),
            share=self._number(rules, "share", low=0, high=1) or 0.0,
            shadow=self._flag(rules, "shadow"),
        )
        if made.canary is None and (made.share or made.shadow):
            raise self._fail("'versions.share' and 'versions.shadow' need 'versions.canary'")
        if made.canary is not None and made.canary == made.stable:
            raise self._fail("'versions.stable' and 'versions.canary' are the same version")
        return made

    def refuse(self, table: Mapping[str, Any], keys: set[str], *, because: str) -> None:
        """Complain about keys that have no place in this card."""
        for key in table.keys() & keys:
            raise self._fail(f"{key!r} does not belong here: {because}")

    def only_one(self, files: tuple[Path, ...]) -> str:
        """The name of the only model file of a version folder; ``.`` for the folder itself."""
        if len(files) > 1:
            names = ", ".join(sorted(file.name for file in files))
            raise self._fail(f"'file' must say which is the model in {self._folders[0]}: {names}")
        return "." if files[0] == self._folders[0] else files[0].name

    def _version(self, rules: Mapping[str, Any], key: str) -> str | None:
        value = rules.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return None if value is None else str(value)
        return self._text(rules, key)

    def _golden(self, table: dict[str, Any]) -> Golden | None:
        if not table:
            return None
        self._only(table, {"pictures", "accuracy"}, where="golden.")
        pictures = self._text(table, "pictures")
        if not pictures:
            raise self._fail("'golden.pictures' is missing: a folder, or a CSV, beside the card")
        accuracy = self._number(table, "accuracy", low=0, high=1)
        return Golden(
            pictures=self._beside(pictures), accuracy=1.0 if accuracy is None else accuracy
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
        places = [folder / name for folder in self._folders]
        return next((place for place in places if place.exists()), places[0])

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

    def _remote(self, table: dict[str, Any], *, named: str) -> RemoteModel | None:
        """The model on another server, if the card names one."""
        keys, engine = self._table(table, "remote"), self._text(table, "engine")
        if not keys and engine != _REMOTE_ENGINE:
            return None
        if engine != _REMOTE_ENGINE:
            raise self._fail(f"[remote] needs engine = {_REMOTE_ENGINE!r}")
        if "file" in table:
            raise self._fail(f"'file' and engine = {_REMOTE_ENGINE!r} exclude each other")
        self._only(keys, {f.name for f in fields(RemoteModel)} - {"signature"}, where="remote.")
        if "version" in keys and "label" in keys:
            raise self._fail("'remote.version' and 'remote.label' exclude each other")
        given = {
            "version": self._number(keys, "version", low=0, whole=True),
            "label": self._text(keys, "label"),
            "timeout_seconds": self._number(keys, "timeout_seconds", low=0.001, high=3600),
            "calls": self._number(keys, "calls", low=1, high=256, whole=True),
        }
        ca = self._text(keys, "ca")
        return RemoteModel(
            address=self._address(self._text(keys, "address")),
            ca=None if ca is None else self._beside(ca),
            name=self._text(keys, "name") or named,
            **{key: value for key, value in given.items() if value is not None},
        )

    def _address(self, text: str | None) -> str:
        if text is None:
            raise self._fail(f"engine = {_REMOTE_ENGINE!r} needs 'address' under [remote]")
        try:
            return read_address(text, environment=self._environment)
        except ValueError as error:
            raise self._fail(f"'remote.address': {error}") from None

    def _read(self, table: dict[str, Any]) -> ReadOptions:
        self._only(table, {"input", "output", "signature"}, where="read.")
        return ReadOptions(
            input=self._text(table, "input"),
            output=self._text(table, "output"),
            signature=self._text(table, "signature"),
        )
