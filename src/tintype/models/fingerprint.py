"""Whether the files of a model are still what they were: names, sizes and times, never content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from tintype.modelfiles.labels import labels_beside
from tintype.models.card import Card, VersionRules

_MOST_FILES: Final = 20_000

Stamp: TypeAlias = tuple[str, int, int, int]
"""A file: its name, bytes, nanoseconds of its last change, and number on the disk (inode)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """One version of a model: what is said of it, and its files as they lie."""

    card: Card
    files: tuple[Stamp, ...]


def fingerprint(card: Card) -> Fingerprint:
    """The fingerprint of a card's version. Raises OSError when a file goes meanwhile."""
    alone = replace(card, versions=VersionRules(), earlier=(), canary=None, found=False)
    return Fingerprint(card=alone, files=tuple(_stamp(path) for path in _files(card)))


def _files(card: Card) -> Iterator[Path]:
    """The files that make a version: all in its folder, or a bare file and the labels beside it."""
    if card.folder is not None:
        inside = sorted(card.folder.rglob("*"))[:_MOST_FILES]
        yield from (path for path in inside if path.is_file())
    elif card.file.is_dir():
        yield from (path for path in sorted(card.file.rglob("*")) if path.is_file())
    else:
        yield card.file
        yield from labels_beside(card.file)
    if card.labels is not None:
        yield card.labels


def _stamp(path: Path) -> Stamp:
    told = path.stat()
    return (str(path), told.st_size, told.st_mtime_ns, told.st_ino)
