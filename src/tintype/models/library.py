"""From paths on the command line to model cards: files, folders with a card, folders of those.

A folder with version folders (``1/``, ``2/``) is one model; its card is that of the version that
is served.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias

from tintype.errors import CardError, ModelFileError, UnknownModelFormat
from tintype.modelfiles.safety import unreadable
from tintype.modelfiles.sniff import is_unpacked_keras, sniff
from tintype.models.card import CARD_NAME, Card, bare_card
from tintype.models.card_reader import read_card, read_rules, read_version

Broken: TypeAlias = Callable[[Path, ModelFileError], None]
"""Told of a path whose models cannot be known now, and why."""


class Find(Protocol):
    """Looks for models, again and again: ``find_cards`` with its paths filled in."""

    def __call__(self, *, broken: Broken | None = None) -> tuple[Card, ...]:
        """As ``find_cards``."""
        ...


_MAX_DEPTH = 3
_TELLING_SUFFIXES = frozenset({".keras", ".h5", ".hdf5", ".tflite", ".onnx"})
"""Endings that only models have; ``.pb`` and ``.xml`` may be anything."""


def find_cards(paths: tuple[Path, ...], *, broken: Broken | None = None) -> tuple[Card, ...]:
    """One card a model, with names made unique.

    A path is a model file, a ``model.toml``, a SavedModel folder, a folder with a ``model.toml``,
    or a folder of any of these. Raises ModelFileError when a path holds no model, or a card cannot
    be read; with ``broken`` that is told instead, and the rest is found.
    """
    found: list[Card] = []
    for path in paths:
        found.extend(_guarded(path, partial(_cards_at, path, broken), broken))
    return _unique_names(found)


def _guarded(path: Path, find: Callable[[], list[Card]], broken: Broken | None) -> list[Card]:
    try:
        return find()
    except ModelFileError as error:
        if broken is None:
            raise
        broken(path, error)
        return []


def _cards_at(path: Path, broken: Broken | None) -> list[Card]:
    if not path.exists():
        raise UnknownModelFormat(f"there is no file or folder {path}")
    if path.name == CARD_NAME:
        return [read_card(path)]
    if not path.is_dir():
        return [bare_card(path)]
    cards = _cards_in(path, depth=0, seen=set(), broken=broken)
    if not cards:
        raise UnknownModelFormat(
            f"no model found in the folder {path}",
            hint="give a model file, a SavedModel folder, or a folder of models",
        )
    return cards


def _cards_in(folder: Path, *, depth: int, seen: set[Path], broken: Broken | None) -> list[Card]:
    """The models in ``folder``; ``seen`` are the folders looked into, links to them left out."""
    real = folder.resolve()
    if real in seen:
        return []
    seen.add(real)
    card = folder / CARD_NAME
    numbers = _version_numbers(folder)
    if numbers:
        return [_versioned(folder, numbers, found=depth > 0)]
    if card.is_file():
        return [read_card(card)]
    if (folder / "saved_model.pb").is_file() or is_unpacked_keras(folder):
        return [replace(bare_card(folder), found=depth > 0, folder=folder)]
    if depth == _MAX_DEPTH:
        return []
    found: list[Card] = []
    for child in _children(folder):
        if child.name.startswith("."):
            continue
        if child.is_dir():
            inside = partial(_cards_in, child, depth=depth + 1, seen=seen, broken=broken)
            found.extend(_guarded(child, inside, broken))
        elif is_model(child):
            found.append(replace(bare_card(child), found=True))
    return found


def _version_numbers(folder: Path) -> list[str]:
    """The version folders that hold a model, the highest number first."""
    try:
        names = [child.name for child in folder.iterdir() if child.name.isdecimal()]
    except OSError as error:
        raise unreadable(folder, error) from error
    numbers = [name for name in names if (folder / name).is_dir() and _files_of(folder / name)]
    return sorted(numbers, key=int, reverse=True)


def _files_of(version: Path) -> list[Path]:
    """The model files of a version folder; the folder itself where it is a model."""
    if (version / "saved_model.pb").is_file() or is_unpacked_keras(version):
        return [version]
    folders = [child for child in _children(version) if (child / "saved_model.pb").is_file()]
    files = [child for child in _children(version) if child.is_file() and is_model(child)]
    return folders + files


def _versioned(folder: Path, numbers: list[str], *, found: bool) -> Card:
    """The card of the version to serve, with those to fall back on and the canary."""
    rules = read_rules(folder)
    for said in (rules.stable, rules.canary):
        if said is not None and said not in numbers:
            raise CardError(
                f"{folder / CARD_NAME}: there is no version {said!r} with a model in it; "
                f"there are {', '.join(numbers)}"
            )
    stable = [rules.stable] if rules.stable else [one for one in numbers if one != rules.canary]
    if not stable:
        raise CardError(f"{folder / CARD_NAME}: every version is the canary; one must be stable")
    best, *earlier = [_version(folder, number, found=found) for number in stable]
    canary = _version(folder, rules.canary, found=found) if rules.canary else None
    return replace(best, earlier=tuple(earlier), canary=canary)


def _version(folder: Path, number: str, *, found: bool) -> Card:
    card = read_version(folder, number, files=tuple(_files_of(folder / number)))
    cards = (folder / CARD_NAME, folder / number / CARD_NAME)
    return replace(card, found=found and not any(path.is_file() for path in cards))


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise unreadable(folder, error) from error


def is_model(path: Path) -> bool:
    """Whether the content is a model's, or the name says so: what is damaged must be told."""
    if path.suffix.lower() == ".json":
        return False  # an architecture: the weights beside it are the model
    try:
        sniff(path)
    except ModelFileError:
        return path.suffix.lower() in _TELLING_SUFFIXES
    return True


def _unique_names(cards: list[Card]) -> tuple[Card, ...]:
    taken: set[str] = set()
    unique: list[Card] = []
    for card in cards:
        name, count = card.name, 1
        while name in taken:
            count += 1
            name = f"{card.name}-{count}"
        taken.add(name)
        unique.append(replace(card, name=name))
    return tuple(unique)
