"""Write model/graph.pb: a frozen TensorFlow graph of four operations, without TensorFlow.

    python make_graph.py

It tells which of red, green and blue there is most of in a picture: the mean of each channel, times
ten, through a softmax. A GraphDef is a protobuf message; what is needed of it is written here by
field numbers (tensorflow/core/framework: graph, node_def, attr_value, tensor, types .proto).
"""

from __future__ import annotations

import struct
from pathlib import Path

FLOAT, INT32 = 1, 3  # DataType


def varint(value: int) -> bytes:
    """A number in groups of seven bits, the lowest first."""
    value &= (1 << 64) - 1  # negative numbers are written in two's complement
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes | str) -> bytes:
    """A field: a number, or bytes with their length before them."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def node(name: str, operation: str, inputs: list[str], **attributes: bytes) -> bytes:
    """A NodeDef, as GraphDef's field 1."""
    parts = [field(1, name), field(2, operation), *(field(3, each) for each in inputs)]
    parts += [field(5, field(1, key) + field(2, value)) for key, value in attributes.items()]
    return field(1, b"".join(parts))


def shape(*sides: int) -> bytes:
    """A TensorShapeProto; -1 for a side that is free."""
    return b"".join(field(2, field(1, side)) for side in sides)


def kind(number: int) -> bytes:
    """An AttrValue that holds a data type."""
    return field(6, number)


def constant(name: str, dtype: int, sides: tuple[int, ...], data: bytes) -> bytes:
    """A Const node."""
    tensor = field(1, dtype) + field(2, shape(*sides)) + field(4, data)
    return node(name, "Const", [], dtype=kind(dtype), value=field(8, tensor))


def graph() -> bytes:
    """Read input 224 x 224 RGB as 0..255; the answer is final_result."""
    scale = [10 / 255 if row == column else 0.0 for row in range(3) for column in range(3)]
    return b"".join(
        [
            node(
                "input",
                "Placeholder",
                [],
                dtype=kind(FLOAT),
                shape=field(7, shape(-1, 224, 224, 3)),
            ),
            constant("axes", INT32, (2,), struct.pack("<2i", 1, 2)),
            node("mean", "Mean", ["input", "axes"], T=kind(FLOAT), Tidx=kind(INT32)),
            constant("scale", FLOAT, (3, 3), struct.pack("<9f", *scale)),
            node("logits", "MatMul", ["mean", "scale"], T=kind(FLOAT)),
            node("final_result", "Softmax", ["logits"], T=kind(FLOAT)),
        ]
    )


if __name__ == "__main__":
    Path(__file__).with_name("model").joinpath("graph.pb").write_bytes(graph())
