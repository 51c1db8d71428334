"""Pictures in zip and tar files, read where they lie: nothing is unpacked, no name is a path.

Archives come from strangers. What one member may hold and how many there may be is capped, and so
is what the readers take into memory to find them.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, TypeAlias, cast

from tintype.bulk.folders import is_litter
from tintype.bulk.items import Item, failing
from tintype.bulk.picture_file import too_large
from tintype.errors import (
    BodyTooLarge,
    ImageCorrupt,
    InputUnreachable,
    TintypeError,
    TooManyImages,
)
from tintype.types import name_text

_MOST_AT_ONCE: Final = 128 << 20  # of a zip: its table of a million members, about
_DAMAGE: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,  # a way of packing that Python has not
    RuntimeError,  # a member with a password
    ValueError,
    OverflowError,
)
_Member: TypeAlias = tuple[str, int, Callable[[], Any] | None]
"""A name, the size it declares, and how to open it; None for what is no file."""
_ZIP, _GZIP, _TAR = b"PK\x03\x04", b"\x1f\x8b", b"ustar"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """``member_bytes``: of one picture, unpacked. ``members``: in one archive, of any kind."""

    member_bytes: int
    members: int = 10_000_000


def is_archive(path: Path) -> bool:
    """Whether a file is a zip, a tar or a packed tar, by its content."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError:
        return False
    return head.startswith((_ZIP, _GZIP)) or head[257:262] == _TAR


def members(path: Path, limits: ArchiveLimits) -> Iterator[Item]:
    """Every file in an archive, in its own order; hidden ones, links and devices are none.

    The bytes are read as it is listed: packed tars can only be gone through once. Where an archive
    is damaged, or has too many members, an item says so in the place of the rest.
    """
    try:
        with path.open("rb") as file:
            for number, (name, size, opened) in enumerate(_listed(file)):
                if number >= limits.members:
                    raise TooManyImages(f"the archive has more than {limits.members} members")
                if opened is not None and _is_wanted(name):
                    yield _item(name_text(f"{path}/{name}"), size, opened, limits)
    except _DAMAGE as error:
        yield failing(name_text(str(path)), _damaged(error))
    except TintypeError as error:
        yield failing(name_text(str(path)), error)


def _listed(file: IO[bytes]) -> Iterator[_Member]:
    head = file.read(4)
    file.seek(0)
    if head == _ZIP:
        yield from _of_zip(_Bounded(file))
    elif head.startswith(_GZIP):
        with gzip.GzipFile(fileobj=file) as plain:
            yield from _of_tar(_Bounded(plain))
    else:
        yield from _of_tar(_Bounded(file))


def _of_zip(file: _Bounded) -> Iterator[_Member]:
    archive = zipfile.ZipFile(cast("IO[bytes]", file))
    for info in archive.infolist():
        yield info.filename, info.file_size, None if info.is_dir() else partial(archive.open, info)


def _of_tar(file: _Bounded) -> Iterator[_Member]:
    archive: Any = tarfile.TarFile(fileobj=cast("IO[bytes]", file))
    while (member := archive.next()) is not None:
        archive.members = []  # it keeps all it has seen
        opened = partial(archive.extractfile, member) if member.isreg() else None
        yield member.name, member.size, opened
    if file.latest != bytes(tarfile.BLOCKSIZE):  # tarfile takes any end for the end
        raise tarfile.ReadError("it breaks off before the mark of its end")


def _item(name: str, size: int, opened: Callable[[], Any], limits: ArchiveLimits) -> Item:
    """A member with its bytes, or with why it has none. What it declares is not believed."""
    most = limits.member_bytes
    try:
        if size > most:
            raise too_large(most)
        with opened() as member:
            data: bytes = member.read(most + 1)
        if len(data) > most:
            raise too_large(most)
    except _DAMAGE as error:
        return failing(name, _damaged(error), size=size)
    except TintypeError as error:
        return failing(name, error, size=size)
    return Item(name=name, size=size, read=lambda: data)


class _Bounded(io.RawIOBase):
    """A file that is never asked for much at once.

    The readers of archives believe the sizes that an archive declares of its own tables and
    headers, and would take them into memory. Raises BodyTooLarge. ``latest`` is what was read last.
    """

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file = file
        self.latest = b""

    def read(self, size: int = -1, /) -> bytes:
        """Read so many bytes, or raise."""
        if size > _MOST_AT_ONCE:
            raise BodyTooLarge(
                f"the archive declares a table or header of {size} bytes; "
                f"at most {_MOST_AT_ONCE} are taken",
                hint="a tar takes any number of pictures; a zip about a million",
            )
        self.latest = self._file.read(size)
        return self.latest

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The place."""
        return self._file.tell()

    def seekable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is."""
        return True


def _is_wanted(name: str) -> bool:
    return not any(is_litter(part) for part in PurePosixPath(name).parts if part not in {".", ".."})


def _damaged(error: BaseException) -> TintypeError:
    if isinstance(error, OSError) and error.strerror:
        return InputUnreachable(f"the archive cannot be read: {error.strerror}")
    return ImageCorrupt(f"the archive is damaged here: {error or type(error).__name__}")
