"""GIF headers (GIF89a specification, sections 17 to 27)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from tintype.errors import ImageInvalid, ImageTruncated
from tintype.imaging.formats.header import Header

_MOST_BLOCKS: Final = 20_000
"""Of up to 255 bytes each: enough to find a second frame in most animations."""


@dataclass(slots=True)
class _Seen:
    frames: int = 0
    right: int = 0
    bottom: int = 0
    transparent: bool = False
    loops: bool = False
    steps: int = 0


def read(data: bytes) -> Header:
    """Read a GIF's header; the size covers screen and first frame, as decoders take it.

    Raises:
        ImageInvalid: a block of no known kind before the first frame.
        ImageTruncated: the data end before the first frame.
    """
    if len(data) < 13:
        raise ImageTruncated("the GIF ends within its header", format="gif")
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    seen = _walk(data, 13 + _table(flags))
    if seen.frames == 0:
        raise ImageTruncated("the GIF ends before its first frame", format="gif")
    return Header(
        format="gif",
        width=max(width, seen.right),
        height=max(height, seen.bottom),
        components=1,
        colour="palette",
        animated=seen.frames > 1 or (seen.loops and seen.steps >= _MOST_BLOCKS),
        alpha=seen.transparent,
    )


def _table(flags: int) -> int:
    """Bytes of the colour table that ``flags`` announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _walk(data: bytes, place: int) -> _Seen:
    seen = _Seen()
    while place < len(data) and seen.frames < 2 and seen.steps < _MOST_BLOCKS:
        kind = data[place]
        if kind == 0x21 and place + 2 < len(data):
            place = _extension(seen, data, place)
        elif kind == 0x2C and place + 10 <= len(data):
            place = _frame(seen, data, place)
        elif kind == 0x3B or seen.frames:
            break
        elif kind in {0x21, 0x2C}:
            break  # cut short: the caller tells by the missing frame
        else:
            raise ImageInvalid(f"the GIF has a block of unknown kind {kind:#x}", format="gif")
    return seen


def _extension(seen: _Seen, data: bytes, place: int) -> int:
    label = data[place + 1]
    body = data[place + 2 : place + 14]
    if label == 0xF9 and len(body) > 1 and seen.frames == 0:
        seen.transparent = bool(body[1] & 1)
    seen.loops = seen.loops or (label == 0xFF and body[1:] == b"NETSCAPE2.0")
    return _skip(seen, data, place + 2)


def _frame(seen: _Seen, data: bytes, place: int) -> int:
    left, top, width, height, flags = struct.unpack_from("<HHHHB", data, place + 1)
    if seen.frames == 0:
        seen.right, seen.bottom = left + width, top + height
    seen.frames += 1
    return _skip(seen, data, place + 11 + _table(flags))


def _skip(seen: _Seen, data: bytes, place: int) -> int:
    """Step over sub-blocks up to and with the empty one."""
    while place < len(data) and seen.steps < _MOST_BLOCKS:
        seen.steps += 1
        length = data[place]
        place += 1 + length
        if length == 0:
            break
    return place
