"""Variables of a checkpoint: ``variables.index`` and ``variables.data-00000-of-00001``.

The index is a table in LevelDB's format (doc/table_format.md of google/leveldb; TensorFlow's copy
in tensorflow/core/lib/io): blocks of sorted entries whose keys share prefixes, one block of
blocks, a footer. Its values are BundleEntryProto
(tensorflow/core/protobuf/tensor_bundle.proto): dtype, shape, shard, offset, size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tintype.errors import ModelFileDamaged, ModelFileTooLarge
from tintype.modelfiles.tensorflow.mapped import map_file
from tintype.types import Shape
from tintype.wire.protobuf import ProtobufError, Value, fields, read_varint, view
from tintype.wire.tensors import ITEM_BYTES, dtype_name, shape_of

_FOOTER = 48
_MAGIC = 0xDB4775248B80FB57
_TRAILER = 5  # compression type and checksum behind every block
_MAX_INDEX = 256 << 20
_MAX_ENTRIES = 500_000


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one variable lies in the data files."""

    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    sliced: bool


@dataclass(frozen=True, slots=True)
class Bundle:
    """The variables of a SavedModel, by key; values are read from the data files on demand."""

    prefix: Path
    shards: int
    entries: Mapping[str, Entry]

    def read(self, key: str, *, max_bytes: int) -> npt.NDArray[np.generic] | None:
        """The variable's value; None if absent, in slices, too large or not numbers."""
        entry = self.entries.get(key)
        if entry is None or entry.sliced or entry.size > max_bytes:
            return None
        if entry.dtype not in ITEM_BYTES or entry.dtype == "bfloat16":
            return None
        data = map_file(self.shard_path(entry.shard), max_bytes=1 << 62)
        stored = data[entry.offset : entry.offset + entry.size]
        return np.frombuffer(stored, np.dtype(entry.dtype).newbyteorder("<")).reshape(entry.shape)

    def read_text(self, key: str, *, max_bytes: int) -> memoryview | None:
        """The single string stored at ``key``: its length, a checksum of that, then its bytes."""
        entry = self.entries.get(key)
        if entry is None or entry.dtype != "string" or entry.shape or entry.size > max_bytes:
            return None
        data = map_file(self.shard_path(entry.shard), max_bytes=1 << 62)
        stored = data[entry.offset : entry.offset + entry.size]
        length, position = read_varint(stored, 0)
        return stored[position + 4 : position + 4 + length]

    def shard_path(self, shard: int) -> Path:
        """The data file that holds ``shard``."""
        return self.prefix.with_name(f"{self.prefix.name}.data-{shard:05d}-of-{self.shards:05d}")


def read_bundle(prefix: Path, *, max_bytes: int) -> Bundle:
    """Read the index beside ``prefix`` (``.../variables/variables``) and check it.

    Raises ModelFileDamaged where the index or a data file is missing, cut short or contradicts
    itself, ModelFileTooLarge above ``max_bytes``.
    """
    index = map_file(prefix.with_name(f"{prefix.name}.index"), max_bytes=_MAX_INDEX)
    try:
        shards, entries = _read_index(index)
    except (ProtobufError, UnicodeDecodeError) as error:
        raise ModelFileDamaged(f"{prefix.name}.index cannot be read: {error}") from error
    bundle = Bundle(prefix, shards, entries)
    _check_sizes(bundle, max_bytes=max_bytes)
    return bundle


def _read_index(table: memoryview) -> tuple[int, dict[str, Entry]]:
    shards, entries = 1, {}
    for key, value in _table(table):
        if key:
            entries[key.decode()] = _entry(value)
        else:
            header = dict(fields(value))  # BundleHeaderProto: num_shards, endianness
            shards = _whole(header.get(1, 1))
            if _whole(header.get(2, 0)):
                raise ProtobufError("the variables are stored big-endian")
        if len(entries) > _MAX_ENTRIES:
            raise ModelFileTooLarge(f"the index names more than {_MAX_ENTRIES} variables")
    return shards, entries


def _table(table: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    if len(table) < _FOOTER:
        raise ProtobufError("it is shorter than its footer")
    footer = table[-_FOOTER:]
    if int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise ProtobufError("it does not end like a table")
    _, position = _handle(footer, 0)
    index, _ = _handle(footer, position)
    for _, value in _block(table, index):
        handle, _ = _handle(value, 0)
        yield from _block(table, handle)


def _whole(value: Value) -> int:
    if not isinstance(value, int):
        raise ProtobufError("a message stands where a number belongs")
    return value


def _handle(message: memoryview, position: int) -> tuple[tuple[int, int], int]:
    offset, position = read_varint(message, position)
    size, position = read_varint(message, position)
    return (offset, size), position


def _block(table: memoryview, handle: tuple[int, int]) -> Iterator[tuple[bytes, memoryview]]:
    """Keys and values of one block; each key repeats the start of the one before it."""
    offset, size = handle
    if offset + size + _TRAILER > len(table) or size < 4:
        raise ProtobufError("a block lies outside the file")
    if table[offset + size] != 0:
        raise ProtobufError("a block is compressed")
    block = table[offset : offset + size]
    restarts = int.from_bytes(block[-4:], "little")
    end = size - 4 * (restarts + 1)
    if end < 0:
        raise ProtobufError("a block has more restarts than room")
    key, position = b"", 0
    while position < end:
        shared, position = read_varint(block, position)
        added, position = read_varint(block, position)
        length, position = read_varint(block, position)
        if shared > len(key) or position + added + length > end:
            raise ProtobufError("an entry lies outside its block")
        key = key[:shared] + bytes(block[position : position + added])
        position += added
        yield key, block[position : position + length]
        position += length


def _entry(message: memoryview) -> Entry:
    dtype, sliced, numbers = "type 0", False, {3: 0, 4: 0, 5: 0}
    shape: Shape = ()
    for number, value in fields(message):
        if number == 1 and isinstance(value, int):
            dtype = dtype_name(value)
        elif number == 2:
            shape = shape_of(view(value)) or ()
        elif number in numbers and isinstance(value, int):
            numbers[number] = value
        elif number == 7:
            sliced = True
    sides = tuple(side or 0 for side in shape)
    return Entry(dtype, sides, numbers[3], numbers[4], numbers[5], sliced)


def _check_sizes(bundle: Bundle, *, max_bytes: int) -> None:
    total = sum(entry.size for entry in bundle.entries.values())
    if total > max_bytes:
        raise ModelFileTooLarge(
            f"the variables declare {total} bytes, the limit is {max_bytes}",
            limit=max_bytes,
            actual=total,
        )
    if bundle.shards > 100_000:
        raise ModelFileDamaged(f"the index names {bundle.shards} data files")
    lengths: dict[int, int] = {}
    for key, entry in bundle.entries.items():
        if entry.shard not in lengths:
            path = bundle.shard_path(entry.shard)
            lengths[entry.shard] = path.stat().st_size if path.is_file() else -1
        length = lengths[entry.shard]
        if length < 0:
            raise ModelFileDamaged(
                f"the data file {bundle.shard_path(entry.shard).name} is missing"
            )
        if entry.offset + entry.size > length:
            raise ModelFileDamaged(
                f"the variable {key!r} lies beyond the end of its data file ({length} bytes)"
            )
        declared = math.prod(entry.shape) * ITEM_BYTES.get(entry.dtype, 0)
        if declared and not entry.sliced and declared != entry.size:
            raise ModelFileDamaged(
                f"the variable {key!r} declares {declared} bytes and holds {entry.size}"
            )
