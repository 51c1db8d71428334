"""Picture files that a person names on the command line."""

from __future__ import annotations

from pathlib import Path

from tintype.errors import BodyTooLarge, MalformedRequest


def read_picture(image: Path, *, limit: int) -> bytes:
    """The bytes of a file. Raises MalformedRequest, BodyTooLarge above ``limit`` bytes."""
    try:
        with image.open("rb") as file:
            data = file.read(limit + 1)  # a pipe or a device tells no size
    except OSError as error:
        raise MalformedRequest(f"the file cannot be read: {error.strerror}") from error
    if len(data) <= limit:
        return data
    raise BodyTooLarge(
        f"the file has more than {limit} bytes",
        hint="TINTYPE_UPLOADS_MAX_BODY_BYTES moves the limit",
    )
