"""The members of a .keras zip, read within bounds."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from tintype.errors import ModelFileDamaged, ModelFileTooLarge
from tintype.modelfiles.keras.hdf5 import MAX_TEXT_BYTES

_MAX_MEMBERS = 10_000
_MAX_EXPANSION = 100
_FREE_BYTES = 64 << 20


def read_members(path: Path, max_bytes: int) -> dict[str, bytes]:
    """Configuration, metadata and weights by name; other weights by name alone, not read.

    Raises ModelFileDamaged or ModelFileTooLarge.
    """
    wanted = ("config.json", "metadata.json", "model.weights.h5")
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.infolist()
            if len(found) > _MAX_MEMBERS:
                raise ModelFileTooLarge(f"the zip file has more than {_MAX_MEMBERS} entries")
            members = {}
            for info in found:
                if info.filename in wanted:
                    members[info.filename] = _read_member(archive, info, max_bytes)
                elif info.filename.startswith("model.weights"):
                    members[info.filename] = b""
            return members
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        NotImplementedError,  # packed by a method, or in a version, that zipfile does not know
        RuntimeError,  # a password is asked for
        ValueError,
        OverflowError,
        MemoryError,
    ) as error:
        raise ModelFileDamaged(
            f"the zip file is damaged ({str(error)[:200]})",
            hint="copy or download the file again, or save the model once more",
        ) from error


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int) -> bytes:
    limit = max_bytes if info.filename.endswith(".h5") else MAX_TEXT_BYTES
    limit = min(limit, max(_FREE_BYTES, _MAX_EXPANSION * info.compress_size))
    if info.file_size > limit:
        raise ModelFileTooLarge(
            f"{info.filename} in the zip file declares {info.file_size} bytes, "
            f"stored in {info.compress_size}",
            limit=limit,
            actual=info.file_size,
        )
    with archive.open(info) as member:
        # The declared size is a claim too: never take more than it.
        content = member.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise ModelFileDamaged(f"{info.filename} in the zip file is not as long as it declares")
    return content
