"""From ``model.toml`` to a card, its files resolved beside it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from tintype.engines.engine import DEVICES, MOST_BATCH, MOST_THREADS
from tintype.errors import CardError
from tintype.modelfiles.description import ReadOptions
from tintype.models.address import read_address
from tintype.models.card import CARD_NAME, NOT_KEYS, Card, Golden, InputSize, Tuned, VersionRules
from tintype.models.card_checks import Checks
from tintype.models.cluster_policy import CARD_KEYS, WHOLE_KEYS
from tintype.types import RemoteModel, Task, name_text

_MAX_CARD_BYTES = 1 << 20
_REMOTE_ENGINE = "tfserving"
_TUNED_PRECISIONS = ("f32", "bf16", "int8")


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
        self._checks = Checks(path)
        self._folders = folders
        self._environment = environment

    def card(self, table: dict[str, Any], *, name: str = "") -> Card:
        known = {f.name for f in fields(Card)} - NOT_KEYS
        self._checks.only(table, known, where="")
        folder = self._folders[0]
        labels = self._checks.text(table, "labels")
        if labels is not None and table.get("class_names"):
            raise self._checks.fail(
                "'labels' and 'class_names' both say the labels; expected one of them"
            )
        name = self._checks.text(table, "name") or name_text(name or folder.name)
        remote = self._remote(table, named=name)
        return Card(
            name=name,
            file=self._path if remote else self._beside(self._needed(table, "file")),
            version=str(table.get("version", "1")),
            title=self._checks.text(table, "title") or "",
            description=self._checks.text(table, "description") or "",
            labels=None if labels is None else self._beside(labels),
            class_names=self._checks.texts(table, "class_names"),
            task=self._task(table),
            top=self._checks.number(table, "top", low=1, whole=True),
            threshold=self._checks.number(table, "threshold", low=0, high=1),
            deadline_seconds=self._checks.number(table, "deadline_seconds", low=0.001, high=3600),
            fallback=self._checks.texts(table, "fallback"),
            engine=self._checks.text(table, "engine"),
            device=self._device(table),
            allow_code=self._checks.flag(table, "allow_code"),
            recipe=self._checks.table(table, "recipe"),
            view=self._checks.table(table, "view"),
            size=self._size(self._checks.table(table, "size")),
            read=self._read(self._checks.table(table, "read")),
            remote=remote,
            versions=self.rules(table),
            golden=self._golden(self._checks.table(table, "golden")),
            cluster=self._cluster(self._checks.table(table, "cluster")),
            tuned=self._tuned(self._checks.table(table, "tuned")),
            folder=folder,
        )

    def rules(self, table: dict[str, Any]) -> VersionRules:
        """The table ``[versions]``."""
        rules = self._checks.table(table, "versions")
        self._checks.only(rules, {f.name for f in fields(VersionRules)}, where="versions.")
        made = VersionRules(
            stable=self._version(rules, "stable"),
            canary=self._version(rules, "canary"),
            share=self._checks.number(rules, "share", low=0, high=1) or 0.0,
            shadow=self._checks.flag(rules, "shadow"),
        )
        if made.canary is None and (made.share or made.shadow):
            raise self._checks.fail("'versions.share' and 'versions.shadow' need 'versions.canary'")
        if made.canary is not None and made.canary == made.stable:
            raise self._checks.fail("'versions.stable' and 'versions.canary' are the same version")
        return made

    def _device(self, table: dict[str, Any]) -> str | None:
        device = self._checks.text(table, "device")
        if device is not None and device not in DEVICES:
            known = ", ".join(DEVICES)
            raise self._checks.fail(f"'device' must be one of {known}, not {device!r}")
        return device

    def refuse(self, table: Mapping[str, Any], keys: set[str], *, because: str) -> None:
        """Complain about keys that have no place in this card."""
        for key in table.keys() & keys:
            raise self._checks.fail(f"{key!r} does not belong here: {because}")

    def only_one(self, files: tuple[Path, ...]) -> str:
        """The name of the only model file of a version folder; ``.`` for the folder itself."""
        if len(files) > 1:
            names = ", ".join(sorted(file.name for file in files))
            raise self._checks.fail(
                f"'file' must say which is the model in {self._folders[0]}: {names}"
            )
        return "." if files[0] == self._folders[0] else files[0].name

    def _version(self, rules: Mapping[str, Any], key: str) -> str | None:
        value = rules.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return None if value is None else str(value)
        return self._checks.text(rules, key)

    def _golden(self, table: dict[str, Any]) -> Golden | None:
        if not table:
            return None
        self._checks.only(table, {"pictures", "accuracy"}, where="golden.")
        pictures = self._checks.text(table, "pictures")
        if not pictures:
            raise self._checks.fail(
                "'golden.pictures' is missing: a folder, or a CSV, beside the card"
            )
        accuracy = self._checks.number(table, "accuracy", low=0, high=1)
        return Golden(
            pictures=self._beside(pictures), accuracy=1.0 if accuracy is None else accuracy
        )

    def _cluster(self, table: dict[str, Any]) -> dict[str, Any]:
        self._checks.only(table, {*CARD_KEYS, "group"}, where="cluster.")
        given: dict[str, Any] = {"group": self._checks.text(table, "group")}
        for key in CARD_KEYS:
            whole = key in WHOLE_KEYS
            given[key] = self._checks.number(table, key, low=0, high=100_000, whole=whole)
        return {key: value for key, value in given.items() if value is not None}

    def _tuned(self, table: dict[str, Any]) -> Tuned | None:
        """What ``tintype tune`` wrote. Whether it still holds is seen when the model is planned."""
        if not table:
            return None
        checks = self._checks
        checks.only(table, {f.name for f in fields(Tuned)}, where="tuned.")
        precision = checks.text(table, "precision") or "f32"
        if precision not in _TUNED_PRECISIONS:
            known = ", ".join(_TUNED_PRECISIONS)
            raise checks.fail(f"'tuned.precision' must be one of {known}, not {precision!r}")
        graph = checks.text(table, "graph")
        if (precision == "int8") != (graph is not None):
            raise checks.fail("'tuned.graph' names the graph in int8; the one needs the other")
        numbers = {
            "threads": checks.number(table, "threads", low=0, high=MOST_THREADS, whole=True),
            "streams": checks.number(table, "streams", low=0, high=MOST_THREADS, whole=True),
            "batch": checks.number(table, "batch", low=1, high=MOST_BATCH, whole=True),
        }
        return Tuned(
            precision=precision,
            graph=None if graph is None else self._beside(graph),
            graph_sha256=checks.text(table, "graph_sha256") or "",
            sources=tuple(self._beside(name) for name in checks.texts(table, "sources")),
            sources_sha256=checks.text(table, "sources_sha256") or "",
            ends=checks.texts(table, "ends"),
            recipe=checks.text(table, "recipe") or "",
            evidence=checks.table(table, "evidence"),
            **{name: value for name, value in numbers.items() if value is not None},
        )

    def _beside(self, name: str) -> Path:
        places = [folder / name for folder in self._folders]
        return next((place for place in places if place.exists()), places[0])

    def _needed(self, table: dict[str, Any], key: str) -> str:
        text = self._checks.text(table, key)
        if not text:
            raise self._checks.fail(
                f"{key!r} is missing: the name of the model file beside the card"
            )
        return text

    def _task(self, table: dict[str, Any]) -> Task | None:
        text = self._checks.text(table, "task")
        if text is None:
            return None
        try:
            return Task(text)
        except ValueError:
            known = ", ".join(Task)
            raise self._checks.fail(f"'task' must be one of {known}, not {text!r}") from None

    def _size(self, table: dict[str, Any]) -> InputSize | None:
        if not table:
            return None
        self._checks.only(table, {"height", "width"}, where="size.")
        sides = [
            self._checks.number(table, side, low=1, high=8192, whole=True)
            for side in ("height", "width")
        ]
        if None in sides:
            raise self._checks.fail("'size' needs both 'height' and 'width'")
        return InputSize(height=sides[0], width=sides[1])

    def _remote(self, table: dict[str, Any], *, named: str) -> RemoteModel | None:
        """The model on another server, if the card names one."""
        keys, engine = self._checks.table(table, "remote"), self._checks.text(table, "engine")
        if not keys and engine != _REMOTE_ENGINE:
            return None
        if engine != _REMOTE_ENGINE:
            raise self._checks.fail(f"[remote] needs engine = {_REMOTE_ENGINE!r}")
        if "file" in table:
            raise self._checks.fail(f"'file' and engine = {_REMOTE_ENGINE!r} exclude each other")
        self._checks.only(
            keys, {f.name for f in fields(RemoteModel)} - {"signature"}, where="remote."
        )
        if "version" in keys and "label" in keys:
            raise self._checks.fail("'remote.version' and 'remote.label' exclude each other")
        given = {
            "version": self._checks.number(keys, "version", low=0, whole=True),
            "label": self._checks.text(keys, "label"),
            "timeout_seconds": self._checks.number(keys, "timeout_seconds", low=0.001, high=3600),
            "calls": self._checks.number(keys, "calls", low=1, high=256, whole=True),
        }
        ca = self._checks.text(keys, "ca")
        return RemoteModel(
            address=self._address(self._checks.text(keys, "address")),
            ca=None if ca is None else self._beside(ca),
            name=self._checks.text(keys, "name") or named,
            **{key: value for key, value in given.items() if value is not None},
        )

    def _address(self, text: str | None) -> str:
        if text is None:
            raise self._checks.fail(f"engine = {_REMOTE_ENGINE!r} needs 'address' under [remote]")
        try:
            return read_address(text, environment=self._environment)
        except ValueError as error:
            raise self._checks.fail(f"'remote.address': {error}") from None

    def _read(self, table: dict[str, Any]) -> ReadOptions:
        self._checks.only(table, {"input", "output", "signature"}, where="read.")
        return ReadOptions(
            input=self._checks.text(table, "input"),
            output=self._checks.text(table, "output"),
            signature=self._checks.text(table, "signature"),
        )
