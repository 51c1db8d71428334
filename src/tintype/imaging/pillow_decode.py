"""Pillow as a decoder: the one border where its exceptions become ours."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Final

from PIL import Image, UnidentifiedImageError

from tintype.errors import ImageCorrupt, ImageTooLarge, ImageTruncated, Overloaded
from tintype.imaging.formats.header import Header
from tintype.imaging.packed import empty
from tintype.imaging.steps import Decode
from tintype.imaging.to_channels import is_transparent, to_channels
from tintype.types import UInt8Array

_FORMATS: Final = {
    "jpeg": ("JPEG", "MPO"),
    "png": ("PNG",),
    "gif": ("GIF",),
    "webp": ("WEBP",),
    "bmp": ("BMP",),
}
"""Only these plugins are asked: the others hold most of Pillow's history of flaws."""
_STRIP_BYTES: Final = 4 << 20
_RAISED: Final = (
    OSError,  # and UnidentifiedImageError
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    AttributeError,
    ArithmeticError,
    NotImplementedError,
    RecursionError,
    Warning,  # where warnings are made errors
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def pillow_limit() -> int | None:
    """Pixels above which Pillow warns of a bomb, and above twice which it refuses."""
    return Image.MAX_IMAGE_PIXELS


def decode(data: bytes, *, header: Header, how: Decode) -> tuple[UInt8Array, bool]:
    """Decode the first frame to HxWx``how.channels`` uint8, as stored (not turned).

    Also tells whether any of it was transparent.

    Raises:
        ImageTruncated: the data end before the picture does.
        ImageCorrupt: Pillow refuses the picture, or finds another size than the header tells.
        ImageTooLarge: above Pillow's own limit.
        Overloaded: there is not enough memory.
    """
    limit = pillow_limit()
    if limit is not None and header.width * header.height > limit:
        raise ImageTooLarge(
            f"the {header.format} has {header.width * header.height} pixels; "
            f"its decoder takes at most {limit}",
            hint="send it as a JPEG, or smaller",
            limit=limit,
            actual=header.width * header.height,
            format=header.format,
        )
    with (
        _border(header.format),
        Image.open(BytesIO(data), formats=_FORMATS[header.format]) as image,
    ):
        if image.size != (header.width, header.height):
            raise ImageCorrupt(
                f"the {header.format} has two sizes, {header.width} x {header.height} and "
                f"{image.width} x {image.height}",
                format=header.format,
            )
        image.load()
        return _pixels(image, how), is_transparent(image)


def _pixels(image: Image.Image, how: Decode) -> UInt8Array:
    """Convert strip by strip, so that no second whole picture is held."""
    out = empty(height=image.height, width=image.width, channels=how.channels)
    rows = max(1, _STRIP_BYTES // (4 * image.width))
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        whole = top == 0 and bottom == image.height
        strip = image if whole else image.crop((0, top, image.width, bottom))
        out[top:bottom] = to_channels(strip, how=how)
    return out


@contextlib.contextmanager
def _border(name: str) -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise Overloaded("there is not enough memory to decode the picture") from error
    except _RAISED as error:
        said = str(error) or type(error).__name__
        if not isinstance(error, UnidentifiedImageError) and _is_short(error, said):
            raise ImageTruncated(f"the {name} ends too early ({said})", format=name) from error
        raise ImageCorrupt(f"the {name} cannot be decoded ({said})", format=name) from error


def _is_short(error: BaseException, said: str) -> bool:
    words = ("truncated", "unexpected end", "image file is truncated", "eof", "ran out")
    return isinstance(error, EOFError) or any(word in said.lower() for word in words)
