"""JPEG headers: the markers of the primary picture (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

from tintype.errors import ImageInvalid, ImageTruncated
from tintype.imaging.formats import exif, icc
from tintype.imaging.formats.header import Header

_SUPPORTED: Final = {0xC0, 0xC1, 0xC2}
_OTHER_FRAMES: Final = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_BARE: Final = {0x01, *range(0xD0, 0xD9)}
"""Markers without a length: TEM, the restarts and SOI."""
_MARKER: Final = re.compile(rb"\xff([^\x00\xff])")
_MARKER_IN_SCAN: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_MOST_MARKERS: Final = 10_000
"""A camera's file has some dozens; a walk through millions would take seconds."""
_COLOURS: Final = {1: "grey", 3: "rgb", 4: "cmyk"}


@dataclass(slots=True)
class _Seen:
    frame: bytes | None = None
    marker: int = 0
    scans: int = 0
    orientation: int | None = None
    icc: bool = False
    multi_picture: bool = False


def read(data: bytes, *, max_scans: int) -> Header:
    """Read the header of the first picture in ``data``.

    Counting stops once ``max_scans`` is passed.

    Raises:
        ImageInvalid: no or a second frame, a frame that is not 8-bit Huffman-coded with 1, 3
            or 4 components, or a side of zero.
        ImageTruncated: the data end before the first scan.
    """
    seen = _walk(data, max_scans=max_scans)
    if seen.frame is None or seen.scans == 0:
        raise ImageTruncated("the JPEG ends before its picture begins", format="jpeg")
    return _header(seen)


def _walk(data: bytes, *, max_scans: int) -> _Seen:
    seen = _Seen()
    place = 2
    markers = 0
    while (found := _MARKER.search(data, place)) is not None:
        marker, place = found[1][0], found.end()
        markers += 1
        if markers > _MOST_MARKERS:
            raise ImageInvalid(f"the JPEG has more than {_MOST_MARKERS} markers", format="jpeg")
        if marker in _BARE:
            continue
        if marker == 0xD9 or place + 2 > len(data):
            break
        (length,) = struct.unpack_from(">H", data, place)
        body = data[place + 2 : place + length]
        if length < 2:
            raise ImageInvalid("a JPEG segment has a length below 2", format="jpeg")
        place += length
        if marker == 0xDA:
            seen.scans += 1
            if _is_only_scan(seen, body):
                break
            end = _end_of_scan(data, place)
            if seen.scans > max_scans or end is None:
                break
            place = end
        else:
            _note(seen, marker, body)
    return seen


def _is_only_scan(seen: _Seen, body: bytes) -> bool:
    """Tell whether a scan codes all of a sequential picture: libjpeg refuses a further one.

    The usual file; it saves the walk through megabytes.
    """
    frame = seen.frame or b""
    return seen.marker in {0xC0, 0xC1} and len(frame) > 5 and body[:1] == frame[5:6]


def _end_of_scan(data: bytes, place: int) -> int | None:
    """Find where the entropy-coded data end, or None where the file ends."""
    found = _MARKER_IN_SCAN.search(data, place)
    return found.start() if found else None


def _note(seen: _Seen, marker: int, body: bytes) -> None:
    if marker in _OTHER_FRAMES:
        raise ImageInvalid(
            "the JPEG is lossless, hierarchical or arithmetic-coded; "
            "expected baseline, extended or progressive with Huffman codes",
            format="jpeg",
        )
    if marker in _SUPPORTED:
        if seen.frame is not None:
            raise ImageInvalid("the JPEG declares its size twice", format="jpeg")
        seen.frame, seen.marker = body, marker
    elif marker == 0xE1 and body.startswith(b"Exif\x00\x00") and seen.orientation is None:
        seen.orientation = exif.orientation(body)
    elif marker == 0xE2:
        seen.icc = seen.icc or (body.startswith(b"ICC_PROFILE\x00\x01") and not icc.is_srgb(body))
        seen.multi_picture = seen.multi_picture or body.startswith(b"MPF\x00")


def _header(seen: _Seen) -> Header:
    frame = seen.frame or b""
    if len(frame) < 6:
        raise ImageInvalid("the JPEG's frame header is too short", format="jpeg")
    bits, height, width, components = struct.unpack_from(">BHHB", frame)
    if bits != 8:
        raise ImageInvalid(f"the JPEG has {bits} bits a sample, expected 8", format="jpeg")
    if components not in _COLOURS:
        raise ImageInvalid(
            f"the JPEG has {components} components, expected 1, 3 or 4", format="jpeg"
        )
    return Header(
        format="jpeg",
        width=width,
        height=height,
        bits=bits,
        components=components,
        colour=_COLOURS[components],
        orientation=seen.orientation or 1,
        scans=seen.scans,
        progressive=seen.marker == 0xC2,
        icc=seen.icc,
        multi_picture=seen.multi_picture,
    )
