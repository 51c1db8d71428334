"""Operations on the last two axes as a matrix: products and triangles."""

from __future__ import annotations

import numpy as np

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.arguments import (
    argument,
    constant_operand,
    operands,
    subject,
    whole,
)
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.shaping import known_length, permuted


def matmul(call: LayerCall) -> Value:
    """A product of matrices along the last two axes; the second may stand in the file."""
    left, right = operands(call)
    turned = [bool(argument(call, key, default=False)) for key in ("transpose_a", "transpose_b")]
    if not isinstance(left, Value):
        raise call.unsupported("numbers times a tensor")
    first = call.graph.as_keras(left)
    if turned[0]:
        first = _turned(call, first)
    if isinstance(right, Value):
        second = call.graph.as_keras(right)
        second = _turned(call, second) if turned[1] else second
        if first.rank != second.rank or first.rank < 3:
            raise call.unsupported(f"a product of {first.rank} and {second.rank} axes")
        inner, outer, name = second.shape[-2], second.shape[-1], second.name
        batch = tuple(
            other if one == 1 else one
            for one, other in zip(first.shape[:-2], second.shape[:-2], strict=True)
        )
    else:
        matrix = constant_operand(call, right)
        matrix = np.swapaxes(matrix, -1, -2) if turned[1] and matrix.ndim > 1 else matrix
        if matrix.ndim != 2 or first.rank < 2:
            raise call.unsupported(f"a product with numbers of {matrix.ndim} axes")
        (inner, outer), name = matrix.shape, call.constant(matrix, "matrix")
        batch = first.shape[:-2]
    if first.shape[-1] != inner:
        raise ModelFileDamaged(f"operation {call.name!r} multiplies matrices that do not fit")
    shape = (*batch, first.shape[-2], outer)
    return call.result(call.emit("MatMul", (first.name, name)), shape)


def _turned(call: LayerCall, value: Value) -> Value:
    axes = [*range(value.rank - 2), value.rank - 1, value.rank - 2]
    return call.graph.as_keras(permuted(call, value, axes))


def triangle(op: str) -> LayerKind:
    """What lies above (triu) or below (tril) a diagonal of the last two axes; the rest 0."""

    def emit(call: LayerCall) -> Value:
        value = call.graph.as_keras(subject(call))
        if value.rank < 3:
            raise call.unsupported("a triangle of the batch axis")
        rows, columns = (
            known_length(call, value, axis) for axis in (-2 % value.rank, value.rank - 1)
        )
        if rows * columns > 1 << 24:
            raise call.unsupported(f"a triangle of {rows} x {columns}")
        offset = whole(call, "k", place=1, default=0)
        mask = getattr(np, op)(np.ones((rows, columns), np.float32), offset)
        return call.like(call.emit("Mul", (value.name, call.constant(mask, "mask"))), value)

    return LayerKind(emit)
