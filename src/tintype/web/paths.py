"""Pictures that lie on the server, named by a caller: only files beneath folders that are allowed.

The system itself walks the path, a name at a time from the folder down, and follows no link on the
way. So there is no moment between a check and the opening in which a name could be given another
meaning: what is opened lies beneath the folder, whoever renames what meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, NoReturn

from tintype.errors import (
    BodyTooLarge,
    InputDisabled,
    InputNotAllowed,
    InputUnreachable,
    MalformedRequest,
    SettingsError,
)

_LONGEST_PATH: Final = 4096
_PIECE: Final = 1 << 20
# Of a folder on the way only its names are needed, not the right to list them.
_FOLDER: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A folder that pictures may be named in: as it was written, and with its own links followed.

    Both absolute.
    """

    written: PurePosixPath
    real: PurePosixPath


def allowed_roots(folders: Iterable[str]) -> tuple[Root, ...]:
    """The folders of the setting ``inputs.paths``; relative ones from the working folder.

    Raises SettingsError for one that is no folder, or is the whole disk.
    """
    return tuple(_root(folder) for folder in folders)


def _root(folder: str) -> Root:
    try:
        real = Path(folder).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(f"inputs.paths: {folder!r} cannot be used: {error}") from error
    if not real.is_dir():
        raise SettingsError(f"inputs.paths: {folder!r} is no folder")
    if real == Path(real.anchor):
        raise SettingsError(
            "inputs.paths: the root of the disk would allow every file on it",
            hint="name the folder that holds the pictures",
        )
    return Root(
        written=PurePosixPath(os.path.abspath(folder)),  # noqa: PTH100 - without following links
        real=PurePosixPath(real),
    )


def read_path(text: str, *, roots: tuple[Root, ...], limit: int) -> bytes:
    """The bytes of the file that ``text`` names: beneath a root, or relative to one. Blocks.

    Of several roots, the first that holds the name answers. Never reads more than ``limit`` bytes.

    Raises:
        InputDisabled: there are no roots.
        MalformedRequest: the text can be no path.
        InputNotAllowed: outside the roots, through ``..`` or a link, or no regular file.
        InputUnreachable: no such file, an empty one, or one that cannot be read.
        BodyTooLarge: more bytes than ``limit``.
    """
    if not roots:
        raise InputDisabled(
            "pictures by path are not switched on in this server",
            hint="send the bytes of the picture; the operator's setting is inputs.paths",
        )
    for root, names in _places(text, roots):
        with suppress(FileNotFoundError):
            return _read_beneath(root, names, limit=limit)
    raise InputUnreachable("there is no such file", hint=_hint(roots))


def _places(text: str, roots: tuple[Root, ...]) -> list[tuple[Root, tuple[str, ...]]]:
    """Where the file may be: roots, each with the names from it down to the file."""
    path = _parsed(text)
    if not path.is_absolute():
        return [(root, path.parts) for root in roots]
    places = []
    for root in roots:
        for folder in dict.fromkeys((root.written, root.real)):
            if path.is_relative_to(folder) and path != folder:
                places.append((root, path.relative_to(folder).parts))
                break
    if not places:
        raise InputNotAllowed("the path leads outside the allowed folders", hint=_hint(roots))
    return places


def _parsed(text: str) -> PurePosixPath:
    """The path, without ``.`` and doubled slashes. ``..`` is refused wherever it would lead."""
    try:
        size = len(os.fsencode(text))
    except UnicodeEncodeError:
        size = 0
    if not 0 < size <= _LONGEST_PATH or "\0" in text:
        raise MalformedRequest(
            "this text can be no path", hint=f"1 to {_LONGEST_PATH} bytes, none of them zero"
        )
    path = PurePosixPath(text)
    if ".." in path.parts:
        raise InputNotAllowed("the path has '..' in it", hint="name the file without")
    if not path.name:
        raise InputNotAllowed("the path names a folder, expected a file")
    return path


def _read_beneath(root: Root, names: tuple[str, ...], *, limit: int) -> bytes:
    """Walk down and read. Raises FileNotFoundError, and what ``read_path`` tells."""
    folder = -1
    try:
        folder = os.open(root.real, _FOLDER)
        for name in names[:-1]:
            below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = below
        _refuse_special(os.stat(names[-1], dir_fd=folder, follow_symlinks=False).st_mode)
        file = os.open(names[-1], _FILE, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        _refuse(error)
    finally:
        if folder >= 0:
            os.close(folder)
    try:
        return _read_open(file, limit=limit)
    except OSError as error:
        _refuse(error)
    finally:
        os.close(file)


def _read_open(file: int, *, limit: int) -> bytes:
    found = os.fstat(file)
    _refuse_special(found.st_mode)
    if found.st_size > limit:
        raise _too_large(found.st_size, limit=limit)
    if not found.st_size:  # the files of /proc say so too
        raise InputUnreachable("the file is empty")
    data = bytearray()
    while piece := os.read(file, min(_PIECE, limit + 1 - len(data))):
        data += piece
        if len(data) > limit:  # it grew
            raise _too_large(len(data), limit=limit)
    return bytes(data)


def _refuse_special(mode: int) -> None:
    if stat.S_ISLNK(mode):
        raise InputNotAllowed("the path leads through a link", hint="name the file itself")
    if not stat.S_ISREG(mode):
        raise InputNotAllowed("the path names no regular file")


def _refuse(error: OSError) -> NoReturn:
    """What the system said, in our words: its own would tell the folders above."""
    if isinstance(error, NotADirectoryError) or error.errno == errno.ELOOP:
        raise InputNotAllowed(
            "the path leads through a link or a file", hint="name the file itself"
        ) from error
    if isinstance(error, PermissionError):
        raise InputUnreachable("the server may not read this file") from error
    raise InputUnreachable("the file cannot be read") from error


def _too_large(size: int, *, limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"the file has {size} bytes or more; the limit is {limit}",
        hint="name a smaller picture, or raise uploads.max_body_bytes",
        limit=limit,
        actual=size,
    )


def _hint(roots: tuple[Root, ...]) -> str:
    several = "one of the allowed folders" if len(roots) > 1 else "the allowed folder"
    return f"write the path from {several} on, without '..' and links"
