"""What a plain operation is called with: by position, by name, or told by its settings."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.call import LayerCall

Operand: TypeAlias = Any
_FIRST = ("x", "x1", "a", "input", "inputs", "features", "input_tensor", "tensor", "values", "xs")
_SECOND = ("y", "x2", "b")


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
