"""Protocol Buffers' wire format: read lazily from memory and written, without generated classes.

Format: the "Encoding" page of the Protocol Buffers documentation. A message is a row of fields,
each a tag (field number and wire type) and a value; a value that is itself a message, a string or
a packed list is a run of bytes, handed out as a view, never copied. Nothing is decoded that is not
asked for, so a constant of a gigabyte costs a slice.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import TypeAlias

Value: TypeAlias = int | memoryview
"""A number as it was stored (unsigned), or the bytes of a string, list or message."""

VARINT = 0
FIXED64 = 1
BYTES = 2
FIXED32 = 5

_MAX_VARINT = 10  # bytes of a 64-bit number, seven bits each


class ProtobufError(ValueError):
    """The bytes are no message: cut short, or of a wire type that does not exist."""


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Field numbers and values of ``message`` in file order. Raises ProtobufError."""
    position, end = 0, len(message)
    while position < end:
        tag = message[position]
        if tag >= 0x80 or tag < 8:
            tag, position = _tag(message, position)
        else:
            position += 1
        # nearly all fields are short runs of bytes: read those without another call
        if tag & 7 == BYTES and position < end and (length := message[position]) < 0x80:
            start = position + 1
            position = start + length
            if position > end:
                raise ProtobufError(f"a field of {length} bytes is cut short")
            yield tag >> 3, message[start:position]
        else:
            value, position = _value(message, position, tag & 7)
            yield tag >> 3, value


def spans(message: memoryview) -> Iterator[tuple[int, memoryview, Value]]:
    """Like ``fields``, with the bytes of the whole field, tag included, for copying it on."""
    position, end = 0, len(message)
    while position < end:
        start = position
        tag, position = _tag(message, position)
        value, position = _value(message, position, tag & 7)
        yield tag >> 3, message[start:position], value


def read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """The unsigned number at ``position``, and the position behind it. Raises ProtobufError."""
    try:
        byte = message[position]
        if byte < 0x80:
            return byte, position + 1
        result = 0
        for index in range(_MAX_VARINT):
            byte = message[position + index]
            result |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return result & 0xFFFFFFFFFFFFFFFF, position + index + 1
    except IndexError as error:
        raise ProtobufError("a number is cut short") from error
    raise ProtobufError("a number has more than ten bytes")


def varints(packed: memoryview) -> Iterator[int]:
    """The numbers of a packed list. Raises ProtobufError."""
    position = 0
    while position < len(packed):
        number, position = read_varint(packed, position)
        yield number


def signed(number: int) -> int:
    """An ``int64`` or ``int32`` from its unsigned stored form (two's complement, 64 bits)."""
    return number - (1 << 64) if number >= 1 << 63 else number


def float32(number: int) -> float:
    """A ``float`` from the bits stored as fixed32."""
    return float(struct.unpack("<f", struct.pack("<I", number & 0xFFFFFFFF))[0])


def first(message: Value | bytes | None, number: int) -> Value | None:
    """The value of field ``number``, the last one written (protobuf's rule for single fields)."""
    found: Value | None = None
    for which, value in fields(view(message)):
        if which == number:
            found = value
    return found


def view(value: Value | bytes | None) -> memoryview:
    """``value`` as bytes; nothing counts as empty. Raises ProtobufError for a number."""
    if isinstance(value, int):
        raise ProtobufError("a number stands where a message belongs")
    return memoryview(value or b"")


def text(value: Value | None) -> str:
    """``value`` as text. Raises ProtobufError for a number or bytes that are no UTF-8."""
    try:
        return str(view(value), "utf-8")
    except UnicodeDecodeError as error:
        raise ProtobufError("a name is no UTF-8 text") from error


def entry(message: memoryview) -> tuple[str, Value | None]:
    """Key and value of a map's entry."""
    key: Value | None = None
    found: Value | None = None
    for number, value in fields(message):
        if number == 1:
            key = value
        elif number == 2:
            found = value
    return text(key), found


def encode_varint(number: int) -> bytes:
    """``number`` (0 or more) as a varint."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode(number: int, value: int | bytes) -> bytes:
    """One field: an int as a varint, bytes as a run of bytes."""
    if isinstance(value, int):
        return encode_varint(number << 3 | VARINT) + encode_varint(value)
    return encode_varint(number << 3 | BYTES) + encode_varint(len(value)) + value


def framed(number: int, parts: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
    """One field whose value is the ``parts`` put together; nothing is copied until all are joined.

    Views must be of single bytes.
    """
    length = sum(len(part) for part in parts)
    return [encode_varint(number << 3 | BYTES) + encode_varint(length), *parts]


def _tag(message: memoryview, position: int) -> tuple[int, int]:
    tag, position = read_varint(message, position)
    if tag >> 3 == 0:
        raise ProtobufError("a field has number 0")
    return tag, position


def _value(message: memoryview, position: int, wire_type: int) -> tuple[Value, int]:
    if wire_type == VARINT:
        return read_varint(message, position)
    if wire_type == BYTES:
        length, position = read_varint(message, position)
        end = position + length
        if end > len(message):
            raise ProtobufError(f"a field of {length} bytes is cut short")
        return message[position:end], end
    if wire_type in {FIXED32, FIXED64}:
        end = position + (4 if wire_type == FIXED32 else 8)
        if end > len(message):
            raise ProtobufError("a number is cut short")
        return int.from_bytes(message[position:end], "little"), end
    raise ProtobufError(f"wire type {wire_type} does not exist")
