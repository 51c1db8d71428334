"""A TFLite file's graph as plain values: tensors, operators, inputs, outputs, metadata.

Field numbers follow tensorflow/lite/schema/schema.fbs (file identifier ``TFL3``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tintype.errors import ModelFileDamaged, ModelFileTooLarge
from tintype.modelfiles.safety import DeclaredBytes
from tintype.modelfiles.tflite.flatbuffer import Buffer, Table
from tintype.modelfiles.tflite.operators import CUSTOM, PLACEHOLDER, operator_name
from tintype.types import Shape

_MOST_TENSORS = 200_000
_MOST_OPERATORS = 200_000
_MOST_LINKS = 4_000_000
_MOST_AXES = 16
_NO_BUFFER = 0  # "buffer 0 must be an empty buffer": the tensor has no stored numbers

# enum TensorType of the schema: the name we use and the bytes of one number.
_TYPES: dict[int, tuple[str, float]] = {
    0: ("float32", 4),
    1: ("float16", 2),
    2: ("int32", 4),
    3: ("uint8", 1),
    4: ("int64", 8),
    5: ("string", 0),
    6: ("bool", 1),
    7: ("int16", 2),
    8: ("complex64", 8),
    9: ("int8", 1),
    10: ("float64", 8),
    11: ("complex128", 16),
    12: ("uint64", 8),
    13: ("resource", 0),
    14: ("variant", 0),
    15: ("uint32", 4),
    16: ("uint16", 2),
    17: ("int4", 0.5),
    18: ("bfloat16", 2),
    19: ("int2", 0.25),
    20: ("uint4", 0.5),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TfliteTensor:
    """A tensor. ``shape`` has None where the signature leaves an axis free.

    ``scales`` and ``zero_points`` have one entry, or one along ``axis``; both empty: not
    quantised. ``data`` views the stored numbers, None for a tensor made at run time.
    """

    name: str
    shape: Shape
    dtype: str
    scales: npt.NDArray[np.generic]
    zero_points: npt.NDArray[np.generic]
    axis: int
    data: memoryview | None
    sparse: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TfliteOperator:
    """An operator; ``inputs`` and ``outputs`` are tensor numbers, -1 an input left out."""

    kind: str
    custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TfliteModel:
    """The main graph (subgraph 0) and what the file says about itself."""

    description: str
    tensors: tuple[TfliteTensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[TfliteOperator, ...]
    metadata: dict[str, memoryview]


def parse_model(data: Buffer, *, max_bytes: int) -> TfliteModel:
    """Read the whole structure; the tensors' numbers stay where they are.

    Raises ModelFileDamaged for bytes that contradict themselves, ModelFileTooLarge when the
    tensors declare more than ``max_bytes`` together or the lists are longer than any network's.
    """
    root = Table.root(data)
    buffers = [_stored(data, table) for table in root.tables(4, most=_MOST_TENSORS)]
    graphs = list(root.tables(2, most=10_000))
    if not graphs:
        raise ModelFileDamaged("the TFLite file is damaged: it holds no graph, expected one")
    budget = DeclaredBytes(max_bytes)
    tensors = tuple(
        _tensor(table, buffers, budget) for table in graphs[0].tables(0, most=_MOST_TENSORS)
    )
    for graph in graphs[1:]:
        for table in graph.tables(0, most=_MOST_TENSORS):
            _tensor(table, buffers, budget)
    return TfliteModel(
        description=root.text(3),
        tensors=tensors,
        inputs=_indices(graphs[0], 1, len(tensors)),
        outputs=_indices(graphs[0], 2, len(tensors)),
        operators=_operators(root, graphs[0], len(tensors)),
        metadata=_metadata(root, buffers),
    )


def numbers_of(tensor: TfliteTensor) -> npt.NDArray[np.float32] | None:
    """Return a stored tensor as real float32 numbers, dequantised; None when there are none.

    ``real = (stored - zero_point) * scale`` (TFLite 8-bit quantisation specification).
    """
    storable = {"float32", "float16", "int8", "uint8", "int16", "int32"}
    if tensor.data is None or tensor.sparse or tensor.dtype not in storable:
        return None
    shape = tuple(axis for axis in tensor.shape if axis is not None)
    stored = np.frombuffer(tensor.data, np.dtype(tensor.dtype).newbyteorder("<")).reshape(shape)
    if tensor.scales.size == 0 or tensor.dtype in ("float32", "float16"):
        return stored.astype(np.float32)
    along = [1] * len(shape)
    if tensor.scales.size > 1:
        if tensor.axis >= len(shape) or shape[tensor.axis] != tensor.scales.size:
            return None
        along[tensor.axis] = tensor.scales.size
    scales = tensor.scales.astype(np.float64).reshape(along)
    points = tensor.zero_points.astype(np.float64)
    zero = points.reshape(along) if points.size == tensor.scales.size else 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        return ((stored.astype(np.float64) - zero) * scales).astype(np.float32)


def _stored(data: Buffer, table: Table) -> memoryview:
    """View a buffer: inside the flatbuffer, or, in files above 2 GB, at an offset behind it."""
    offset, size = table.u64(1), table.u64(2)
    if offset <= 1:
        return table.bytes(0)
    if offset + size > len(data):
        raise ModelFileDamaged(
            f"the TFLite file is cut short: weights up to byte {offset + size:,} of {len(data):,}",
            hint="copy or download the file again",
        )
    return memoryview(data)[offset : offset + size]


def _tensor(table: Table, buffers: list[memoryview], budget: DeclaredBytes) -> TfliteTensor:
    fixed = [int(axis) for axis in table.numbers(0, "<i4", most=_MOST_AXES)]
    signature = [int(axis) for axis in table.numbers(7, "<i4", most=_MOST_AXES)]
    name = table.text(3)
    dtype, item_bytes = _TYPES.get(table.i8(1), ("unknown", 0))
    # Converters before shape_signature wrote -1 into the shape itself.
    free = signature if len(signature) == len(fixed) else fixed
    if any(axis < -1 for axis in (*fixed, *free)):
        raise ModelFileDamaged(f"the TFLite file is damaged: tensor {name!r} has shape {fixed}")
    shape = tuple(None if axis == -1 else axis for axis in free)
    size = budget.add([abs(axis) for axis in fixed], item_bytes, what=f"tensor {name!r}")
    data = _data_of(table.u32(2), buffers, name)
    sparse = table.table(6) is not None
    if data is not None and not sparse and item_bytes and len(data) != size:
        raise ModelFileDamaged(
            f"the TFLite file is damaged: tensor {name!r} of shape {fixed} needs {size:,} bytes, "
            f"{len(data):,} are stored"
        )
    quantisation = table.table(4)
    none = np.empty(0, np.float32)
    return TfliteTensor(
        name=name,
        shape=tuple(fixed) if data is not None else shape,
        dtype=dtype,
        scales=none if quantisation is None else quantisation.numbers(2, "<f4", most=1 << 20),
        zero_points=none if quantisation is None else quantisation.numbers(3, "<i8", most=1 << 20),
        axis=0 if quantisation is None else max(0, quantisation.i32(6)),
        data=data,
        sparse=sparse,
    )


def _data_of(index: int, buffers: list[memoryview], name: str) -> memoryview | None:
    if index >= len(buffers):
        raise ModelFileDamaged(
            f"the TFLite file is damaged: tensor {name!r} lies in buffer {index:,} of "
            f"{len(buffers):,}"
        )
    return buffers[index] if index != _NO_BUFFER and len(buffers[index]) else None


def _indices(table: Table, slot: int, count: int, *, optional: bool = False) -> tuple[int, ...]:
    found = tuple(int(index) for index in table.numbers(slot, "<i4", most=_MOST_TENSORS))
    lowest = -1 if optional else 0
    if any(not lowest <= index < count for index in found):
        raise ModelFileDamaged(
            f"the TFLite file is damaged: it refers to tensors beyond the {count:,} it holds"
        )
    return found


def _operators(root: Table, graph: Table, tensors: int) -> tuple[TfliteOperator, ...]:
    codes = [_code(table) for table in root.tables(1, most=10_000)]
    found: list[TfliteOperator] = []
    links = 0
    for table in graph.tables(3, most=_MOST_OPERATORS):
        index = table.u32(0)
        if index >= len(codes):
            raise ModelFileDamaged("the TFLite file is damaged: an operator has no code")
        inputs = _indices(table, 1, tensors, optional=True)
        outputs = _indices(table, 2, tensors, optional=True)
        links += len(inputs) + len(outputs)
        if links > _MOST_LINKS:
            raise ModelFileTooLarge(
                f"the operators refer to tensors more than {_MOST_LINKS:,} times", limit=_MOST_LINKS
            )
        kind, custom = codes[index]
        options = table.table(4) if table.u8(3) else None
        found.append(
            TfliteOperator(
                kind=kind, custom=custom, inputs=inputs, outputs=outputs, options=options
            )
        )
    return tuple(found)


def _code(table: Table) -> tuple[str, bool]:
    """An operator's name; the old one-byte number stays valid below 127 (schema.fbs, v3a)."""
    old, new = table.i8(0), table.i32(3)
    number = max(old, new) if old <= PLACEHOLDER else new
    if number == CUSTOM:
        return table.text(1) or "unnamed custom operator", True
    return operator_name(number), False


def _metadata(root: Table, buffers: list[memoryview]) -> dict[str, memoryview]:
    found: dict[str, memoryview] = {}
    for table in root.tables(6, most=1000):
        index = table.u32(1)
        if index < len(buffers):
            found[table.text(0)] = buffers[index]
    return found
