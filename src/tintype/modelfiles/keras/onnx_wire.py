"""An ONNX model written straight as protobuf bytes.

Field numbers are those of onnx.proto3 (ONNX 1.19), the encoding is the Protocol Buffers wire
format. Importing the ``onnx`` package takes longer than all the rest of reading a Keras file, and
its messages copy every weight twice; the tests hold what is written here to onnx' own checker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tintype.errors import ModelFileTooLarge
from tintype.types import Shape

OPSET = 17
"""LayerNormalization came with 17; reductions still take their axes as attributes."""

_IR_VERSION = 8
MAX_BYTES = (1 << 31) - 1
"""No protobuf message may be longer."""

Attribute: TypeAlias = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]
_Chunks: TypeAlias = list[bytes | memoryview]

_ELEMENT_TYPES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "uint16": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float16": 10,
    "float64": 11,
    "uint32": 12,
    "uint64": 13,
}
"""TensorProto.DataType."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One ONNX operation."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """An input or output of the graph: name, numpy dtype, shape."""

    name: str
    dtype: str
    shape: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxGraph:
    """A whole graph: operations in an order they can run in, constants, inputs, outputs."""

    name: str
    nodes: Sequence[Node]
    constants: Mapping[str, npt.NDArray[Any]]
    inputs: Sequence[Port]
    outputs: Sequence[Port]


def encode_model(graph: OnnxGraph, *, producer: str) -> bytes:
    """The bytes of a ModelProto.

    Raises ModelFileTooLarge where the graph would pass protobuf's 2 GiB.
    """
    weights = sum(array.nbytes for array in graph.constants.values())
    if weights > MAX_BYTES - (64 << 20):
        raise ModelFileTooLarge(
            f"the weights have {weights} bytes; a graph in one piece may have {MAX_BYTES}",
            limit=MAX_BYTES,
            actual=weights,
        )
    chunks: _Chunks = []
    for node in graph.nodes:
        chunks += _message(1, _node(node))
    chunks += _text(2, graph.name)
    for key, array in graph.constants.items():
        chunks += _message(5, _tensor(key, array))
    for port in graph.inputs:
        chunks += _message(11, _port(port))
    for port in graph.outputs:
        chunks += _message(12, _port(port))
    opset = _text(1, "") + _integer(2, OPSET)
    model = _integer(1, _IR_VERSION) + _text(2, producer)
    return b"".join(model + _message(7, chunks) + _message(8, opset))


def _node(node: Node) -> _Chunks:
    chunks: _Chunks = []
    for name in node.inputs:
        chunks += _text(1, name)
    for name in node.outputs:
        chunks += _text(2, name)
    chunks += _text(3, node.name) + _text(4, node.op)
    for key, value in node.attributes.items():
        chunks += _message(5, _attribute(key, value))
    return chunks


def _attribute(key: str, value: Attribute) -> _Chunks:
    chunks = _text(1, key)
    if isinstance(value, int):
        return chunks + _integer(3, value) + _integer(20, 2)
    if isinstance(value, float):
        return [*chunks, b"\x15" + np.float32(value).tobytes(), *_integer(20, 1)]
    if isinstance(value, str):
        return chunks + _text(4, value) + _integer(20, 3)
    if all(isinstance(item, int) for item in value):
        for item in value:
            chunks += _integer(8, int(item))
        return chunks + _integer(20, 7)
    if all(isinstance(item, str) for item in value):
        for item in value:
            chunks += _text(9, str(item))
        return chunks + _integer(20, 8)
    floats = [b"\x3d" + np.float32(item).tobytes() for item in value]
    return [*chunks, *floats, *_integer(20, 6)]


def _tensor(name: str, array: npt.NDArray[Any]) -> _Chunks:
    chunks: _Chunks = []
    for length in array.shape:
        chunks += _integer(1, length)
    chunks += _integer(2, _ELEMENT_TYPES[array.dtype.name]) + _text(8, name)
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    # An array without axes, or with none of an axis, has no memoryview of bytes.
    raw = little.reshape(-1).view(np.uint8).data if little.size else b""
    return [*chunks, *_message(9, [raw])]


def _port(port: Port) -> _Chunks:
    dims: _Chunks = []
    for axis, length in enumerate(port.shape):
        free = "N" if axis == 0 else f"{port.name}_{axis}"
        dims += _message(1, _text(2, free) if length is None else _integer(1, length))
    tensor = _integer(1, _ELEMENT_TYPES[port.dtype]) + _message(2, dims)
    return _text(1, port.name) + _message(2, _message(1, tensor))


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers travel as two's complement of 64 bits
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _integer(number: int, value: int) -> _Chunks:
    return [_varint(number << 3) + _varint(value)]


def _text(number: int, value: str) -> _Chunks:
    # JSON may hold lone surrogates, which UTF-8 cannot.
    encoded = value.encode("utf-8", errors="replace")
    return [_varint(number << 3 | 2) + _varint(len(encoded)) + encoded]


def _message(number: int, chunks: _Chunks) -> _Chunks:
    length = sum(len(chunk) for chunk in chunks)
    return [_varint(number << 3 | 2) + _varint(length), *chunks]
