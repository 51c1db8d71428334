"""Files below folders, in the order of their names, however many lie in one folder."""

from __future__ import annotations

import heapq
import itertools
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, TypeAlias

_LITTER: Final = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
_HELD: Final = 100_000
"""Most names of one folder in memory. A larger folder is read through once for so many names."""

_Entry: TypeAlias = tuple[str, bool]
"""A name, and whether it is a folder."""


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below ``folder``, each folder's by name. Links to folders are not followed.

    Hidden files and folders, and what systems leave behind, are no pictures. A folder that cannot
    be read is given as if it were a file, for whoever reads it to be told.
    """
    open_folders = [(folder, _listing(folder))]
    while open_folders:
        here, names = open_folders[-1]
        found = next(names, None)
        if found is None:
            open_folders.pop()
        elif found[1]:
            below = here / found[0]
            open_folders.append((below, _listing(below)))
        else:
            yield here / found[0] if found[0] else here


def matching(pattern: str) -> Iterator[Path]:
    """Paths that fit ``pattern``, by name: ``*``, ``?``, ``[...]`` within names, ``**`` folders.

    A name that begins with a dot fits only a pattern that does.
    """
    path = Path(pattern)
    parts = path.parts
    start = Path(parts[0]) if path.is_absolute() else Path()
    yield from _fitting(start, parts[1:] if path.is_absolute() else parts)


def is_pattern(text: str) -> bool:
    """Whether a text asks for matching."""
    return any(letter in text for letter in "*?[")


def is_litter(name: str) -> bool:
    """Whether a file or folder of that name is hidden, or left behind by a system."""
    return name.startswith(".") or name.lower() in _LITTER


def _fitting(here: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """Paths below ``here`` that fit, name by name. Links to folders are not followed by ``**``."""
    if not parts:
        yield here
        return
    first, rest = parts[0], parts[1:]
    if first == "**":
        yield from _fitting(here, rest or ("*",))
        for name, is_folder in _by_name(here):
            if is_folder:
                yield from _fitting(here / name, parts)
    elif is_pattern(first):
        for name, _ in _by_name(here, hidden=first.startswith(".")):
            if fnmatchcase(name, first):
                yield from _fitting(here / name, rest)
    elif os.path.lexists(here / first):
        yield from _fitting(here / first, rest)


def _listing(folder: Path) -> Iterator[_Entry]:
    try:
        yield from _by_name(folder)
    except OSError:
        yield "", False


def _by_name(folder: Path, *, hidden: bool = False) -> Iterator[_Entry]:
    """Names in ``folder`` in order; of a large folder some at a time, so that memory is bounded."""
    after = ""
    while True:
        entries = _entries(folder, after=after, hidden=hidden)
        some = sorted(itertools.islice(entries, _HELD + 1))
        if len(some) > _HELD:
            some = heapq.nsmallest(_HELD + 1, itertools.chain(some, entries))
        yield from some[:_HELD]
        if len(some) <= _HELD:
            return
        after = some[_HELD - 1][0]


def _entries(folder: Path, *, after: str, hidden: bool) -> Iterator[_Entry]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name <= after or (is_litter(entry.name) and not hidden):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield entry.name, True
            elif entry.is_file() or (entry.is_symlink() and not entry.is_dir()):
                yield entry.name, False  # a link that leads nowhere is told when it is read
