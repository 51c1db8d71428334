"""What a plain operation is called with: by position, by name, or told by its settings."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.call import LayerCall
from tintype.modelfiles.keras.settings import plain

Operand: TypeAlias = Any
_FIRST = (
    "x", "x1", "a", "input", "inputs", "features", "input_tensor", "tensor", "values", "xs",
    "logits", "images", "image", "value", "params", "input_", "array", "t", "arrays",
)  # fmt: skip
_SECOND = ("y", "x2", "b", "bias", "indices")


def operands(call: LayerCall) -> tuple[Operand, Operand]:
    """The two sides of an arithmetic operation, by position or by name."""
    positional = list(call.args)
    for names in (_FIRST, _SECOND):
        if len(positional) < 2:
            positional.extend(call.kwargs[name] for name in names if name in call.kwargs)
    if len(positional) < 2:
        raise ModelFileDamaged(f"operation {call.name!r} ({call.kind}) lacks an operand")
    return positional[0], positional[1]


def subject(call: LayerCall) -> Value:
    """The one tensor of an operation that takes one."""
    if call.inputs:
        return call.inputs[0]
    for name in _FIRST:
        if isinstance(call.kwargs.get(name), Value):
            value: Value = call.kwargs[name]
            return value
    raise ModelFileDamaged(f"operation {call.name!r} ({call.kind}) has no tensor")


def constant_operand(call: LayerCall, operand: Operand) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A number or nested list of numbers as float32."""
    try:
        array = np.asarray(operand, dtype=np.float32)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ModelFileDamaged(
            f"operation {call.name!r} ({call.kind}) has an operand that is no number: "
            f"{str(operand)[:60]}"
        ) from error
    return array


def first_of(call: LayerCall, names: tuple[str, ...]) -> Any:
    """The first of several named arguments that is given."""
    return next((call.kwargs[name] for name in names if call.kwargs.get(name) is not None), None)


def option(call: LayerCall, name: str, *, default: Any) -> Any:
    """A named argument, a setting of that name, or for ``axis`` the second argument."""
    if name in call.kwargs:
        return call.kwargs[name]
    if name in call.settings.values:
        return call.settings.raw(name)
    return call.args[1] if name == "axis" and len(call.args) > 1 else default


def tensors(call: LayerCall) -> tuple[Value, ...]:
    """The tensors of an operation that takes a list of them."""
    if call.inputs:
        return call.inputs
    return tuple(item for item in first_of(call, _FIRST) or () if isinstance(item, Value))


def argument(call: LayerCall, *names: str, place: int | None = None, default: Any = None) -> Any:
    """An argument by any of its ``names``: of the call, of the settings, or by its ``place``.

    Keras 3 keeps what an operation was made with in its settings, and what it was called with
    beside its tensors. Tuples and arrays come as lists.
    """
    for name in names:
        if call.kwargs.get(name) is not None:
            return plain(call.kwargs[name])
    if place is not None and len(call.args) > place and call.args[place] is not None:
        return plain(call.args[place])
    for name in names:
        if call.settings.raw(name) is not None:
            return plain(call.settings.raw(name))
    return default


def whole(
    call: LayerCall, *names: str, place: int | None = None, default: int | None = None
) -> int:
    """A whole number among the arguments. Raises UnsupportedModel where it is none."""
    value = argument(call, *names, place=place, default=default)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 1 << 31:
        raise call.unsupported(f"{names[0]} {value!r:.40}")
    return value


def wholes(
    call: LayerCall, *names: str, place: int | None = None, default: tuple[int, ...] | None = None
) -> tuple[int, ...]:
    """Whole numbers among the arguments; one alone stands for itself."""
    value = argument(call, *names, place=place, default=default)
    items = value if isinstance(value, list | tuple) else [value]
    good = all(
        isinstance(item, int) and not isinstance(item, bool) and abs(item) < 1 << 31
        for item in items
    )
    if not good:
        raise call.unsupported(f"{names[0]} {value!r:.40}")
    return tuple(items)


def real(call: LayerCall, *names: str, place: int | None = None, default: float) -> float:
    """A number among the arguments. Raises ModelFileDamaged where it is none."""
    value = argument(call, *names, place=place, default=default)
    return float(constant_operand(call, value).reshape(-1)[0])


def axis_of(call: LayerCall, axis: int, rank: int) -> int:
    """``axis`` counted from the front. Raises ModelFileDamaged where there is none such."""
    if not -rank <= axis < rank:
        raise ModelFileDamaged(
            f"operation {call.name!r} ({call.kind}) works on axis {axis} of a tensor of {rank} axes"
        )
    return axis % rank


def inner_axis(call: LayerCall, axis: int, rank: int) -> int:
    """As ``axis_of``, but never the batch axis: pictures are answered one by one."""
    found = axis_of(call, axis, rank)
    if found == 0:
        raise call.unsupported("an operation along the batch axis")
    return found
