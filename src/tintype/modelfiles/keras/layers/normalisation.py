"""Batch and layer normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.settings import Settings
from tintype.modelfiles.keras.weights import Slot
from tintype.types import Float32Array


def _batch_normalisation(call: LayerCall) -> Value:
    """An ONNX BatchNormalization, which engines fold into the convolution before it."""
    value = call.input
    axes = call.settings.integer_list("axis", (-1,))
    if len(axes) != 1 or not -value.rank <= axes[0] < value.rank:
        raise call.unsupported(f"normalisation over the axes {list(axes)}")
    length = call.length(axes[0])
    if value.rank != 4 or value.position(axes[0]) != 1:
        return _scale_and_shift(call, value, axes[0], length)
    # The weights that must be there first: they prove that the length is a real one.
    moments = [call.weight_constant(name, (length,)) for name in ("moving_mean", "moving_variance")]
    ones, zeros = np.ones(length, np.float32), np.zeros(length, np.float32)
    inputs = [
        _weight_or(call, "gamma", ones, used=call.settings.flag("scale", default=True)),
        _weight_or(call, "beta", zeros, used=call.settings.flag("center", default=True)),
    ]
    name = call.emit(
        "BatchNormalization",
        (value.name, *inputs, *moments),
        epsilon=call.settings.number("epsilon", 1e-3),
    )
    return call.like(name, value)


def _weight_or(call: LayerCall, name: str, default: Float32Array, *, used: bool) -> str:
    if used:
        return call.weight_constant(name, default.shape)
    return call.constant(default, name)


def _scale_and_shift(call: LayerCall, value: Value, axis: int, length: int) -> Value:
    """The same as one multiplication and one addition, for any rank and axis."""
    scale, shift = batch_affine(call, length)
    spread = [1] * value.rank
    spread[value.position(axis)] = length
    scaled = call.emit("Mul", (value.name, call.constant(scale.reshape(spread), "scale")), "scaled")
    shifted = call.emit("Add", (scaled, call.constant(shift.reshape(spread), "shift")))
    return call.like(shifted, value)


def batch_affine(call: LayerCall, length: int) -> tuple[Any, Any]:
    """Batch normalisation at inference: x * scale + shift, in float64."""
    mean = call.weight("moving_mean", (length,)).astype(np.float64)
    variance = call.weight("moving_variance", (length,)).astype(np.float64)
    scale = 1 / np.sqrt(variance + call.settings.number("epsilon", 1e-3))
    if call.settings.flag("scale", default=True):
        scale = scale * call.weight("gamma", (length,))
    shift = -mean * scale
    if call.settings.flag("center", default=True):
        shift = shift + call.weight("beta", (length,))
    return scale, shift


def _layer_normalisation(call: LayerCall) -> Value:
    value = call.input
    axes = sorted(axis % value.rank for axis in call.settings.integer_list("axis", (-1,)))
    if 0 in axes or not axes:
        raise call.unsupported(f"normalisation over the axes {axes}")
    shape = tuple(call.length(axis) for axis in axes)
    positions = tuple(sorted(value.position(axis) for axis in axes))
    mean = call.emit("ReduceMean", (value.name,), "mean", axes=positions, keepdims=1)
    centred = call.emit("Sub", (value.name, mean), "centred")
    squares = call.emit("Mul", (centred, centred), "squares")
    variance = call.emit("ReduceMean", (squares,), "variance", axes=positions, keepdims=1)
    epsilon = call.graph.scalar(call.settings.number("epsilon", 1e-3))
    deviation = call.emit("Sqrt", (call.emit("Add", (variance, epsilon), "safe"),), "deviation")
    rms = call.settings.flag("rms_scaling", default=False)
    # Keras' rms_scaling divides by the deviation without centring, and never adds.
    name = call.emit("Div", (value.name if rms else centred, deviation), "normal")
    spread = _spreader(value, axes)
    form = str(value.order)
    if call.settings.flag("scale", default=True) or rms:
        gamma = call.weight_constant("gamma", shape, spread, form=form)
        name = call.emit("Mul", (name, gamma), "scaled")
    if call.settings.flag("center", default=True) and not rms:
        name = call.emit("Add", (name, call.weight_constant("beta", shape, spread, form=form)))
    return call.like(name, value)


def _spreader(value: Value, axes: list[int]) -> Any:
    """How weights over ``axes`` are laid out so that they spread over the stored tensor."""

    def spread(weights: Any) -> Any:
        full = [value.shape[axis] if axis in axes else 1 for axis in range(value.rank)]
        return np.transpose(weights.reshape(full), value.order)

    return spread


def _scale_center(settings: Settings) -> tuple[Slot, ...]:
    gamma = (Slot("gamma"),) if settings.flag("scale", default=True) else ()
    beta = (Slot("beta"),) if settings.flag("center", default=True) else ()
    return gamma + beta


def _layer_slots(settings: Settings) -> tuple[Slot, ...]:
    if settings.flag("rms_scaling", default=False):
        return (Slot("gamma"),)
    return _scale_center(settings)


def _batch_slots(settings: Settings) -> tuple[Slot, ...]:
    moving = (Slot("moving_mean", trained=False), Slot("moving_variance", trained=False))
    return (*_scale_center(settings), *moving)


def _layer_scale(call: LayerCall) -> Value:
    """ConvNeXt's LayerScale: one factor a channel (keras ``applications/convnext.py``)."""
    value = call.input
    length = call.settings.integer("projection_dim")
    if length != call.length(-1):
        raise ModelFileDamaged(f"layer {call.name!r} scales {length} channels of another count")
    spread = _spreader(value, [value.rank - 1])
    gamma = call.weight_constant("gamma", (length,), spread, form=str(value.order))
    return call.like(call.emit("Mul", (value.name, gamma)), value)


def _layer_scale_slots(_settings: Settings) -> tuple[Slot, ...]:
    return (Slot("gamma"),)


_BATCH = LayerKind(_batch_normalisation, _batch_slots)

NORMALISATION_LAYERS: dict[str, LayerKind] = {
    "BatchNormalization": _BATCH,
    "BatchNormalizationV1": _BATCH,
    "BatchNormalizationV2": _BATCH,
    "SyncBatchNormalization": _BATCH,
    "LayerScale": LayerKind(_layer_scale, _layer_scale_slots),
    "LayerNormalization": LayerKind(_layer_normalisation, _layer_slots),
}
