"""The outermost fields of a protobuf message in a file, without reading what they hold.

Encoding: protobuf.dev, "Encoding". Enough to tell ONNX, SavedModel and GraphDef apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_MOST_FIELDS = 64
_HEAD = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field: its number, wire type (0 varint, 1 eight bytes, 2 length, 5 four bytes).

    ``value`` is a varint's number or a payload's length; ``head`` the first bytes of a payload.
    """

    number: int
    wire: int
    value: int
    head: bytes = b""


def fields_of(file: BinaryIO, size: int) -> tuple[tuple[Field, ...], bool]:
    """Read up to 64 outermost fields; also whether all of that is sound protobuf.

    A payload that reaches beyond the end of the file still counts: the file may be cut short.
    """
    found: list[Field] = []
    place = 0
    while place < size and len(found) < _MOST_FIELDS:
        file.seek(place)
        field, used = _field(file.read(_HEAD))
        if field is None:
            return tuple(found), False
        found.append(field)
        place += used + (field.value if field.wire == 2 else 0)
    return tuple(found), True


def fields_in(data: bytes) -> Iterator[Field]:
    """Read the fields of a message that may be cut off at its end."""
    place = 0
    while place < len(data):
        field, used = _field(data[place:])
        if field is None:
            return
        yield field
        place += used + (field.value if field.wire == 2 else 0)


def _field(data: bytes) -> tuple[Field | None, int]:
    key, at = _varint(data, 0)
    if key is None or key >> 3 == 0 or key >> 32:
        return None, 0
    wire = key & 7
    if wire in (1, 5):
        width = 8 if wire == 1 else 4
        return Field(number=key >> 3, wire=wire, value=0), at + width
    if wire not in (0, 2):
        return None, 0
    value, at = _varint(data, at)
    if value is None or (wire == 2 and value >> 40):
        return None, 0
    head = data[at : at + min(value, _HEAD)] if wire == 2 else b""
    return Field(number=key >> 3, wire=wire, value=value, head=head), at


def _varint(data: bytes, at: int) -> tuple[int | None, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            return None, at
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
    return None, at
