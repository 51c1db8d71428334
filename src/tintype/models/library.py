"""From paths on the command line to model cards: files, folders with a card, folders of those."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tintype.errors import ModelFileError, UnknownModelFormat
from tintype.modelfiles.safety import unreadable
from tintype.modelfiles.sniff import is_unpacked_keras, sniff
from tintype.models.card import CARD_NAME, Card, bare_card, read_card

_MAX_DEPTH = 3
_TELLING_SUFFIXES = frozenset({".keras", ".h5", ".hdf5", ".tflite", ".onnx"})
"""Endings that only models have; ``.pb`` and ``.xml`` may be anything."""


def find_cards(paths: tuple[Path, ...]) -> tuple[Card, ...]:
    """One card a model, with names made unique.

    A path is a model file, a ``model.toml``, a SavedModel folder, a folder with a ``model.toml``,
    or a folder of any of these. Raises ModelFileError when a path holds no model.
    """
    found: list[Card] = []
    for path in paths:
        cards = _cards_at(path)
        if not cards:
            raise UnknownModelFormat(
                f"no model found in the folder {path}",
                hint="give a model file, a SavedModel folder, or a folder of models",
            )
        found.extend(cards)
    return _unique_names(found)


def _cards_at(path: Path) -> list[Card]:
    if not path.exists():
        raise UnknownModelFormat(f"there is no file or folder {path}")
    if path.name == CARD_NAME:
        return [read_card(path)]
    if not path.is_dir():
        return [bare_card(path)]
    return _cards_in(path, depth=0, seen=set())


def _cards_in(folder: Path, *, depth: int, seen: set[Path]) -> list[Card]:
    """The models in ``folder``; ``seen`` are the folders looked into, links to them left out."""
    real = folder.resolve()
    if real in seen:
        return []
    seen.add(real)
    card = folder / CARD_NAME
    if card.is_file():
        return [read_card(card)]
    if (folder / "saved_model.pb").is_file() or is_unpacked_keras(folder):
        return [replace(bare_card(folder), found=depth > 0)]
    if depth == _MAX_DEPTH:
        return []
    found: list[Card] = []
    for child in _children(folder):
        if child.name.startswith("."):
            continue
        if child.is_dir():
            found.extend(_cards_in(child, depth=depth + 1, seen=seen))
        elif _is_model(child):
            found.append(replace(bare_card(child), found=True))
    return found


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise unreadable(folder, error) from error


def _is_model(path: Path) -> bool:
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
