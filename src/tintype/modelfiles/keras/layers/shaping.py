"""Operations that regroup, repeat, join and pick numbers without changing them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value, keras_order
from tintype.modelfiles.keras.layers.arguments import (
    argument,
    axis_of,
    first_of,
    inner_axis,
    real,
    subject,
    tensors,
    whole,
    wholes,
)
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.geometry import END, Cut, sliced
from tintype.modelfiles.keras.layers.merge import concatenated, with_constants
from tintype.types import Shape

_MAX_PARTS = 1024


def expand_dims(call: LayerCall) -> Value:
    """New axes of length 1."""
    value = call.graph.as_keras(subject(call))
    given = wholes(call, "axis", "axes", "dim", place=1)
    rank = value.rank + len(given)
    axes = sorted({inner_axis(call, axis, rank) for axis in given})
    if len(axes) != len(given):
        raise ModelFileDamaged(f"operation {call.name!r} adds one axis twice")
    rest = list(value.shape)
    shape = tuple(1 if axis in axes else rest.pop(0) for axis in range(rank))
    name = call.emit("Unsqueeze", (value.name, call.graph.shape_constant(axes)))
    return call.result(name, shape)


def squeeze(call: LayerCall) -> Value:
    """Axes of length 1 taken away."""
    value = call.graph.as_keras(subject(call))
    given = argument(call, "axis", "axes", "squeeze_dims", place=1)
    if given is None or given == []:
        axes = [axis for axis in range(1, value.rank) if value.shape[axis] == 1]
    else:
        items = wholes(call, "axis", "axes", "squeeze_dims", place=1)
        axes = sorted({inner_axis(call, axis, value.rank) for axis in items})
    if any(value.shape[axis] not in {1, None} for axis in axes):
        raise ModelFileDamaged(f"operation {call.name!r} takes away an axis longer than 1")
    shape = tuple(length for axis, length in enumerate(value.shape) if axis not in axes)
    if not axes:
        return value
    name = call.emit("Squeeze", (value.name, call.graph.shape_constant(axes)))
    return call.result(name, shape)


def concat(call: LayerCall) -> Value:
    """Tensors one after the other; ``axis`` comes first in the oldest TensorFlow."""
    listed = call.args[0] if call.args else first_of(call, ("values", "xs"))
    values = with_constants(call, listed if isinstance(listed, list) else tensors(call))
    axis = whole(call, "axis", "concat_dim", place=1, default=0)
    if not values:
        raise call.unsupported("joining no tensors")
    return concatenated(call, values, axis)


def stack(call: LayerCall) -> Value:
    """Tensors beside each other along a new axis."""
    values = [call.graph.as_keras(value) for value in tensors(call)]
    if not values or len({value.rank for value in values}) != 1:
        raise call.unsupported("stacking tensors of different axes")
    axis = inner_axis(call, whole(call, "axis", place=1, default=0), values[0].rank + 1)
    axes = call.graph.shape_constant((axis,))
    widened = []
    for value in values:
        name = call.emit("Unsqueeze", (value.name, axes), "widened")
        shape = (*value.shape[:axis], 1, *value.shape[axis:])
        widened.append(Value(name, shape, keras_order(len(shape))))
    return concatenated(call, tuple(widened), axis)


def unstack(call: LayerCall) -> tuple[Value, ...]:
    """A tensor along one axis as that many tensors without it."""
    value = call.graph.as_keras(subject(call))
    axis = inner_axis(call, whole(call, "axis", place=2, default=0), value.rank)
    count = known_length(call, value, axis)
    shape = (*value.shape[:axis], *value.shape[axis + 1 :])
    found = []
    for number in range(count):
        index = call.constant(number, "index", dtype="int64")
        name = call.emit("Gather", (value.name, index), f"part_{number}", axis=axis)
        found.append(call.result(name, shape))
    return tuple(found)


def split(call: LayerCall) -> tuple[Value, ...]:
    """A tensor cut along one axis: into so many parts, at places, or into given lengths."""
    value = subject(call)
    axis = inner_axis(call, whole(call, "axis", place=2, default=0), value.rank)
    length = known_length(call, value, axis)
    borders = [0, *_borders(call, length), length]
    parts = []
    for number, (start, stop) in enumerate(pairwise(borders)):
        cut = Cut(axis=value.position(axis), start=start, stop=stop)
        shape = (*value.shape[:axis], stop - start, *value.shape[axis + 1 :])
        name = sliced(call, value.name, [cut], f"part_{number}")
        parts.append(call.result(name, shape, value.order))
    return tuple(parts)


def _borders(call: LayerCall, length: int) -> list[int]:
    """Where a split cuts. Keras gives places, TensorFlow lengths, both a count."""
    lengths = argument(call, "num_or_size_splits", "size_splits")
    given = lengths
    if given is None:
        given = argument(call, "indices_or_sections", place=1)
    if isinstance(given, int) and 0 < given <= _MAX_PARTS and length % given == 0:
        return [length // given * number for number in range(1, given)]
    if not isinstance(given, list | tuple) or not 0 < len(given) <= _MAX_PARTS:
        raise call.unsupported(f"a split into {given!r:.40} of {length}")
    if lengths is None:
        places = [int(place) for place in given]
    else:
        sizes = [int(size) for size in given]
        if sizes.count(-1) == 1:
            sizes[sizes.index(-1)] = length - sum(sizes) - 1
        if sum(sizes) != length:
            raise ModelFileDamaged(f"operation {call.name!r} cuts {length} into {sizes}")
        places = np.cumsum(sizes)[:-1].tolist()
    if places != sorted(places) or any(not 0 < place < length for place in places):
        raise call.unsupported(f"a split at {places} of {length}")
    return places


def known_length(call: LayerCall, value: Value, axis: int) -> int:
    """The length of an axis. Raises UnsupportedModel where it is unknown or very large."""
    length = value.shape[axis]
    if length is None:
        raise call.unsupported("an axis of unknown length")
    if length > _MAX_PARTS * 1024:
        raise call.unsupported(f"an axis of {length}")
    return length


def tile(call: LayerCall) -> Value:
    """The whole tensor again and again, along each axis."""
    value = call.graph.as_keras(subject(call))
    counts = wholes(call, "repeats", "multiples", place=1)
    if len(counts) < value.rank:
        counts = (*(1,) * (value.rank - len(counts)), *counts)
    if len(counts) != value.rank or counts[0] != 1 or min(counts) < 1:
        raise call.unsupported(f"repeating by {list(counts)}")
    shape = _times(value.shape, counts)
    return call.result(call.emit("Tile", (value.name, call.graph.shape_constant(counts))), shape)


def _times(shape: Shape, counts: Sequence[int]) -> Shape:
    return tuple(
        None if length is None else length * count
        for length, count in zip(shape, counts, strict=True)
    )


def repeat(call: LayerCall) -> Value:
    """Each place along one axis, several times in a row."""
    value = subject(call)
    axis = inner_axis(call, whole(call, "axis", place=2), value.rank)
    count = whole(call, "repeats", place=1)
    length = known_length(call, value, axis)
    if not 1 <= count < 1 << 16 or count * length > 1 << 24:
        raise call.unsupported(f"repeating {count} times")
    return gathered(call, value, np.repeat(np.arange(length), count), axis)


def gathered(call: LayerCall, value: Value, places: Any, axis: int, suffix: str = "") -> Value:
    """The numbers of ``value`` at ``places`` along one axis; ``places`` have one axis."""
    shape = (*value.shape[:axis], len(places), *value.shape[axis + 1 :])
    call.result(value.name, shape, value.order)  # before anything of that size is made
    index = call.constant(places, "places", dtype="int64")
    name = call.emit("Gather", (value.name, index), suffix, axis=value.position(axis))
    return call.result(name, shape, value.order)


def flip(axes: tuple[int, ...] | None = None) -> LayerKind:
    """The other way round along axes."""

    def emit(call: LayerCall) -> Value:
        value = subject(call)
        chosen = axes or wholes(call, "axis", place=1)
        inner = sorted({inner_axis(call, axis, value.rank) for axis in chosen})
        cuts = [Cut(axis=value.position(axis), start=-1, stop=-END, step=-1) for axis in inner]
        return call.like(sliced(call, value.name, cuts), value)

    return LayerKind(emit)


def roll(call: LayerCall) -> Value:
    """Shifted along axes; what falls out comes in again at the other side."""
    value = subject(call)
    shifts = wholes(call, "shift", place=1)
    axes = wholes(call, "axis", place=2)
    if len(shifts) != len(axes):
        raise call.unsupported(f"shifts {list(shifts)} along the axes {list(axes)}")
    for number, (shift, given) in enumerate(zip(shifts, axes, strict=True)):
        axis = inner_axis(call, given, value.rank)
        places = np.roll(np.arange(known_length(call, value, axis)), shift)
        value = gathered(call, value, places, axis, f"rolled_{number}")
    return value


def moveaxis(call: LayerCall) -> Value:
    """Axes put elsewhere; the others keep their sequence."""
    value = subject(call)
    source = [axis_of(call, axis, value.rank) for axis in wholes(call, "source", place=1)]
    target = [axis_of(call, axis, value.rank) for axis in wholes(call, "destination", place=2)]
    if len(source) != len(target) or len(set(source)) != len(source):
        raise ModelFileDamaged(f"operation {call.name!r} moves axes that do not fit")
    order = [axis for axis in range(value.rank) if axis not in source]
    for place, axis in sorted(zip(target, source, strict=True)):
        order.insert(place, axis)
    return permuted(call, value, order)


def swapaxes(call: LayerCall) -> Value:
    """Two axes change places."""
    value = subject(call)
    first = axis_of(call, whole(call, "axis1", place=1), value.rank)
    second = axis_of(call, whole(call, "axis2", place=2), value.rank)
    order = list(range(value.rank))
    order[first], order[second] = second, first
    return permuted(call, value, order)


def permuted(call: LayerCall, value: Value, axes: list[int]) -> Value:
    """Only the meaning of the axes changes; nothing moves until an order is asked for."""
    if axes[0] != 0:
        raise call.unsupported("moving the batch axis")
    new_axis = {old: new for new, old in enumerate(axes)}
    shape = tuple(value.shape[axis] for axis in axes)
    return call.result(value.name, shape, tuple(new_axis[axis] for axis in value.order))


_MODES = {"constant": "constant", "reflect": "reflect", "edge": "edge"}


def pad(call: LayerCall) -> Value:
    """Margins of a number, or of the picture itself mirrored or drawn out."""
    value = subject(call)
    given = argument(call, "pad_width", "paddings", place=1)
    mode = str(argument(call, "mode", place=2, default="constant")).lower()
    number = real(call, "constant_values", place=3, default=0.0)
    margins = _margins(call, given, value.rank)
    if mode not in _MODES and mode != "symmetric":
        raise call.unsupported(f"padding {mode!r:.20}")
    if mode == "symmetric":
        return _symmetric(call, value, margins)
    begins, ends, shape = [0] * value.rank, [0] * value.rank, list(value.shape)
    for axis, (before, after) in enumerate(margins):
        begins[value.position(axis)], ends[value.position(axis)] = before, after
        length = shape[axis]
        shape[axis] = None if length is None else length + before + after
    inputs = [value.name, call.graph.shape_constant((*begins, *ends))]
    if mode == "constant" and number:
        inputs.append(call.graph.scalar(number))
    return call.result(call.emit("Pad", inputs, mode=_MODES[mode]), tuple(shape), value.order)


def _margins(call: LayerCall, given: Any, rank: int) -> list[tuple[int, int]]:
    if isinstance(given, int):
        given = [[given, given]] * rank
    if isinstance(given, list) and len(given) == 2 and all(isinstance(n, int) for n in given):
        given = [given] * rank
    if isinstance(given, list) and len(given) == 1:
        given = given * rank
    good = isinstance(given, list) and len(given) == rank
    pairs = [item for item in given if isinstance(item, list | tuple)] if good else []
    numbers = [number for item in pairs for number in item]
    if len(numbers) != 2 * rank or not all(
        isinstance(n, int) and 0 <= n < 1 << 20 for n in numbers
    ):
        raise call.unsupported(f"margins {given!r:.60}")
    if numbers[:2] != [0, 0]:
        raise call.unsupported("margins of the batch axis")
    return [(item[0], item[1]) for item in pairs]


def _symmetric(call: LayerCall, value: Value, margins: list[tuple[int, int]]) -> Value:
    for axis, (before, after) in enumerate(margins):
        if before or after:
            length = known_length(call, value, axis)
            if max(before, after) > length:
                raise ModelFileDamaged(f"operation {call.name!r} mirrors more than there is")
            places = np.pad(np.arange(length), (before, after), mode="symmetric")
            value = gathered(call, value, places, axis, f"axis_{axis}")
    return value


def broadcast_to(call: LayerCall) -> Value:
    """Axes of length 1 made longer."""
    value = call.graph.as_keras(subject(call))
    target = argument(call, "shape", place=1)
    if not isinstance(target, list | tuple) or len(target) != value.rank:
        raise call.unsupported(f"spreading to {target!r:.40}")
    if target[0] not in (None, -1, 1):  # a list is no member of a set
        raise call.unsupported("spreading along the batch axis")
    counts = [1]
    for length, wanted in zip(value.shape[1:], target[1:], strict=True):
        if not isinstance(wanted, int) or length not in {1, wanted}:
            raise call.unsupported(f"spreading to {target!r:.40}")
        counts.append(wanted if length == 1 else 1)
    name = call.emit("Tile", (value.name, call.graph.shape_constant(counts)))
    return call.result(name, _times(value.shape, counts))


def blocks(op: str) -> LayerKind:
    """depth_to_space and space_to_depth: TensorFlow's order of channels is ONNX' mode DCR."""

    def emit(call: LayerCall) -> Value:
        value = subject(call)
        size = whole(call, "block_size", place=1)
        form = argument(call, "data_format", default="NHWC")
        first = form in {"channels_first", "NCHW"}
        if value.rank != 4 or not 1 <= size < 1 << 16:
            raise call.unsupported(f"blocks of {size}")
        order = (0, 1, 2, 3) if first else (0, 3, 1, 2)
        stored = call.graph.reordered(value, order)
        batch, depth, height, width = stored.stored_shape
        if depth is None:
            raise call.unsupported("an unknown number of channels")
        grow = op == "DepthToSpace"
        if grow and depth % size**2:
            raise ModelFileDamaged(f"operation {call.name!r} spreads {depth} channels")
        if not grow and any(n is not None and n % size for n in (height, width)):
            raise ModelFileDamaged(f"operation {call.name!r} folds a side that does not divide")
        sides = [None if n is None else n * size if grow else n // size for n in (height, width)]
        channels = depth // size**2 if grow else depth * size**2
        shape = (batch, channels, *sides)
        named: dict[str, Any] = {"mode": "DCR"} if grow else {}
        name = call.emit(op, (stored.name,), blocksize=size, **named)
        return call.result(name, tuple(shape[order.index(axis)] for axis in range(4)), order)

    return LayerKind(emit)
