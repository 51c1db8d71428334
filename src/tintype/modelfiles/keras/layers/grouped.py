"""Normalisation within groups of channels, by root mean square, to unit length, and spectral."""

from __future__ import annotations

from typing import Any

import numpy as np

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.arguments import inner_axis
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.reductions import unit_length
from tintype.modelfiles.keras.settings import Settings
from tintype.modelfiles.keras.weights import Slot


def group_normalisation(*, default_groups: int = 32) -> LayerKind:
    """Wu and He, Group normalization, 2018: mean and variance of each group of channels."""

    def emit(call: LayerCall) -> Value:
        value = call.input
        axis = inner_axis(call, call.settings.integer("axis", -1), value.rank)
        channels = call.length(axis)
        groups = call.settings.integer("groups", default_groups)
        groups = channels if groups == -1 else groups
        if groups < 1 or channels % groups:
            raise ModelFileDamaged(f"layer {call.name!r} has {groups} groups of {channels}")
        front = (0, axis, *(other for other in range(1, value.rank) if other != axis))
        stored = call.graph.reordered(value, front)
        name = _within_groups(call, stored.name, groups)
        name = call.emit("Reshape", (name, _shape_of(call, stored.name)), "whole")
        return call.like(_scale_and_centre(call, name, channels, value.rank), stored)

    return LayerKind(emit, _scale_center)


def _within_groups(call: LayerCall, name: str, groups: int) -> str:
    """(batch, channels, ...) as (batch, groups, all of a group), normalised along the last."""
    shape = call.graph.shape_constant((0, groups, -1))
    grouped = call.emit("Reshape", (name, shape), "groups")
    mean = call.emit("ReduceMean", (grouped,), "mean", axes=(2,), keepdims=1)
    centred = call.emit("Sub", (grouped, mean), "centred")
    squares = call.emit("Mul", (centred, centred), "squares")
    variance = call.emit("ReduceMean", (squares,), "variance", axes=(2,), keepdims=1)
    epsilon = call.graph.scalar(call.settings.number("epsilon", 1e-3))
    deviation = call.emit("Sqrt", (call.emit("Add", (variance, epsilon), "safe"),), "deviation")
    return call.emit("Div", (centred, deviation), "normal")


def _shape_of(call: LayerCall, name: str) -> str:
    return call.emit("Shape", (name,), "shape")


def _scale_and_centre(call: LayerCall, name: str, channels: int, rank: int) -> str:
    """One factor and one summand a channel, which lies behind the batch axis."""

    def spread(weights: Any) -> Any:
        return weights.reshape(1, channels, *(1,) * (rank - 2))

    if call.settings.flag("scale", default=True):
        gamma = call.weight_constant("gamma", (channels,), spread, form="front")
        name = call.emit("Mul", (name, gamma), "scaled")
    if call.settings.flag("center", default=True):
        beta = call.weight_constant("beta", (channels,), spread, form="front")
        name = call.emit("Add", (name, beta))
    return name


def _rms_normalisation(call: LayerCall) -> Value:
    """Zhang and Sennrich, Root mean square layer normalization, 2019: x / sqrt(mean x^2 + e)."""
    value = call.input
    given = call.settings.integer_list("axis", (-1,))
    axes = sorted({inner_axis(call, axis, value.rank) for axis in given})
    shape = tuple(call.length(axis) for axis in axes)
    positions = tuple(sorted(value.position(axis) for axis in axes))
    squares = call.emit("Mul", (value.name, value.name), "squares")
    mean = call.emit("ReduceMean", (squares,), "mean", axes=positions, keepdims=1)
    epsilon = call.graph.scalar(call.settings.number("epsilon", 1e-6))
    root = call.emit("Sqrt", (call.emit("Add", (mean, epsilon), "safe"),), "root")
    name = call.emit("Div", (value.name, root), "normal")
    full = [value.shape[axis] if axis in axes else 1 for axis in range(value.rank)]

    def spread(weights: Any) -> Any:
        return np.transpose(weights.reshape(full), value.order)

    scale = call.weight_constant("scale", shape, spread, form=str(value.order))
    return call.like(call.emit("Mul", (name, scale)), value)


def _rms_slots(_settings: Settings) -> tuple[Slot, ...]:
    return (Slot("scale"),)


def _unit_normalisation(call: LayerCall) -> Value:
    """Each vector along the axes divided by its length; that of nothing stays nothing."""
    value = call.input
    given = call.settings.integer_list("axis", (-1,))
    axes = {inner_axis(call, axis, value.rank) for axis in given}
    positions = tuple(sorted(value.position(axis) for axis in axes))
    # Keras 2 bounds the sum of squares, Keras 3 the length itself, both by 1e-12.
    epsilon = 1e-24 if call.generation >= 3 else 1e-12
    return call.like(unit_length(call, value.name, positions, epsilon), value)


def _scale_center(settings: Settings) -> tuple[Slot, ...]:
    gamma = (Slot("gamma"),) if settings.flag("scale", default=True) else ()
    beta = (Slot("beta"),) if settings.flag("center", default=True) else ()
    return gamma + beta


def auto_contrast(call: LayerCall) -> Value:
    """Each channel of a picture stretched over the whole range (keras ``auto_contrast.py``)."""
    value = call.input_of_rank(4)
    low, high = sorted(call.settings.numbers("value_range", 255.0)[:2])
    if high <= low:
        raise ModelFileDamaged(f"layer {call.name!r} has the range {low} to {high}")
    graph = call.graph
    # Keras takes these axes whatever the data_format.
    axes = tuple(sorted(value.position(axis) for axis in (1, 2)))
    darkest = call.emit("ReduceMin", (value.name,), "darkest", axes=axes, keepdims=1)
    brightest = call.emit("ReduceMax", (value.name,), "brightest", axes=axes, keepdims=1)
    spread = call.emit("Sub", (brightest, darkest), "spread")
    flat = call.emit("Equal", (spread, graph.scalar(0.0)), "flat")
    safe = call.emit("Where", (flat, graph.scalar(1.0), spread), "safe")
    above = call.emit("Sub", (value.name, darkest), "above")
    part = call.emit("Div", (above, safe), "part")
    scaled = call.emit("Mul", (part, graph.scalar(high - low)), "scaled")
    moved = call.emit("Add", (scaled, graph.scalar(low)), "moved")
    # A channel of one brightness stays as it is.
    return call.like(call.emit("Where", (flat, value.name, moved)), value)


GROUPED_LAYERS: dict[str, LayerKind] = {
    "GroupNormalization": group_normalisation(),
    "RMSNormalization": LayerKind(_rms_normalisation, _rms_slots),
    "UnitNormalization": LayerKind(_unit_normalisation),
    "AutoContrast": LayerKind(auto_contrast),
}
