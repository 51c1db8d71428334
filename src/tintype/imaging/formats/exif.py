"""The one EXIF field that matters here: orientation (TIFF 6.0, section 8; tag 274)."""

from __future__ import annotations

import struct
from typing import Final

_ORIENTATION: Final = 0x0112
_WIDTHS: Final = {3: "H", 4: "I"}
"""SHORT as the standard has it, and LONG as some write."""
_MOST_FIELDS: Final = 1000
"""Real cameras write a few dozen fields in the first directory."""


def orientation(block: bytes) -> int:
    """Return the orientation 1..8 in a TIFF ``block``, 1 where it tells none.

    ``block`` begins with ``II`` or ``MM``, perhaps after JPEG's six bytes ``Exif``. Damage in EXIF
    never makes a picture unusable, so nothing is raised.
    """
    block = block.removeprefix(b"Exif\x00\x00")
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(bytes(block[:4]))
    if order is None or len(block) < 10:
        return 1
    (start,) = struct.unpack_from(order + "I", block, 4)
    if start + 2 > len(block):
        return 1
    (count,) = struct.unpack_from(order + "H", block, start)
    for place in range(start + 2, start + 2 + 12 * min(count, _MOST_FIELDS), 12):
        if place + 12 > len(block):
            return 1
        tag, kind = struct.unpack_from(order + "HH", block, place)
        if tag == _ORIENTATION and kind in _WIDTHS:
            (value,) = struct.unpack_from(order + _WIDTHS[kind], block, place + 8)
            return value if 1 <= value <= 8 else 1
    return 1
