"""Operations along axes: means, sums, largest numbers, norms, running sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.arguments import argument, inner_axis, real, subject, whole
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.elementwise import as_bool, as_number

_Reduce: TypeAlias = Callable[[LayerCall, str, tuple[int, ...], int], str]


def axes_of(call: LayerCall, value: Value, *names: str, place: int | None = 1) -> tuple[int, ...]:
    """The axes reduced, as Keras counts them; none named means all, which the batch forbids."""
    given = argument(call, *(names or ("axis", "axes", "reduction_indices")), place=place)
    items = given if isinstance(given, list | tuple) else [given]
    if not all(isinstance(item, int) and not isinstance(item, bool) for item in items):
        raise call.unsupported(f"a reduction over the axes {given!r:.40}")
    return tuple(sorted({inner_axis(call, axis, value.rank) for axis in items}))


def reduced(call: LayerCall, op: str, name: str, axes: tuple[int, ...], keep: int) -> str:
    """One ONNX reduction over stored axes; ReduceSum alone takes them as an input."""
    if op == "ReduceSum":
        return call.emit(op, (name, call.graph.shape_constant(axes)), "sum", keepdims=keep)
    return call.emit(op, (name,), op.lower(), axes=axes, keepdims=keep)


def reduction(write: str | _Reduce) -> LayerKind:
    """Numbers along axes made one; the axes stay, of length 1, with keepdims."""

    def emit(call: LayerCall) -> Value:
        value = subject(call)
        axes = axes_of(call, value)
        keep = bool(argument(call, "keepdims", "keep_dims", place=2, default=False))
        if argument(call, "initial") is not None:
            raise call.unsupported("a reduction with a first value")
        positions = tuple(sorted(value.position(axis) for axis in axes))
        if isinstance(write, str):
            name = reduced(call, write, value.name, positions, int(keep))
        else:
            name = write(call, value.name, positions, int(keep))
        return without_axes(call, value, name, axes, keep=keep)

    return LayerKind(emit)


def without_axes(
    call: LayerCall, value: Value, name: str, axes: tuple[int, ...], *, keep: bool
) -> Value:
    """What is left of ``value`` when ``axes`` were reduced."""
    if keep:
        shape = tuple(1 if axis in axes else n for axis, n in enumerate(value.shape))
        return call.result(name, shape, value.order)
    left = [axis for axis in value.order if axis not in axes]
    kept = sorted(left)
    shape = tuple(value.shape[axis] for axis in kept)
    return call.result(name, shape, tuple(kept.index(axis) for axis in left))


def variance(call: LayerCall, name: str, axes: tuple[int, ...], keep: int) -> str:
    """The mean square of the distance from the mean."""
    mean = reduced(call, "ReduceMean", name, axes, 1)
    centred = call.emit("Sub", (name, mean), "centred")
    return reduced(call, "ReduceMean", call.emit("Mul", (centred, centred), "squares"), axes, keep)


def deviation(call: LayerCall, name: str, axes: tuple[int, ...], keep: int) -> str:
    """The root of the variance."""
    return call.emit("Sqrt", (variance(call, name, axes, keep),))


def log_sum_exp(call: LayerCall, name: str, axes: tuple[int, ...], keep: int) -> str:
    """Log of the sum of exp x, the largest taken out first."""
    largest = reduced(call, "ReduceMax", name, axes, 1)
    powers = call.emit("Exp", (call.emit("Sub", (name, largest), "less"),), "powers")
    total = call.emit("Log", (reduced(call, "ReduceSum", powers, axes, keep),), "log")
    if not keep:
        largest = reduced(call, "ReduceMax", name, axes, 0)
    return call.emit("Add", (total, largest))


def every(call: LayerCall, name: str, axes: tuple[int, ...], keep: int) -> str:
    """1 where none is 0."""
    return reduced(call, "ReduceMin", as_number(call, as_bool(call, name)), axes, keep)


def some(call: LayerCall, name: str, axes: tuple[int, ...], keep: int) -> str:
    """1 where one is not 0."""
    return reduced(call, "ReduceMax", as_number(call, as_bool(call, name)), axes, keep)


def count_nonzero(call: LayerCall, name: str, axes: tuple[int, ...], keep: int) -> str:
    """How many are not 0."""
    return reduced(call, "ReduceSum", as_number(call, as_bool(call, name)), axes, keep)


def spread_of(call: LayerCall, name: str, axes: tuple[int, ...], keep: int) -> str:
    """Largest less smallest."""
    largest = reduced(call, "ReduceMax", name, axes, keep)
    return call.emit("Sub", (largest, reduced(call, "ReduceMin", name, axes, keep)))


def moments(call: LayerCall) -> tuple[Value, Value]:
    """Mean and variance."""
    value = subject(call)
    axes = axes_of(call, value)
    keep = bool(argument(call, "keepdims", "keep_dims", default=False))
    positions = tuple(sorted(value.position(axis) for axis in axes))
    mean = reduced(call, "ReduceMean", value.name, positions, int(keep))
    spread = variance(call, value.name, positions, int(keep))
    return (
        without_axes(call, value, mean, axes, keep=keep),
        without_axes(call, value, spread, axes, keep=keep),
    )


def extreme_place(op: str) -> LayerKind:
    """The number of the largest or smallest along one axis; the first where several are."""

    def emit(call: LayerCall) -> Value:
        value = subject(call)
        axis = inner_axis(call, whole(call, "axis", place=1), value.rank)
        keep = bool(argument(call, "keepdims", default=False))
        found = call.emit(op, (value.name,), "place", axis=value.position(axis), keepdims=int(keep))
        return without_axes(call, value, as_number(call, found), (axis,), keep=keep)

    return LayerKind(emit)


def running_sum(call: LayerCall) -> Value:
    """Sums of all up to each place."""
    value = subject(call)
    axis = inner_axis(call, whole(call, "axis", place=1), value.rank)
    position = call.constant(value.position(axis), "axis", dtype="int64")
    name = call.emit(
        "CumSum",
        (value.name, position),
        exclusive=int(bool(argument(call, "exclusive", default=False))),
        reverse=int(bool(argument(call, "reverse", default=False))),
    )
    return call.like(name, value)


def normalised(call: LayerCall) -> Value:
    """keras.ops.normalize: x / max(norm, epsilon)."""
    value = subject(call)
    axes = axes_of(call, value) if argument(call, "axis", place=1) is not None else ()
    axes = axes or (value.rank - 1,)
    order = argument(call, "order", place=2, default=2)
    epsilon = real(call, "epsilon", place=3, default=1e-7)
    positions = tuple(sorted(value.position(axis) for axis in axes))
    if order == 2:
        return call.like(unit_length(call, value.name, positions, epsilon**2), value)
    if order != 1:
        raise call.unsupported(f"a norm of order {order!r:.20}")
    sizes = call.emit("Abs", (value.name,), "sizes")
    norm = reduced(call, "ReduceSum", sizes, positions, 1)
    safe = call.emit("Max", (norm, call.graph.scalar(epsilon)), "safe")
    return call.like(call.emit("Div", (value.name, safe)), value)


def unit_length(call: LayerCall, name: str, axes: tuple[int, ...], epsilon: float) -> str:
    """Give x / sqrt(max(sum x^2, epsilon)), as tf.math.l2_normalize has it.

    keras ``ops/nn.py`` bounds the norm itself, so its epsilon comes here squared.
    """
    squares = reduced(call, "ReduceSum", call.emit("Mul", (name, name), "squares"), axes, 1)
    safe = call.emit("Max", (squares, call.graph.scalar(epsilon)), "safe")
    return call.emit("Div", (name, call.emit("Sqrt", (safe,), "norm")))


def l2_normalised(call: LayerCall) -> Value:
    """tf.math.l2_normalize: x / sqrt(max(sum x^2, epsilon))."""
    value = subject(call)
    axes = axes_of(call, value, "axis", "dim")
    epsilon = real(call, "epsilon", place=2, default=1e-12)
    positions = tuple(sorted(value.position(axis) for axis in axes))
    return call.like(unit_length(call, value.name, positions, epsilon), value)


def euclidean_norm(call: LayerCall, name: str, axes: tuple[int, ...], keep: int) -> str:
    """The root of the sum of squares."""
    squares = call.emit("Mul", (name, name), "squares")
    return call.emit("Sqrt", (reduced(call, "ReduceSum", squares, axes, keep),))
