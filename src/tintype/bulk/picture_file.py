"""Picture files that a person names on the command line."""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

from tintype.errors import BodyTooLarge, InputUnreachable


def read_picture(image: Path, *, limit: int) -> bytes:
    """The bytes of a file. Raises InputUnreachable, BodyTooLarge above ``limit`` bytes."""
    try:
        with image.open("rb", buffering=0) as file:  # a buffer asks the system twice more
            size = os.fstat(file.fileno()).st_size
            data = file.read(min(size, limit) + 1)  # room for ``limit`` each time would cost more
            if size != len(data):  # a pipe or a device tells no size, a file may grow
                data += _rest(file, limit + 1 - len(data))
    except (OSError, ValueError) as error:  # a name with a zero byte is no name
        why = error.strerror if isinstance(error, OSError) else error
        raise InputUnreachable(f"the file cannot be read: {why}") from error
    if len(data) <= limit:
        return data
    raise too_large(limit)


def _rest(file: FileIO, most: int) -> bytes:
    """What is left, at most ``most`` bytes: pipes give it bit by bit."""
    found = b""
    while len(found) < most and (more := file.read(most - len(found))):
        found += more
    return found


def too_large(limit: int) -> BodyTooLarge:
    """What is told of a picture of more than ``limit`` bytes."""
    return BodyTooLarge(
        f"the file has more than {limit} bytes",
        hint="TINTYPE_UPLOADS_MAX_BODY_BYTES moves the limit",
        limit=limit,
    )
