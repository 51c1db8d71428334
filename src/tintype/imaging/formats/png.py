"""PNG headers: the chunks (W3C PNG specification, third edition, sections 5 and 11)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from tintype.errors import ImageInvalid, ImageTruncated
from tintype.imaging.formats import exif
from tintype.imaging.formats.header import Header

_COLOURS: Final = {
    0: ("grey", 1, (1, 2, 4, 8, 16)),
    2: ("rgb", 3, (8, 16)),
    3: ("palette", 1, (1, 2, 4, 8)),
    4: ("grey", 2, (8, 16)),
    6: ("rgb", 4, (8, 16)),
}
"""Colour type -> name, channels, depths allowed (table 11.1)."""
_MOST_CHUNKS: Final = 50_000
"""Decoders walk through them one by one; millions of empty ones would take seconds."""


@dataclass(slots=True)
class _Seen:
    pixels: bool = False
    animated: bool = False
    transparent: bool = False
    icc: bool = False
    orientation: int = 1


def read(data: bytes) -> Header:
    """Read a PNG's header.

    Raises:
        ImageInvalid: no ``IHDR`` first, or a combination of values the format does not know.
        ImageTruncated: the data end before the first pixel.
    """
    if len(data) < 33:
        raise ImageTruncated("the PNG ends within its header", format="png")
    length, name, width, height, bits, kind = struct.unpack_from(">I4sIIBB", data, 8)
    if name != b"IHDR" or length != 13:
        raise ImageInvalid("the PNG does not begin with its header", format="png")
    colour, components, depths = _COLOURS.get(kind, ("", 0, ()))
    if bits not in depths:
        raise ImageInvalid(f"the PNG has colour type {kind} with {bits} bits", format="png")
    seen = _walk(data)
    if not seen.pixels:
        raise ImageTruncated("the PNG ends before its pixels begin", format="png")
    return Header(
        format="png",
        width=width,
        height=height,
        bits=bits,
        components=components,
        colour=colour,
        orientation=seen.orientation,
        animated=seen.animated,
        alpha=kind in {4, 6} or seen.transparent,
        icc=seen.icc,
    )


def _walk(data: bytes) -> _Seen:
    seen = _Seen()
    place = 33
    for _ in range(_MOST_CHUNKS):
        if place + 8 > len(data):
            return seen
        length, name = struct.unpack_from(">I4s", data, place)
        _note(seen, name, data[place + 8 : place + 8 + min(length, 1 << 16)])
        if name == b"IEND":
            return seen
        place += 12 + length
    raise ImageInvalid(f"the PNG has more than {_MOST_CHUNKS} chunks", format="png")


def _note(seen: _Seen, name: bytes, body: bytes) -> None:
    if name == b"IDAT":
        seen.pixels = True
    elif name == b"acTL" and not seen.pixels:
        seen.animated = len(body) >= 4 and struct.unpack_from(">I", body)[0] > 1
    elif name == b"tRNS":
        seen.transparent = True
    elif name == b"iCCP":
        seen.icc = not body[:79].lower().startswith((b"srgb", b"icc srgb"))
    elif name == b"eXIf":
        seen.orientation = exif.orientation(body)
