"""Activations called as functions, with their settings: ``keras.ops`` and ``tf.nn``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.activation import apply_activation, relu_with
from tintype.modelfiles.keras.layers.arguments import argument, axis_of, real, subject, whole
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.formulas import (
    glu,
    hard_shrink,
    soft_shrink,
    sparsemax,
    squareplus,
    threshold_at,
)

_Function: TypeAlias = Callable[[LayerCall, Value], str]


def plain_activation(name: str) -> LayerKind:
    """An activation without settings."""

    def emit(call: LayerCall) -> Value:
        return apply_activation(call, subject(call), name)

    return LayerKind(emit)


def _kind(write: _Function) -> LayerKind:
    def emit(call: LayerCall) -> Value:
        value = subject(call)
        return call.like(write(call, value), value)

    return LayerKind(emit)


def _along(op: str) -> LayerKind:
    def write(call: LayerCall, value: Value) -> str:
        axis = axis_of(call, whole(call, "axis", place=1, default=-1), value.rank)
        if axis == 0:
            raise call.unsupported("an activation along the batch axis")
        return call.emit(op, (value.name,), axis=value.position(axis))

    return _kind(write)


def _leaky_relu(call: LayerCall, value: Value) -> str:
    slope = real(call, "negative_slope", "alpha", place=1, default=0.2)
    return call.emit("LeakyRelu", (value.name,), alpha=slope)


def _elu(call: LayerCall, value: Value) -> str:
    return call.emit("Elu", (value.name,), alpha=real(call, "alpha", place=1, default=1.0))


def _celu(call: LayerCall, value: Value) -> str:
    alpha = real(call, "alpha", place=1, default=1.0)
    if alpha == 0:
        raise call.unsupported("celu with alpha 0")
    return call.emit("Celu", (value.name,), alpha=alpha)


def _gelu(default: bool) -> LayerKind:  # noqa: FBT001 - what the framework has where it is not told
    def emit(call: LayerCall) -> Value:
        approximate = bool(argument(call, "approximate", place=1, default=default))
        return apply_activation(call, subject(call), "gelu_tanh" if approximate else "gelu")

    return LayerKind(emit)


def _hard_shrink(call: LayerCall, value: Value) -> str:
    return hard_shrink(call, value, real(call, "threshold", place=1, default=0.5))


def _soft_shrink(call: LayerCall, value: Value) -> str:
    return soft_shrink(call, value, real(call, "threshold", place=1, default=0.5))


def _squareplus(call: LayerCall, value: Value) -> str:
    return squareplus(call, value, real(call, "b", place=1, default=4.0))


def _threshold(call: LayerCall, value: Value) -> str:
    border = real(call, "threshold", place=1, default=0.0)
    return threshold_at(call, value, border, real(call, "default_value", place=2, default=0.0))


def _sparsemax(call: LayerCall, value: Value) -> str:
    return sparsemax(call, value, whole(call, "axis", place=1, default=-1))


def _glu(call: LayerCall) -> Value:
    return glu(call, subject(call), whole(call, "axis", place=1, default=-1))


def _relu(call: LayerCall) -> Value:
    """keras.activations.relu written as an operation may have a slope, a top and a threshold."""
    top = argument(call, "max_value")
    return relu_with(
        call,
        subject(call),
        slope=real(call, "negative_slope", "alpha", default=0.0),
        threshold=real(call, "threshold", default=0.0),
        top=None if top is None else real(call, "max_value", default=0.0),
    )


SOFTMAX = _along("Softmax")
LOG_SOFTMAX = _along("LogSoftmax")
LEAKY_RELU = _kind(_leaky_relu)
ELU = _kind(_elu)
CELU = _kind(_celu)
GELU_OF_KERAS = _gelu(default=True)
GELU_OF_TENSORFLOW = _gelu(default=False)
HARD_SHRINK = _kind(_hard_shrink)
SOFT_SHRINK = _kind(_soft_shrink)
SQUAREPLUS = _kind(_squareplus)
THRESHOLD = _kind(_threshold)
SPARSEMAX = _kind(_sparsemax)
GLU = LayerKind(_glu)
RELU = LayerKind(_relu)
