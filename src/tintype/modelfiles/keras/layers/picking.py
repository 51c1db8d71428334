"""Operations that pick numbers by their places or their size: take, one_hot, top_k, sort."""

from __future__ import annotations

import numpy as np

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.arguments import (
    argument,
    constant_operand,
    inner_axis,
    operands,
    real,
    subject,
    whole,
)
from tintype.modelfiles.keras.layers.call import LayerCall
from tintype.modelfiles.keras.layers.elementwise import INT64, as_number
from tintype.modelfiles.keras.layers.shaping import gathered, known_length


def take(call: LayerCall) -> Value:
    """Numbers picked along one axis by places that stand in the file."""
    value, picked = operands(call)
    if not isinstance(value, Value) or isinstance(picked, Value):
        raise call.unsupported("places that are computed")
    if argument(call, "batch_dims", default=0) != 0:
        raise call.unsupported("batch_dims")
    axis = inner_axis(call, whole(call, "axis", place=2, default=0), value.rank)
    numbers = constant_operand(call, picked)
    places = numbers.astype(np.int64)
    length = known_length(call, value, axis)
    if (places != numbers).any() or (places < -length).any() or (places >= length).any():
        raise ModelFileDamaged(f"operation {call.name!r} picks places outside its tensor")
    if places.ndim == 1:
        return gathered(call, value, places % length, axis)
    plain = call.graph.as_keras(value)
    index = call.constant(places % length, "places", dtype="int64")
    shape = (*plain.shape[:axis], *places.shape, *plain.shape[axis + 1 :])
    return call.result(call.emit("Gather", (plain.name, index), axis=axis), shape)


def take_along_axis(call: LayerCall) -> Value:
    """Numbers picked along one axis, each row by its own places."""
    value, places = operands(call)
    if not isinstance(value, Value) or not isinstance(places, Value):
        raise call.unsupported("places that are not computed")
    plain, index = call.graph.as_keras(value), call.graph.as_keras(places)
    axis = inner_axis(call, whole(call, "axis", place=2), plain.rank)
    if index.rank != plain.rank or any(
        plain.shape[other] != index.shape[other] for other in range(1, plain.rank) if other != axis
    ):
        raise call.unsupported("places of another shape")
    whole_numbers = call.emit("Cast", (index.name,), "places", to=INT64)
    name = call.emit("GatherElements", (plain.name, whole_numbers), axis=axis)
    return call.result(name, index.shape)


def one_hot(call: LayerCall) -> Value:
    """A class number as a row of one 1 among 0."""
    value = call.graph.as_keras(subject(call))
    count = whole(call, "num_classes", "depth", place=1)
    axis = whole(call, "axis", place=2, default=-1)
    on = real(call, "on_value", default=1.0)
    off = real(call, "off_value", default=0.0)
    if axis not in {-1, value.rank}:
        raise call.unsupported(f"one_hot along axis {axis}")
    shape = (*value.shape, count)
    call.result(value.name, shape)
    numbers = call.emit("Cast", (value.name,), "classes", to=INT64)
    classes = call.constant(np.arange(count), "numbers", dtype="int64")
    axes = call.graph.shape_constant((value.rank,))
    column = call.emit("Unsqueeze", (numbers, axes), "column")
    hit = call.emit("Equal", (column, classes), "hit")
    name = call.emit("Where", (hit, call.graph.scalar(on), call.graph.scalar(off)))
    return call.result(name, shape)


def top_k(call: LayerCall) -> tuple[Value, Value]:
    """The largest numbers of each row, and where they stood."""
    value = call.graph.as_keras(subject(call))
    count = whole(call, "k", place=1, default=1)
    length = known_length(call, value, inner_axis(call, -1, value.rank))
    if not 1 <= count <= length:
        raise ModelFileDamaged(f"operation {call.name!r} takes {count} of {length}")
    numbers = call.graph.shape_constant((count,))
    found, places = call.graph.add_outputs(
        "TopK", (value.name, numbers), (call.name, f"{call.name}/places")
    )
    shape = (*value.shape[:-1], count)
    return call.result(found, shape), call.result(as_number(call, places), shape)


def ordered(call: LayerCall) -> Value:
    """All numbers along one axis, smallest first."""
    value = subject(call)
    axis = inner_axis(call, whole(call, "axis", place=1, default=-1), value.rank)
    direction = argument(call, "direction", default="ASCENDING")
    name, _ = sort_along(call, value, axis, largest=direction == "DESCENDING")
    return call.like(name, value)


def sort_along(call: LayerCall, value: Value, axis: int, *, largest: bool) -> tuple[str, int]:
    """The sorted numbers, and how many there are along the axis."""
    length = known_length(call, value, axis)
    sorted_name, _ = call.graph.add_outputs(
        "TopK",
        (value.name, call.graph.shape_constant((length,))),
        (f"{call.name}/sorted", f"{call.name}/places"),
        {"axis": value.position(axis), "largest": int(largest)},
    )
    return sorted_name, length
