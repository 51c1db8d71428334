"""Dot: the product of two tensors along one axis of each, picture by picture."""

from __future__ import annotations

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.arguments import inner_axis
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.reductions import unit_length
from tintype.modelfiles.keras.layers.shaping import permuted
from tintype.types import Shape


def _dot(call: LayerCall) -> Value:
    """What is left of the first, then what is left of the other (keras ``merging/dot.py``)."""
    if len(call.inputs) != 2:
        raise ModelFileDamaged(
            f"layer {call.name!r} multiplies {len(call.inputs)} tensors, not two"
        )
    left, right = call.inputs
    given = call.settings.integer_list("axes")
    axes = given * 2 if len(given) == 1 else given
    if len(axes) != 2:
        raise call.unsupported(f"a product along the axes {list(axes)}")
    first = inner_axis(call, axes[0], left.rank)
    second = inner_axis(call, axes[1], right.rank)
    if left.shape[first] != right.shape[second]:
        raise ModelFileDamaged(f"layer {call.name!r} multiplies axes of unequal length")
    if call.settings.flag("normalize", default=False):
        left, right = _unit(call, left, first), _unit(call, right, second)
    rows = _matrix(call, left, first, last=True)
    columns = _matrix(call, right, second, last=False)
    product = call.emit("MatMul", (rows.name, columns.name), "product")
    rest = (*_rest(left, first), *_rest(right, second)) or (1,)
    flat = call.result(product, (left.shape[0], rows.shape[1], columns.shape[2]))
    return call.reshaped(flat, (left.shape[0], *rest))


def _unit(call: LayerCall, value: Value, axis: int) -> Value:
    epsilon = 1e-14 if call.generation >= 3 else 1e-12
    return call.like(unit_length(call, value.name, (value.position(axis),), epsilon), value)


def _rest(value: Value, axis: int) -> Shape:
    return tuple(n for number, n in enumerate(value.shape) if number not in {0, axis})


def _matrix(call: LayerCall, value: Value, axis: int, *, last: bool) -> Value:
    """The tensor as a matrix, its axis ``axis`` the last one or the first."""
    others = [number for number in range(1, value.rank) if number != axis]
    turned = permuted(call, value, [0, *others, axis] if last else [0, axis, *others])
    rest = _rest(value, axis)
    if None in rest:
        raise call.unsupported("axes of unknown length")
    many = 1
    for length in rest:
        many *= length or 1
    shape = (value.shape[0], many, value.shape[axis]) if last else (
        value.shape[0], value.shape[axis], many
    )  # fmt: skip
    return call.reshaped(turned, shape, "left" if last else "right")


DOT_LAYERS: dict[str, LayerKind] = {"Dot": LayerKind(_dot)}
