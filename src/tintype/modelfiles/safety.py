"""What is asked of every model file before anything in it is believed. Nothing is ever run.

Pickles are told by reading their opcodes (``pickletools``), archives by their directories, and
declared sizes are added up before a byte is set aside for them.
"""

from __future__ import annotations

import io
import math
import pickletools
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tintype.errors import (
    ModelFileDamaged,
    ModelFileError,
    ModelFileTooLarge,
    UnsafeModel,
)

_HEAD_BYTES = 1 << 20
_MOST_OPCODES = 20_000
_MOST_MEMBERS = 65_536
_MOST_DIRECTORY_BYTES = 32 << 20
# What may come out of zipfile and zlib for bytes that are no sound archive.
_ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
)


@dataclass(slots=True)
class DeclaredBytes:
    """Adds up what tensors declare, and refuses as soon as it is above ``limit`` (bytes)."""

    limit: int
    total: int = 0

    def add(self, shape: Sequence[int | None], item_bytes: float, *, what: str) -> int:
        """Count one tensor (free axes as 1) and return its bytes. Raises ModelFileTooLarge."""
        size = math.ceil(math.prod(1 if axis is None else axis for axis in shape) * item_bytes)
        self.total += size
        if self.total > self.limit:
            raise ModelFileTooLarge(
                f"its tensors declare {self.total:,} bytes by {what}, above the limit of "
                f"{self.limit:,}",
                limit=self.limit,
                actual=self.total,
            )
        return size


def check_size(path: Path, limit: int) -> int:
    """Return the file's size in bytes. Raises ModelFileTooLarge above ``limit``."""
    size = path.stat().st_size
    if size > limit:
        raise ModelFileTooLarge(
            f"{path.name} has {size:,} bytes, above the limit of {limit:,}",
            limit=limit,
            actual=size,
        )
    return size


def read_small(path: Path, limit: int) -> bytes:
    """Read a whole file of at most ``limit`` bytes. Raises ModelFileTooLarge above it."""
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ModelFileTooLarge(
            f"{path.name} has more than {limit:,} bytes, the limit for such a file", limit=limit
        )
    return data


def beside(folder: Path, location: str, *, what: str) -> Path:
    """Return the file ``location`` inside ``folder``.

    Raises UnsafeModel when it would lie elsewhere: an absolute path, ``..``, a link out of it.
    """
    parts = PurePosixPath(location.replace("\\", "/"))
    outside = parts.is_absolute() or ".." in parts.parts or ":" in location or "\0" in location
    root = folder.resolve()
    if not location or outside or not (root / parts).resolve().is_relative_to(root):
        raise UnsafeModel(
            f"{what} wants to read {location[:200]!r}, outside its own folder; expected a file "
            "beside the model"
        )
    return root / parts


def archive_names(path: Path) -> tuple[str, ...]:
    """List an archive's members. Raises ModelFileDamaged, or ModelFileTooLarge above 65,536."""
    _check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except _ARCHIVE_ERRORS as error:
        raise ModelFileDamaged(
            f"{path.name} begins like a zip archive, but its directory cannot be read; "
            "it may be cut short",
            hint="copy or download the file again",
        ) from error
    if len(names) > _MOST_MEMBERS:
        raise ModelFileTooLarge(
            f"{path.name} lists {len(names):,} files, expected at most {_MOST_MEMBERS:,}",
            limit=_MOST_MEMBERS,
            actual=len(names),
        )
    return tuple(names)


def archive_member(archive: Path, name: str, *, limit: int) -> bytes | None:
    """Read one member of at most ``limit`` unpacked bytes; None when it is absent or unsound."""
    try:
        _check_directory(archive)
        with zipfile.ZipFile(archive) as opened:
            if opened.getinfo(name).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                return None
            with opened.open(name) as member:
                data = member.read(limit + 1)
    except _ARCHIVE_ERRORS:
        return None
    return data if len(data) <= limit else None


def _check_directory(path: Path) -> None:
    """Refuse a zip directory above 32 MiB: zipfile would hold all of it in memory.

    Its size is the 4 bytes at offset 12 of the end record (APPNOTE.TXT 4.3.16), within the last
    65,557 bytes of the file.
    """
    with path.open("rb") as file:
        end = file.seek(0, io.SEEK_END)
        file.seek(max(0, end - 65_557))
        tail = file.read(65_557)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0:
        return
    size = int.from_bytes(tail[found + 12 : found + 16], "little")
    if size > _MOST_DIRECTORY_BYTES:
        raise ModelFileTooLarge(
            f"the directory of the archive {path.name} has {size:,} bytes, expected at most "
            f"{_MOST_DIRECTORY_BYTES:,}",
            limit=_MOST_DIRECTORY_BYTES,
            actual=size,
        )


def refuse_pickle(path: Path, head: bytes) -> None:
    """Raise UnsafeModel if the content is a pickle, also a joblib file or a compressed pickle."""
    unpacked = _unpacked(head)
    if not is_pickle(unpacked):
        return
    names = pickled_names(unpacked)
    listed = f" (it would import {', '.join(names[:4])})" if names else ""
    raise UnsafeModel(
        f"{path.name} is a Python pickle{listed}: opening one runs whatever code its maker put "
        "in; it was not opened",
        hint="export the model in its framework: PyTorch to ONNX, Keras to .keras, or a SavedModel",
    )


def is_pickle(head: bytes) -> bool:
    """Tell a pickle by its first opcodes; protocols 2 to 5 begin with 0x80 and the number."""
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    # Protocols 0 and 1 have no mark: a global, a mark or an empty container, then valid opcodes.
    if head[:1] not in b"c(]}" or not head:
        return False
    seen = 0
    try:
        for opcode, _, _ in pickletools.genops(io.BytesIO(head)):
            seen += 1
            if opcode.name == "STOP" or seen > 200:
                return seen > 2
    except (ValueError, OverflowError, EOFError, IndexError, MemoryError):
        return seen > 50
    return False


def pickled_names(head: bytes) -> tuple[str, ...]:
    """Names a pickle would import, such as ``posix.system``, from its first opcodes."""
    names: dict[str, None] = {}
    strings: list[str] = []
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(head))):
            if opcode.name == "GLOBAL" and isinstance(argument, str):
                names[argument.replace(" ", ".")] = None
            elif opcode.name == "STACK_GLOBAL" and len(strings) >= 2:
                names[".".join(strings[-2:])] = None
            elif isinstance(argument, str):
                strings = [*strings[-1:], argument]
            if count > _MOST_OPCODES or len(names) >= 16:
                break
    except (ValueError, OverflowError, EOFError, IndexError, MemoryError):
        pass  # the head ends in the middle of an opcode
    return tuple(name[:80] for name in names)


def _unpacked(head: bytes) -> bytes:
    """Undo zlib or gzip of a head (joblib compresses so); other bytes come back unchanged."""
    if head[:1] != b"\x78" and head[:2] != b"\x1f\x8b":
        return head
    try:
        return zlib.decompressobj(wbits=47).decompress(head, _HEAD_BYTES)
    except zlib.error:
        return head


def damaged(path: Path, why: str) -> ModelFileDamaged:
    """Make the error for a file that is cut short or contradicts itself."""
    return ModelFileDamaged(
        f"{path.name} is damaged: {why}", hint="copy or download the file again"
    )


def unreadable(path: Path, error: OSError) -> ModelFileError:
    """Translate what the operating system said about a path."""
    reason = error.strerror or type(error).__name__
    return ModelFileError(f"{path} cannot be read: {reason}", hint="check the path and its rights")
