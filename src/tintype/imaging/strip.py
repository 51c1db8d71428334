"""A picture without what it tells beside its pixels: place, camera, thumbnails, texts.

Nothing is decoded or encoded: the parts that hold pixels and colours are copied as they are, the
others left out, and the orientation is written anew, so the picture looks the same. Only what is
known to be harmless is kept.

Formats: JPEG, ITU-T T.81 annex B; Exif, CIPA DC-008; PNG, W3C PNG third edition; WebP, RFC 9649;
GIF89a.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tintype.errors import ImageInvalid

_PLAIN: Final = 1
"""The orientation that needs no tag."""


def strip(image: bytes, *, kind: str, orientation: int) -> bytes:
    """The picture alone. ``kind`` is its format's name, ``orientation`` its EXIF tag, 1..8.

    Of several pictures in one JPEG file (MPO) the first is kept. Raises ImageInvalid where the
    file cannot be followed.
    """
    writer = _KINDS.get(kind)
    if writer is None:
        raise ImageInvalid(f"pictures of the format {kind} cannot be stripped")
    try:
        return writer(image, orientation)
    except (struct.error, IndexError) as error:
        raise ImageInvalid(f"the {kind} file cannot be followed to its end") from error


def _tiff(orientation: int) -> bytes:
    """An Exif body with the orientation alone."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)


# JPEG

_ENTROPY_ENDS: Final = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_APP0, _APP2, _APP14, _APP15, _COMMENT = 0xE0, 0xE2, 0xEE, 0xEF, 0xFE


def _jpeg(image: bytes, orientation: int) -> bytes:
    out = [b"\xff\xd8"]
    tag = orientation != _PLAIN
    for marker, segment in _segments(image):
        if tag and marker != _APP0:  # after JFIF's own segment, which comes first
            body = b"Exif\0\0" + _tiff(orientation)
            out.append(b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body)
            tag = False
        if _is_kept(marker, segment):
            out.append(segment)
    out.append(b"\xff\xd9")
    return b"".join(out)


def _is_kept(marker: int, segment: bytes) -> bool:
    if marker == _APP2:
        return segment[4:].startswith(b"ICC_PROFILE\0")
    if marker in {_APP0, _APP14}:
        return segment[4:].startswith((b"JFIF\0", b"Adobe"))  # not JFXX: a thumbnail
    return not (_APP0 <= marker <= _APP15 or marker == _COMMENT)


def _segments(image: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers with their segments, a scan's data with its header, up to the end of the image."""
    at = 2
    while True:
        while image[at] == 0xFF and image[at + 1] == 0xFF:
            at += 1
        marker = image[at + 1]
        if image[at] != 0xFF or marker == _SOI:
            raise ImageInvalid("a JPEG marker is missing")
        if marker == _EOI:
            return
        (length,) = struct.unpack_from(">H", image, at + 2)
        end = at + 2 + length
        if end > len(image):
            raise ImageInvalid("a JPEG segment is longer than the file")
        if marker == _SOS:
            found = _ENTROPY_ENDS.search(image, end)
            if found is None:  # cut short: decoders fill up what is missing
                yield marker, image[at:]
                return
            end = found.start()
        yield marker, image[at:end]
        at = end


# PNG

_CHUNKS: Final = frozenset(
    b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP cICP sBIT bKGD pHYs hIST sPLT acTL fcTL fdAT"
    b"".split()
)


def _png(image: bytes, orientation: int) -> bytes:
    out = [image[:8]]
    at = 8
    while at < len(image):
        (length,) = struct.unpack_from(">I", image, at)
        kind = image[at + 4 : at + 8]
        if kind in _CHUNKS:
            out.append(image[at : at + 12 + length])
        if kind == b"IHDR" and orientation != _PLAIN:
            out.append(_png_chunk(b"eXIf", _tiff(orientation)))
        if kind == b"IEND":
            break
        at += 12 + length
    return b"".join(out)


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


# WebP

_RIFF: Final = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"))
_EXIF_FLAG, _XMP_FLAG = 0x08, 0x04


def _webp(image: bytes, orientation: int) -> bytes:
    (size,) = struct.unpack_from("<I", image, 4)
    end, at = min(len(image), 8 + size), 12
    out: list[bytes] = []
    extended = False
    while at + 8 <= end:
        kind = image[at : at + 4]
        (length,) = struct.unpack_from("<I", image, at + 4)
        chunk = image[at : at + 8 + length + length % 2]
        if kind == b"VP8X":
            extended = True
            tag = _EXIF_FLAG if orientation != _PLAIN else 0
            flags = chunk[8] & ~(_EXIF_FLAG | _XMP_FLAG) | tag
            chunk = chunk[:8] + bytes((flags,)) + chunk[9:]
        if kind in _RIFF:
            out.append(chunk)
        at += 8 + length + length % 2
    if extended and orientation != _PLAIN:
        body = _tiff(orientation)
        out.append(b"EXIF" + struct.pack("<I", len(body)) + body)
    whole = b"WEBP" + b"".join(out)
    return b"RIFF" + struct.pack("<I", len(whole)) + whole


# GIF

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL, _APPLICATION = 0xF9, 0xFF
_LOOPS: Final = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


def _gif(image: bytes, _: int) -> bytes:
    at = 13 + _table_bytes(image[10])
    out = [image[:at]]
    while at < len(image):
        begun, kind = at, image[at]
        if kind == _EXTENSION:
            at = _blocks_end(image, at + 2)
            kept = image[begun + 1] == _GRAPHIC_CONTROL or (
                image[begun + 1] == _APPLICATION and image[begun + 3 : begun + 14] in _LOOPS
            )
            if kept:
                out.append(image[begun:at])
        elif kind == _IMAGE:
            at = _blocks_end(image, at + 11 + _table_bytes(image[at + 9]))
            out.append(image[begun:at])
        elif kind == _TRAILER:
            break
        else:
            raise ImageInvalid("a GIF block of no known kind")
    out.append(b";")
    return b"".join(out)


def _table_bytes(flags: int) -> int:
    return 3 * (2 << (flags & 7)) if flags & 0x80 else 0


def _blocks_end(image: bytes, at: int) -> int:
    """Behind a row of sub-blocks; a file that is cut short ends there."""
    while at < len(image) and image[at]:
        at += 1 + image[at]
    return at + 1


def _as_it_is(image: bytes, _: int) -> bytes:
    """BMP has no place for anything but pixels."""
    return image


_KINDS: Final[Mapping[str, Callable[[bytes, int], bytes]]] = {
    "jpeg": _jpeg,
    "mpo": _jpeg,
    "png": _png,
    "webp": _webp,
    "gif": _gif,
    "bmp": _as_it_is,
}
