"""Dense, and layers that only move numbers around."""

from __future__ import annotations

import math

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value, keras_order
from tintype.modelfiles.keras.layers.activation import activated
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.windows import data_format
from tintype.modelfiles.keras.settings import Settings
from tintype.modelfiles.keras.weights import Slot
from tintype.types import Shape


def _dense(call: LayerCall) -> Value:
    value = call.input
    if value.rank < 2:
        raise call.unsupported("an input without a channel axis")
    length = call.length(-1)
    units = call.settings.integer("units")
    biased = call.settings.flag("use_bias", default=True)
    shape = (*value.shape[:-1], units)
    if value.rank == 2:
        inputs = [value.name, call.weight_constant("kernel", (length, units))]
        inputs += [call.weight_constant("bias", (units,))] if biased else []
        return activated(call, call.result(call.emit("Gemm", inputs), shape))
    if value.rank == 4 and not value.plain:
        return activated(call, call.result(_dense_as_convolution(call, units), shape, value.order))
    plain = call.graph.as_keras(value)
    name = call.emit("MatMul", (plain.name, call.weight_constant("kernel", (length, units))))
    if biased:
        name = call.emit("Add", (name, call.weight_constant("bias", (units,))), "bias")
    return activated(call, call.result(name, shape))


def _dense_as_convolution(call: LayerCall, units: int) -> str:
    """Dense on each place of a picture stored channels-first: a convolution of one place."""
    length = call.length(-1)
    kernel = call.weight_constant(
        "kernel",
        (length, units),
        lambda kernel: kernel.T.reshape(units, length, 1, 1),
        form="conv",
    )
    inputs = [call.input.name, kernel]
    if call.settings.flag("use_bias", default=True):
        inputs.append(call.weight_constant("bias", (units,)))
    return call.emit("Conv", inputs, kernel_shape=(1, 1))


def _dense_slots(settings: Settings) -> tuple[Slot, ...]:
    bias = (Slot("bias"),) if settings.flag("use_bias", default=True) else ()
    return (Slot("kernel"), *bias)


def _flatten(call: LayerCall) -> Value:
    value = call.input
    if value.rank == 1:
        return call.reshaped(value, (value.shape[0], 1))
    rest = value.shape[1:]
    total = None if None in rest else math.prod(length for length in rest if length is not None)
    if data_format(call.settings) == "channels_first" and value.rank > 2:
        # Keras moves the channels to the end before it flattens.
        last = (0, *range(2, value.rank), 1)
        moved = call.graph.reordered(value, last)
        value = Value(moved.name, moved.stored_shape, keras_order(value.rank))
    if value.rank == 2:
        return value
    return call.reshaped(value, (value.shape[0], total))


def _reshape(call: LayerCall) -> Value:
    value = call.input
    target = call.settings.integer_list("target_shape")
    return call.reshaped(value, (value.shape[0], *_resolved(call, value.shape[1:], target)))


def _resolved(call: LayerCall, known: Shape, target: tuple[int, ...]) -> Shape:
    """``target`` with its -1 worked out where that can be."""
    if sum(length == -1 for length in target) > 1 or any(
        length < 1 and length != -1 for length in target
    ):
        raise ModelFileDamaged(f"layer {call.name!r} cannot reshape to {target}")
    rest = math.prod(length for length in target if length != -1)
    if None in known:
        return tuple(None if length == -1 else length for length in target)
    total = math.prod(length for length in known if length is not None)
    if total % rest or (-1 not in target and total != rest):
        raise ModelFileDamaged(f"layer {call.name!r} cannot reshape {total} numbers to {target}")
    return tuple(total // rest if length == -1 else length for length in target)


def _permute(call: LayerCall) -> Value:
    value = call.input
    dims = call.settings.integer_list("dims")
    if sorted(dims) != list(range(1, value.rank)):
        raise ModelFileDamaged(f"layer {call.name!r} permutes the axes {dims}")
    # Only the meaning of the axes changes: nothing moves until somebody asks for an order.
    shape = (value.shape[0], *(value.shape[axis] for axis in dims))
    new_axis = {0: 0, **{old: new for new, old in enumerate(dims, start=1)}}
    return call.result(value.name, shape, tuple(new_axis[axis] for axis in value.order))


def _repeat_vector(call: LayerCall) -> Value:
    value = call.input_of_rank(2)
    times = call.settings.sizes("n", 1)[0]
    row = call.reshaped(value, (value.shape[0], 1, value.shape[1]), "row")
    counts = call.graph.shape_constant((1, times, 1))
    return call.result(
        call.emit("Tile", (row.name, counts)), (value.shape[0], times, value.shape[1])
    )


def _identity(call: LayerCall) -> Value:
    """Layers that only do something in training."""
    return call.input


IDENTITY_KINDS = frozenset(
    {
        "ActivityRegularization",
        "AddLoss",
        "AddMetric",
        "AlphaDropout",
        "Dropout",
        "Equalization",
        "GaussianDropout",
        "GaussianNoise",
        "Identity",
        "MaxNumBoundingBoxes",
        "MixUp",
        "RandAugment",
        "RandomApply",
        "RandomBrightness",
        "RandomChoice",
        "RandomColorDegeneration",
        "RandomColorJitter",
        "RandomContrast",
        "RandomElasticTransform",
        "RandomErasing",
        "RandomFlip",
        "RandomGaussianBlur",
        "RandomGrayscale",
        "RandomHeight",
        "RandomHue",
        "RandomInvert",
        "RandomPerspective",
        "RandomPosterization",
        "RandomRotation",
        "RandomSaturation",
        "RandomSharpness",
        "RandomShear",
        "RandomTranslation",
        "RandomWidth",
        "RandomZoom",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "StochasticDepth",
        "Solarization",
        "AugMix",
        "CutMix",
    }
)
"""Kinds that hand their tensor on at inference. RandomCrop is none: it crops the centre then."""


CORE_LAYERS: dict[str, LayerKind] = {
    "Dense": LayerKind(_dense, _dense_slots),
    "Flatten": LayerKind(_flatten),
    "Reshape": LayerKind(_reshape),
    "Permute": LayerKind(_permute),
    "RepeatVector": LayerKind(_repeat_vector),
    **{kind: LayerKind(_identity) for kind in sorted(IDENTITY_KINDS)},
}
