"""Layers that join several tensors."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

import numpy as np

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value, keras_order, show_shape
from tintype.modelfiles.keras.layers.arguments import constant_operand
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.types import Shape


def _merge(op: str) -> LayerKind:
    def emit(call: LayerCall) -> Value:
        values = aligned(call, same_rank(call, given(call)))
        return reduce(lambda left, right: pairwise(call, op, left, right), values)

    return LayerKind(emit)


def _average(call: LayerCall) -> Value:
    values = aligned(call, same_rank(call, given(call)))
    total = reduce(lambda left, right: pairwise(call, "Add", left, right), values)
    mean = call.emit("Mul", (total.name, call.graph.scalar(1 / len(values))), "mean")
    return call.like(mean, total)


def _subtract(call: LayerCall) -> Value:
    values = aligned(call, same_rank(call, given(call)))
    if len(values) != 2:
        raise ModelFileDamaged(f"layer {call.name!r} subtracts {len(values)} tensors, not two")
    return pairwise(call, "Sub", values[0], values[1])


def _concatenate(call: LayerCall) -> Value:
    return concatenated(call, given(call), call.settings.integer("axis", -1))


def given(call: LayerCall) -> tuple[Value, ...]:
    """Everything a layer joins; numbers among its tensors are constants of the graph."""
    items = call.args[0] if call.args and isinstance(call.args[0], list) else call.args
    return with_constants(call, items)


def with_constants(call: LayerCall, items: Iterable[Any]) -> tuple[Value, ...]:
    """Tensors, and numbers as constants of one picture."""
    return tuple(item if isinstance(item, Value) else _constant(call, item) for item in items)


def _for_each_picture(call: LayerCall, value: Value, like: Value) -> Value:
    """A constant of one picture, as often as ``like`` has pictures: Concat does not spread."""
    if value.shape[0] is None:
        return value
    size = call.emit("Shape", (call.graph.as_keras(like).name,), "batch", end=1)
    rest = call.graph.shape_constant(tuple(length or 1 for length in value.shape[1:]))
    sizes = call.emit("Concat", (size, rest), "sizes", axis=0)
    name = call.emit("Expand", (value.name, sizes), "expanded")
    return call.result(name, (None, *value.shape[1:]))


def _constant(call: LayerCall, item: Any) -> Value:
    numbers = constant_operand(call, item)
    if numbers.ndim == 0:
        numbers = numbers.reshape(1)
    if numbers.shape[0] != 1 or not np.isfinite(numbers).all():
        raise call.unsupported(f"a constant of the shape {numbers.shape}")
    return call.result(call.constant(numbers, "constant"), numbers.shape, keras_order(numbers.ndim))


def concatenated(call: LayerCall, items: tuple[Value, ...], axis: int) -> Value:
    """Several tensors one after the other along a Keras axis."""
    tensors = [item for item in items if item.shape[0] is None]
    if tensors and len(tensors) < len(items):
        items = tuple(_for_each_picture(call, item, tensors[0]) for item in items)
    values = aligned(call, items)
    if len({value.rank for value in values}) != 1 or not -values[0].rank <= axis < values[0].rank:
        raise ModelFileDamaged(f"layer {call.name!r} cannot join along axis {axis}")
    axis %= values[0].rank
    if axis == 0:
        raise call.unsupported("joining along the batch axis")
    lengths = [value.shape[axis] for value in values]
    total = None if None in lengths else sum(length for length in lengths if length is not None)
    shape = tuple(
        total if number == axis else length for number, length in enumerate(values[0].shape)
    )
    name = call.emit("Concat", [value.name for value in values], axis=values[0].position(axis))
    return call.result(name, shape, values[0].order)


def same_rank(call: LayerCall, values: tuple[Value, ...]) -> tuple[Value, ...]:
    """Keras gives tensors of fewer axes new ones behind the batch axis."""
    if not values:
        raise ModelFileDamaged(f"layer {call.name!r} joins no tensors")
    rank = max(value.rank for value in values)
    return tuple(
        value
        if value.rank == rank
        else call.reshaped(
            value, (value.shape[0], *(1,) * (rank - value.rank), *value.shape[1:]), "widened"
        )
        for value in values
    )


def aligned(call: LayerCall, values: tuple[Value, ...]) -> tuple[Value, ...]:
    """The tensors with their axes stored in one order: the first that is not Keras' own."""
    order = next((value.order for value in values if not value.plain), None)
    if order is None:
        return values
    return tuple(
        call.graph.reordered(value, order) if value.rank == len(order) else value
        for value in values
    )


def pairwise(call: LayerCall, op: str, left: Value, right: Value) -> Value:
    """One operation on two tensors of one rank and order, spread over each other."""
    shape = spread_shape(call, left, right)
    return call.result(call.emit(op, (left.name, right.name)), shape, left.order)


def spread_shape(call: LayerCall, left: Value, right: Value) -> Shape:
    """The shape of two tensors of one rank spread over each other."""
    return tuple(
        _spread(call, one, other) for one, other in zip(left.shape, right.shape, strict=True)
    )


def _spread(call: LayerCall, one: int | None, other: int | None) -> int | None:
    if other in (one, 1):
        return one
    if one == 1:
        return other
    if one is None or other is None:
        return one if other is None else other
    shapes: tuple[Shape, ...] = tuple(value.shape for value in call.inputs)
    raise ModelFileDamaged(
        f"layer {call.name!r} ({call.kind}) cannot join the shapes "
        + " and ".join(show_shape(shape) for shape in shapes)
    )


MERGE_LAYERS: dict[str, LayerKind] = {
    "Add": _merge("Add"),
    "Multiply": _merge("Mul"),
    "Maximum": _merge("Max"),
    "Minimum": _merge("Min"),
    "Average": LayerKind(_average),
    "Subtract": LayerKind(_subtract),
    "Concatenate": LayerKind(_concatenate),
}
