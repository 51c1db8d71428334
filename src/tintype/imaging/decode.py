"""From bytes to upright 8-bit pixels."""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import Final

import numpy as np
import simplejpeg
from msgspec import Struct

from tintype.errors import Overloaded
from tintype.imaging import pillow_decode
from tintype.imaging.header import Header
from tintype.imaging.orient import upright
from tintype.imaging.packed import image_of
from tintype.imaging.steps import Decode
from tintype.types import ImageFacts, UInt8Array

__all__ = ["Pixels", "decode", "decode_work", "decoded_bytes", "most_pixels"]

_BASE_BYTES: Final = 8 << 20
_A_PIXEL: Final = 9
"""Pillow's four, our four, and a strip."""
_COLOURSPACES: Final = {1: "GRAY", 3: "RGBX", 4: "RGBA"}
_BYTES: Final = {"GRAY": 1, "RGBX": 4, "RGBA": 4}

_WORK_A_PIXEL: Final = MappingProxyType({"jpeg": 1, "bmp": 3, "gif": 4, "png": 9, "webp": 9})
"""How many times the pixels of a JPEG cost.

Measured on a photo of 4 megapixels: 4.2 ns a pixel for JPEG, 12 for BMP, 17 for GIF, 15 to 46 for
PNG (palette, RGB, RGBA), 24 to 37 for WebP (lossy, lossless).
"""


class Pixels(Struct, frozen=True, kw_only=True):
    """A decoded picture: HxWxC uint8 as shown upright (often a view), and what it was."""

    array: UInt8Array
    facts: ImageFacts


def decoded_bytes(header: Header) -> int:
    """Return the most bytes that decoding takes at once, for admission: a bound.

    Bytes a pixel were measured as growth of the resident set, 24 megapixels of each kind: 4.0 for
    a JPEG (8.6 where Pillow must judge), 8.5 for PNG and BMP, 10 with alpha, 18.5 for WebP.
    """
    a_pixel = _A_PIXEL
    if header.format == "webp":
        a_pixel = 20  # canvas, the one before it, and the bytes between libwebp and Pillow
    elif header.alpha:
        a_pixel = 11
    elif header.scans > 1:
        a_pixel += 2 * header.components  # libjpeg keeps every coefficient
    return _BASE_BYTES + a_pixel * header.width * header.height


def most_pixels(room: int) -> int:
    """Pixels of the largest plain JPEG that ``decoded_bytes`` lets into so many bytes."""
    return max(0, (room - _BASE_BYTES) // _A_PIXEL)


def decode_work(header: Header) -> int:
    """Return how long decoding takes, told as so many pixels of a JPEG.

    An estimate: how much a picture holds moves it by a few times either way.
    """
    return header.width * header.height * header.scans * _WORK_A_PIXEL[header.format]


def decode(data: bytes, *, header: Header, how: Decode) -> Pixels:
    """Decode ``data``, whose ``header`` has passed the limits.

    JPEGs of 1 or 3 components go to simplejpeg (libjpeg-turbo), in strict mode; what it does not
    like, and all else, to Pillow, whose verdict is final.

    Raises:
        ImageTruncated: the data end before the picture does.
        ImageCorrupt: the decoder refuses the picture.
        ImageTooLarge: above the limit of Pillow itself (see ``DecodeLimits``).
        Overloaded: there is not enough memory.
    """
    stored, transparent = _jpeg(data, header, how), False
    if stored is None:
        stored, transparent = pillow_decode.decode(data, header=header, how=how)
    turned = stored if how.orientation == "ignore" else upright(stored, header.orientation)
    facts = ImageFacts(
        width=turned.shape[1],
        height=turned.shape[0],
        format=header.format,
        sha256=hashlib.sha256(data).hexdigest(),
        orientation=header.orientation,
        warnings=_warnings(header, how, transparent=transparent),
    )
    return Pixels(array=turned, facts=facts)


def _jpeg(data: bytes, header: Header, how: Decode) -> UInt8Array | None:
    """Decode with simplejpeg, or return None where Pillow is to judge."""
    if header.format != "jpeg" or header.components not in {1, 3}:
        return None
    weigh = how.channels == 1 and how.grey == "pillow" and header.components == 3
    space = "RGBX" if weigh else _COLOURSPACES[how.channels]
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data, strict=True)
        if (height, width) != (header.height, header.width):
            return None  # two readings of one header: Pillow refuses it then
        stored = np.empty((height, width, _BYTES[space]), dtype=np.uint8)
        simplejpeg.decode_jpeg(
            data,
            colorspace=space,
            fastdct=how.dct == "ifast",
            fastupsample=False,
            buffer=stored,
            strict=True,
        )
    except ValueError:
        return None
    except MemoryError as error:
        raise Overloaded("there is not enough memory to decode the picture") from error
    if weigh:  # as load_img's convert("L")
        return np.asarray(image_of(stored[:, :, :3]).convert("L"))[:, :, np.newaxis]
    return stored[:, :, : how.channels]


def _warnings(header: Header, how: Decode, *, transparent: bool) -> tuple[str, ...]:
    sixteen = header.bits == 16 and header.colour == "grey"
    taken = "cut to their high byte" if how.depth16 == "high_byte" else "clipped at 255"
    rows = (
        (header.animated, "animated: only the first frame was looked at"),
        (header.multi_picture, "holds several pictures: only the first was looked at"),
        (sixteen, f"16-bit grey levels were {taken}"),
        (header.bits == 16 and not sixteen, "16-bit levels were cut to their high byte"),
        (header.colour == "cmyk", "CMYK was turned into RGB without a colour profile"),
        (header.icc, "the colour profile was ignored, as in training"),
        (transparent and how.channels != 4, _alpha(how)),
        (
            how.orientation == "ignore" and header.orientation != 1,
            f"EXIF orientation {header.orientation} was ignored",
        ),
    )
    return tuple(text for holds, text in rows if holds)


def _alpha(how: Decode) -> str:
    if how.alpha == "composite":
        return "transparency was put on white"
    return "transparency was dropped, as in training"
