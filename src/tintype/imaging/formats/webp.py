"""WebP headers (RFC 9649, section 2; VP8: RFC 6386, section 9.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from tintype.errors import ImageInvalid, ImageTruncated
from tintype.imaging.formats import exif, icc
from tintype.imaging.formats.header import Header

_MOST_CHUNKS: Final = 1000


def read(data: bytes) -> Header:
    """Read a WebP's header.

    Raises:
        ImageInvalid: the first chunk is none of ``VP8 ``, ``VP8L``, ``VP8X``, or its start code
            is missing.
        ImageTruncated: the data end within the first chunk.
    """
    if len(data) < 30:
        raise ImageTruncated("the WebP ends within its header", format="webp")
    name = data[12:16]
    if name == b"VP8 ":
        return _lossy(data)
    if name == b"VP8L":
        return _lossless(data)
    if name == b"VP8X":
        return _extended(data)
    raise ImageInvalid("the WebP begins with an unknown chunk", format="webp")


def _lossy(data: bytes) -> Header:
    if data[23:26] != b"\x9d\x01\x2a":
        raise ImageInvalid("the WebP's picture has no start code", format="webp")
    width, height = struct.unpack_from("<HH", data, 26)
    return Header(format="webp", width=width & 0x3FFF, height=height & 0x3FFF)


def _lossless(data: bytes) -> Header:
    if data[20] != 0x2F:
        raise ImageInvalid("the WebP's picture has no start code", format="webp")
    (word,) = struct.unpack_from("<I", data, 21)
    alpha = bool(word >> 28 & 1)
    width, height = 1 + (word & 0x3FFF), 1 + (word >> 14 & 0x3FFF)
    return Header(
        format="webp", width=width, height=height, alpha=alpha, components=4 if alpha else 3
    )


def _extended(data: bytes) -> Header:
    flags = data[20]
    width = 1 + int.from_bytes(data[24:27], "little")
    height = 1 + int.from_bytes(data[27:30], "little")
    alpha = bool(flags & 0x10)
    header = Header(
        format="webp",
        width=width,
        height=height,
        components=4 if alpha else 3,
        alpha=alpha,
        animated=bool(flags & 0x02),
    )
    if flags & 0x28:  # EXIF or a colour profile
        for name, body in _chunks(data):
            if name == b"EXIF":
                header = replace(header, orientation=exif.orientation(body))
            elif name == b"ICCP":
                header = replace(header, icc=not icc.is_srgb(body))
    return header


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    for _ in range(_MOST_CHUNKS):
        if place + 8 > len(data):
            return
        name, length = struct.unpack_from("<4sI", data, place)
        yield name, data[place + 8 : place + 8 + min(length, 1 << 16)]
        place += 8 + length + (length & 1)
