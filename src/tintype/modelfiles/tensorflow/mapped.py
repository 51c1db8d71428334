"""A file as a view of bytes: mapped, not read, so that what nobody looks at costs nothing."""

from __future__ import annotations

import mmap
from pathlib import Path

from tintype.errors import ModelFileDamaged, ModelFileTooLarge


def map_file(path: Path, *, max_bytes: int) -> memoryview:
    """The content of ``path``. Raises ModelFileDamaged if unreadable, ModelFileTooLarge.

    The map closes itself when the last view into it is gone.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size > max_bytes:
                raise ModelFileTooLarge(
                    f"{path.name} has {size} bytes, the limit is {max_bytes}",
                    limit=max_bytes,
                    actual=size,
                )
            if size == 0:
                raise ModelFileDamaged(f"{path.name} is empty")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise ModelFileDamaged(f"{path.name} cannot be read: {error.strerror or error}") from error
