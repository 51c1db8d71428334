"""A FlatBuffers reader that believes nothing: every offset is checked against the file.

Format: flatbuffers.dev, "FlatBuffer Internals". A root is a 4-byte offset to a table. A table
begins with a signed offset back to its vtable, which holds its own size, the table's size, and a
16-bit offset for each field (0: absent). Vectors and strings begin with a 32-bit length. All
numbers are little-endian. The generated readers of other projects trust these offsets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tintype.errors import ModelFileDamaged, ModelFileTooLarge

Buffer = bytes | memoryview
MAX_TEXT_BYTES = 4096
"""Names and descriptions are cut here: one long text may be pointed at by many tables."""

_U16 = struct.Struct("<H")
_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Table:
    """One table inside ``data``. ``slot`` is a field's number in the schema, from 0.

    Every method returns the default for an absent field and raises ModelFileDamaged when an
    offset leads out of the data.
    """

    data: Buffer
    at: int
    vtable: int
    vtable_size: int
    size: int

    @classmethod
    def root(cls, data: Buffer) -> Table:
        """Open the root table."""
        return cls.open(data, _number(_U32, data, 0))

    @classmethod
    def open(cls, data: Buffer, at: int) -> Table:
        """Open the table at byte ``at``."""
        vtable = at - _number(_I32, data, at)
        vtable_size = _number(_U16, data, vtable)
        size = _number(_U16, data, vtable + 2)
        if vtable_size < 4 or vtable_size % 2 or size < 4:
            raise _bad("a table's field list makes no sense", at)
        _need(data, vtable, vtable_size)
        _need(data, at, size)
        return cls(data, at, vtable, vtable_size, size)

    def i8(self, slot: int, default: int = 0) -> int:
        """Read a signed byte."""
        return self._scalar(slot, "<b", default)

    def u8(self, slot: int, default: int = 0) -> int:
        """Read a byte (also a union's type)."""
        return self._scalar(slot, "<B", default)

    def i32(self, slot: int, default: int = 0) -> int:
        """Read a signed 32-bit number."""
        return self._scalar(slot, "<i", default)

    def u32(self, slot: int, default: int = 0) -> int:
        """Read an unsigned 32-bit number."""
        return self._scalar(slot, "<I", default)

    def u64(self, slot: int, default: int = 0) -> int:
        """Read an unsigned 64-bit number."""
        return self._scalar(slot, "<Q", default)

    def text(self, slot: int) -> str:
        """Read a string, at most 4096 bytes of it; empty when absent."""
        found = self._vector(slot, 1)
        if found is None:
            return ""
        start, count = found
        return bytes(self.data[start : start + min(count, MAX_TEXT_BYTES)]).decode(
            "utf-8", "replace"
        )

    def table(self, slot: int) -> Table | None:
        """Open the table a field points to (also a union's value); None when absent."""
        at = self._target(slot)
        return None if at is None else Table.open(self.data, at)

    def length(self, slot: int) -> int:
        """Count a vector's entries, 0 when absent (entries of one byte at least)."""
        found = self._vector(slot, 1)
        return 0 if found is None else found[1]

    def tables(self, slot: int, *, most: int) -> Iterator[Table]:
        """Open each table of a vector. Raises ModelFileTooLarge above ``most`` entries."""
        found = self._vector(slot, 4)
        if found is None:
            return
        start, count = found
        if count > most:
            raise ModelFileTooLarge(
                f"the file lists {count:,} entries where at most {most:,} are read",
                limit=most,
                actual=count,
            )
        for place in range(start, start + 4 * count, 4):
            yield Table.open(self.data, place + _number(_U32, self.data, place))

    def numbers(self, slot: int, dtype: str, *, most: int) -> npt.NDArray[np.generic]:
        """Copy a vector of numbers of a numpy ``dtype`` such as ``<i4``; empty when absent.

        Raises ModelFileTooLarge above ``most`` entries.
        """
        kind = np.dtype(dtype)
        found = self._vector(slot, kind.itemsize)
        if found is None:
            return np.empty(0, kind)
        start, count = found
        if count > most:
            raise ModelFileTooLarge(
                f"a list of {count:,} numbers where at most {most:,} are expected",
                limit=most,
                actual=count,
            )
        return np.frombuffer(self.data, kind, count, start).copy()

    def bytes(self, slot: int) -> memoryview:
        """View a vector of bytes without copying it; empty when absent."""
        found = self._vector(slot, 1)
        start, count = found or (0, 0)
        return memoryview(self.data)[start : start + count]

    def _place(self, slot: int) -> int | None:
        entry = 4 + 2 * slot
        if entry + 2 > self.vtable_size:
            return None
        offset = _number(_U16, self.data, self.vtable + entry)
        return self.at + offset if offset else None

    def _scalar(self, slot: int, code: str, default: int) -> int:
        place = self._place(slot)
        return default if place is None else _number(struct.Struct(code), self.data, place)

    def _target(self, slot: int) -> int | None:
        place = self._place(slot)
        return None if place is None else place + _number(_U32, self.data, place)

    def _vector(self, slot: int, item_bytes: int) -> tuple[int, int] | None:
        at = self._target(slot)
        if at is None:
            return None
        count = _number(_U32, self.data, at)
        _need(self.data, at + 4, count * item_bytes)
        return at + 4, count


def _number(code: struct.Struct, data: Buffer, at: int) -> int:
    _need(data, at, code.size)
    return int(code.unpack_from(data, at)[0])


def _need(data: Buffer, at: int, size: int) -> None:
    if at < 0 or at + size > len(data):
        raise _bad(f"it points at bytes {at:,} to {at + size:,} of {len(data):,}", at)


def _bad(why: str, at: int) -> ModelFileDamaged:
    return ModelFileDamaged(
        f"the TFLite file is damaged or cut short: {why}",
        hint="copy or download the file again",
        offset=at,
    )
