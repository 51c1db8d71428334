"""How long the texts of an attribute are, told before HDF5 reads them.

Texts without a declared length lie in a heap, and thousands of entries may name one and the same
text: reading them would take as much memory again for each. HDF5 tells no length beforehand and
reads attributes whole, so the entries are looked up where they lie in the file. Format: HDF5 File
Format Specification 3.0, IV.A (object headers of version 1, as Keras writes them) and IV.A.2.m
(the attribute message); an entry is a length (4 bytes), an address (8) and an index (4).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

Read = Callable[[int, int], bytes]
"""Gives bytes of the file: where they begin, and how many."""

_ATTRIBUTE, _CONTINUATION = 0x0C, 0x10
_MOST_BLOCKS = 4096
_ENTRY = 16


def length_of_texts(read: Read, header: int, name: str, count: int) -> int | None:
    """Bytes of all ``count`` texts of the attribute ``name`` of the object at ``header``.

    None where the file is not laid out as Keras lays it out, or the attribute is not there.
    """
    if read(0, 8) != b"\x89HDF\r\n\x1a\n" or read(13, 2) != b"\x08\x08":
        return None
    try:
        for kind, body in _messages(read, header):
            entries = _entries(body, name.encode()) if kind == _ATTRIBUTE else None
            if entries is not None and len(entries) >= count * _ENTRY:
                lengths = struct.iter_unpack("<I12x", entries[: count * _ENTRY])
                return sum(int(length) for (length,) in lengths)
    except struct.error:
        return None
    return None


def _messages(read: Read, header: int) -> Iterator[tuple[int, bytes]]:
    """Kind and body of each message of an object header of version 1."""
    version, size = struct.unpack("<B7xI4x", read(header, 16))
    if version != 1:
        return
    blocks = [(header + 16, size)]
    for number in range(_MOST_BLOCKS):
        if number == len(blocks):
            return
        content = read(*blocks[number])
        place = 0
        while place + 8 <= len(content):
            kind, length = struct.unpack_from("<HH", content, place)
            body = content[place + 8 : place + 8 + length]
            if kind == _CONTINUATION:
                blocks.append(struct.unpack_from("<QQ", body))
            yield kind, body
            place += 8 + length


def _entries(body: bytes, name: bytes) -> bytes | None:
    """The data of an attribute message, where it is the attribute ``name``."""
    version, *sizes = struct.unpack_from("<BxHHH", body)
    begin = 9 if version == 3 else 8
    if body[begin : begin + sizes[0]].rstrip(b"\0") != name:
        return None
    # In version 1 each part is filled up to eight bytes.
    return body[begin + sum(-(-size // 8) * 8 if version == 1 else size for size in sizes) :]
