"""Sources as a person names them, and the pictures in them: one stream, always in one order."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from tintype.bulk.archives import ArchiveLimits, is_archive, members
from tintype.bulk.folders import files_below, is_pattern, matching
from tintype.bulk.items import Item, failing
from tintype.bulk.picture_file import read_picture
from tintype.errors import InputUnreachable, SettingsError
from tintype.types import name_text

_S3: Final = "s3://"
_LONGEST_LINE: Final = 65_536

Objects: TypeAlias = Callable[[str], Iterable[Item]]
"""What lies below ``s3://BUCKET/PREFIX``."""
Object: TypeAlias = Callable[[str], Item]
"""What ``s3://BUCKET/KEY`` is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """An S3-compatible store. ``objects`` lists below a prefix, ``one`` is an object by its key."""

    objects: Objects
    one: Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Folders, patterns, lists (``@FILE``, ``-``), archives, files, ``s3://BUCKET/PREFIX``.

    ``include`` and ``exclude`` are patterns for what lies in folders, archives and stores: against
    the name, or against the whole path where they have a ``/``. ``max_bytes`` is of one picture.
    ``store`` is opened only where an address asks for it.
    """

    named: tuple[str, ...]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_bytes: int
    store: Callable[[], Store]

    def check(self) -> None:
        """Raise SettingsError for a source that is not there: a slip, seldom meant.

        A store that is named is opened, which tells whether there are keys for it.
        """
        if any(name.startswith(_S3) for name in self.named):
            self.store()
        for name in self.named:
            if name == "-" or name.startswith(_S3):
                continue
            path = Path(name.removeprefix("@"))
            if not os.path.lexists(path) and next(_matching(name), None) is None:
                raise SettingsError(
                    f"there is no {'list' if name.startswith('@') else 'file or folder'} {path}",
                    hint="a source is a folder, a pattern in quotes, an archive, a picture, "
                    "@LIST, - or s3://BUCKET/PREFIX",
                )

    def items(self) -> Iterator[Item]:
        """Every picture. Raises SettingsError, and OSError where a list or store is away."""
        for name in self.named:
            yield from self._of(name)

    def count(self) -> int | None:
        """How many there are, None where only going through all could tell."""
        if any(name == "-" or name.startswith(_S3) for name in self.named):
            return None
        total = 0
        for name in self.named:
            if name.startswith("@"):
                total += sum(1 for _ in _lines(name))
                continue
            for below, path in _paths(name):
                if not below and is_archive(path):
                    return None
                total += self._wanted(str(path), below)
        return total

    def _of(self, name: str) -> Iterator[Item]:
        if name.startswith(_S3):
            items = self.store().objects(name)
            yield from (item for item in items if self._wanted(item.name, below=True))
        elif name == "-" or name.startswith("@"):
            for line in _lines(name):
                yield self.store().one(line) if line.startswith(_S3) else self._file(Path(line))
        else:
            for below, path in _paths(name):
                if not below and is_archive(path):
                    limits = ArchiveLimits(member_bytes=self.max_bytes)
                    items = members(path, limits)
                    yield from (item for item in items if self._wanted(item.name, below=True))
                elif self._wanted(str(path), below):
                    yield self._file(path)

    def _wanted(self, path: str, below: bool) -> bool:  # noqa: FBT001 - of a private rule
        if not below:
            return True
        return (not self.include or _fits(path, self.include)) and not _fits(path, self.exclude)

    def _file(self, path: Path) -> Item:
        name = name_text(str(path))
        read = partial(read_picture, path, limit=self.max_bytes)
        try:
            found = path.stat()
        except (OSError, ValueError):
            return Item(name=name, size=0, read=read)
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            return failing(name, InputUnreachable("it is no file: a device, a socket or a pipe"))
        return Item(name=name, size=found.st_size, read=read, path=path)


def _paths(name: str) -> Iterator[tuple[bool, Path]]:
    """Paths that a source comes to, each with whether it was found below a folder."""
    for path in [Path(name)] if os.path.lexists(name) else _matching(name):
        if path.is_dir():
            yield from ((True, file) for file in files_below(path))
        else:
            yield False, path


def _matching(name: str) -> Iterator[Path]:
    return matching(name) if is_pattern(name) else iter(())


def _lines(name: str) -> Iterator[str]:
    """The lines of a list that say something."""
    where = sys.stdin.buffer if name == "-" else Path(name[1:]).open("rb")  # noqa: SIM115 - below
    with where as file:
        while line := file.readline(_LONGEST_LINE):
            text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            if text.strip():
                yield text


def _fits(path: str, patterns: tuple[str, ...]) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatchcase(path if "/" in pattern else name, pattern) for pattern in patterns)
