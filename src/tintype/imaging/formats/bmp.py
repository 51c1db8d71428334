"""BMP headers (``BITMAPINFOHEADER`` and its ancestors and heirs in the Windows documentation)."""

from __future__ import annotations

import struct

from tintype.errors import ImageInvalid, ImageTruncated
from tintype.imaging.formats.header import Header


def read(data: bytes) -> Header:
    """Read a BMP's header. A negative height (rows from the top) is told as its amount.

    Raises:
        ImageInvalid: a header of unknown size, or an unknown number of bits.
        ImageTruncated: the data end within the header.
    """
    if len(data) < 26:
        raise ImageTruncated("the BMP ends within its header", format="bmp")
    (size,) = struct.unpack_from("<I", data, 14)
    if size == 12:  # OS/2 1.x
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
    elif size in {16, 40, 52, 56, 64, 108, 124}:
        if len(data) < 30:
            raise ImageTruncated("the BMP ends within its header", format="bmp")
        width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
    else:
        raise ImageInvalid(f"the BMP has an unknown header of {size} bytes", format="bmp")
    if bits not in {1, 2, 4, 8, 16, 24, 32}:
        raise ImageInvalid(f"the BMP has {bits} bits a pixel", format="bmp")
    if width < 0:
        raise ImageInvalid("the BMP has a negative width", format="bmp")
    return Header(
        format="bmp",
        width=width,
        height=abs(height),
        components=1 if bits <= 8 else 3,
        colour="palette" if bits <= 8 else "rgb",
    )
