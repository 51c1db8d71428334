"""Locally connected layers of Keras 2: a convolution with a kernel of its own at each place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.activation import activated
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.convolution import channels_of, picture
from tintype.modelfiles.keras.layers.windows import Windows, data_format
from tintype.modelfiles.keras.settings import Settings
from tintype.modelfiles.keras.weights import Slot

_MAX_PATCH = 1 << 12


def _locally_connected(axes: int) -> LayerKind:
    """tf_keras ``layers/locally_connected``, implementation 1 (the default): valid padding.

    A convolution with the identity as its kernel gathers what each place sees; one matrix a place
    follows.
    """

    def emit(call: LayerCall) -> Value:
        settings = call.settings
        if settings.integer("implementation", 1) != 1:
            raise call.unsupported("an implementation other than 1")
        if data_format(settings) == "channels_first":
            raise call.unsupported("channels_first")
        settings.choice("padding", ("valid",), "valid")
        value = picture(call, axes)
        window = Windows(
            kernel=settings.sizes("kernel_size", axes),
            strides=settings.sizes("strides", axes, 1),
            dilations=(1,) * axes,
            padding="valid",
        )
        sizes = tuple(size or 0 for size in window.output(value.stored_shape[2:]))
        if 0 in sizes:
            raise call.unsupported("a picture of any size")
        filters = settings.integer("filters")
        places = math.prod(sizes)
        seen = math.prod(window.kernel) * channels_of(call)
        kernel = call.weight_constant("kernel", (places, seen, filters))
        patches = _patches(call, value, window, seen)
        product = call.emit("MatMul", (patches, kernel), "product")
        flat = call.result(product, (value.shape[0], places, 1, filters))
        result = call.reshaped(flat, (value.shape[0], *sizes, filters), "places")
        if settings.flag("use_bias", default=True):
            bias = call.weight_constant("bias", (*sizes, filters))
            result = call.like(call.emit("Add", (result.name, bias), "bias"), result)
        return activated(call, result)

    return LayerKind(emit, _slots)


def _patches(call: LayerCall, value: Value, window: Windows, seen: int) -> str:
    """(batch, places, 1, numbers seen): the numbers in the order place by place, channels last."""
    if seen > _MAX_PATCH:
        raise call.unsupported(f"windows over {seen} numbers")
    channels = channels_of(call)
    identity: Any = np.eye(seen, dtype=np.float32).reshape(seen, *window.kernel, channels)
    kernel = call.constant(np.moveaxis(identity, -1, 1), "identity")
    sizes = value.stored_shape[2:]
    gathered = call.emit("Conv", (value.name, kernel), "gathered", **window.attributes(sizes))
    rows = call.emit(
        "Reshape", (gathered, call.graph.shape_constant((0, seen, 1, -1))), "flattened"
    )
    return call.emit("Transpose", (rows,), "patches", perm=(0, 3, 2, 1))


def _slots(settings: Settings) -> tuple[Slot, ...]:
    bias = (Slot("bias"),) if settings.flag("use_bias", default=True) else ()
    return (Slot("kernel"), *bias)


LOCAL_LAYERS: dict[str, LayerKind] = {
    "LocallyConnected1D": _locally_connected(1),
    "LocallyConnected2D": _locally_connected(2),
}
"""Kept apart from the convolutions: no engine has such an operation."""
