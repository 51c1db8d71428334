"""Arithmetic on pixels that a model brings along: Rescaling and Normalization."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.settings import Settings
from tintype.modelfiles.keras.weights import Slot
from tintype.types import Float32Array

_FLOAT = 1
"""TensorProto.DataType."""

_EPSILON = 1e-7
"""keras.config.epsilon(), the smallest deviation divided by."""


def spread_last(call: LayerCall, value: Value, numbers: Float32Array, suffix: str) -> str:
    """A constant with one number, or one a channel (last Keras axis), laid out for ``value``."""
    if numbers.size == 1:
        return call.graph.scalar(float(numbers.reshape(-1)[0]))
    if numbers.ndim > value.rank:
        raise call.unsupported(f"numbers of {numbers.ndim} axes")
    full = numbers.reshape((1,) * (value.rank - numbers.ndim) + numbers.shape)
    fits = all(n in {1, length} for n, length in zip(full.shape, value.shape, strict=True))
    if not fits:
        raise ModelFileDamaged(
            f"layer {call.name!r} has {numbers.shape} numbers for the shape {value.shape}"
        )
    return call.constant(np.transpose(full, value.order), suffix)


def _rescaling(call: LayerCall) -> Value:
    value = call.input
    scale = np.asarray(call.settings.numbers("scale"), np.float32)
    offset = np.asarray(call.settings.numbers("offset", 0.0), np.float32)
    name = call.emit("Mul", (value.name, spread_last(call, value, scale, "scale")), "scaled")
    if offset.any():
        name = call.emit("Add", (name, spread_last(call, value, offset, "offset")))
    return call.like(name, value)


def _normalization(call: LayerCall) -> Value:
    value = call.input
    mean, deviation = mean_and_deviation(call, value)
    shift = spread_last(call, value, mean, "mean")
    scale = spread_last(call, value, deviation, "deviation")
    if call.settings.flag("invert", default=False):
        name = call.emit("Mul", (value.name, scale), "scaled")
        return call.like(call.emit("Add", (name, shift)), value)
    name = call.emit("Sub", (value.name, shift), "centred")
    return call.like(call.emit("Div", (name, scale)), value)


def mean_and_deviation(call: LayerCall, value: Value) -> tuple[Float32Array, Float32Array]:
    """What ``Normalization`` subtracts and divides by, spread over Keras' axes without batch."""
    axes = _kept_axes(call, value)
    shape = tuple(call.length(axis) for axis in axes)
    if call.settings.raw("mean") is not None:
        mean = np.asarray(call.settings.numbers("mean"), np.float32)
        variance = np.asarray(call.settings.numbers("variance"), np.float32)
        count = math.prod(shape)
        if mean.size not in {1, count} or variance.size not in {1, count}:
            raise ModelFileDamaged(f"layer {call.name!r} has {mean.size} means for {count}")
        mean = np.broadcast_to(mean, (count,)).reshape(shape)
        variance = np.broadcast_to(variance, (count,)).reshape(shape)
    else:
        mean, variance = call.weight("mean", shape), call.weight("variance", shape)
    full = tuple(shape[axes.index(axis)] if axis in axes else 1 for axis in range(1, value.rank))
    deviation = np.maximum(np.sqrt(variance), np.float32(_EPSILON))
    return mean.reshape(full).astype(np.float32), deviation.reshape(full).astype(np.float32)


def _kept_axes(call: LayerCall, value: Value) -> list[int]:
    given: Any = call.settings.raw("axis", -1)
    if given is None:
        return []
    axes = call.settings.integer_list("axis", (-1,))
    if any(not -value.rank <= axis < value.rank or axis % value.rank == 0 for axis in axes):
        raise call.unsupported(f"normalisation over the axes {list(axes)}")
    return sorted(axis % value.rank for axis in axes)


def _normalization_slots(settings: Settings) -> tuple[Slot, ...]:
    if settings.raw("mean") is not None:
        return ()
    return (Slot("mean", trained=False), Slot("variance", trained=False))


def _discretization(call: LayerCall) -> Value:
    """The number of boundaries at or below (keras ``preprocessing/discretization.py``)."""
    if call.settings.raw("output_mode", "int") != "int":
        raise call.unsupported("an output_mode other than int")
    if not call.settings.raw("bin_boundaries"):
        raise call.unsupported("boundaries that it found in data")
    value = call.graph.as_keras(call.input)
    boundaries = call.constant(sorted(call.settings.numbers("bin_boundaries")), "boundaries")
    last = call.graph.shape_constant((value.rank,))
    each = call.emit("Unsqueeze", (value.name, last), "each")
    above = call.emit("GreaterOrEqual", (each, boundaries), "above")
    ones = call.emit("Cast", (above,), "ones", to=_FLOAT)
    return call.like(call.emit("ReduceSum", (ones, last), keepdims=0), value)


PREPROCESSING_LAYERS: dict[str, LayerKind] = {
    "Discretization": LayerKind(_discretization),
    "Rescaling": LayerKind(_rescaling),
    "Normalization": LayerKind(_normalization, _normalization_slots),
}
