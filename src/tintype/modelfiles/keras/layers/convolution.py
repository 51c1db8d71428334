"""Convolutions, in one, two and three dimensions; Dense stands in ``dense``.

Keras kernels are spatial axes, input channels, output channels (keras
``layers/convolutional/base_conv.py``); ONNX wants output, input, spatial.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tintype.modelfiles.keras.graph import Value, channels_first
from tintype.modelfiles.keras.layers.activation import activated
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.windows import Windows, data_format, windows
from tintype.modelfiles.keras.settings import Settings
from tintype.modelfiles.keras.weights import Slot
from tintype.types import Shape


def picture(call: LayerCall, axes: int) -> Value:
    """The layer's tensor of ``axes`` spatial axes, stored with its channels in front."""
    value = call.input_of_rank(axes + 2)
    order = channels_first(value.rank, data_format=data_format(call.settings))
    return call.graph.reordered(value, order)


def picture_shape(value: Value, channels: int | None, sizes: Shape) -> Shape:
    """The Keras shape of a picture like ``value``, but of other channels and sizes."""
    stored = (value.shape[0], channels, *sizes)
    return tuple(stored[value.order.index(axis)] for axis in range(value.rank))


def channels_of(call: LayerCall) -> int:
    """How many channels the layer's tensor has; they must be known."""
    return call.length(1 if data_format(call.settings) == "channels_first" else -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kernel:
    """A kernel in the graph, and how it is slid."""

    name: str
    window: Windows
    filters: int
    groups: int = 1


def _convolution(axes: int) -> LayerKind:
    def emit(call: LayerCall) -> Value:
        value = picture(call, axes)
        window = windows(call.settings, axes)
        filters = call.settings.integer("filters")
        groups = call.settings.integer("groups", 1)
        channels = channels_of(call)
        if groups < 1 or channels % groups or filters % groups:
            raise call.unsupported(f"{groups} groups for {channels} channels")
        kernel = call.weight_constant(
            "kernel", (*window.kernel, channels // groups, filters), _out_in_spatial
        )
        return _convolve(
            call, value, _Kernel(name=kernel, window=window, filters=filters, groups=groups)
        )

    return LayerKind(emit, _conv_slots)


def _depthwise(axes: int) -> LayerKind:
    def emit(call: LayerCall) -> Value:
        value = picture(call, axes)
        window = windows(call.settings, axes)
        channels = channels_of(call)
        kernel, filters = _depthwise_kernel(call, window, channels)
        return _convolve(
            call, value, _Kernel(name=kernel, window=window, filters=filters, groups=channels)
        )

    return LayerKind(emit, _depthwise_slots)


def _separable(axes: int) -> LayerKind:
    def emit(call: LayerCall) -> Value:
        value = picture(call, axes)
        window = windows(call.settings, axes)
        channels = channels_of(call)
        kernel, between = _depthwise_kernel(call, window, channels)
        sizes = value.stored_shape[2:]
        spread = call.emit(
            "Conv",
            (value.name, kernel),
            "depthwise",
            group=channels,
            **window.attributes(sizes),
        )
        middle = call.result(
            spread, picture_shape(value, between, window.output(sizes)), value.order
        )
        filters = call.settings.integer("filters")
        ones = (1,) * axes
        pointwise = call.weight_constant(
            "pointwise_kernel", (*ones, between, filters), _out_in_spatial
        )
        point = Windows(kernel=ones, strides=ones, dilations=ones, padding="valid")
        return _convolve(call, middle, _Kernel(name=pointwise, window=point, filters=filters))

    return LayerKind(emit, _separable_slots)


def _convolve(call: LayerCall, value: Value, kernel: _Kernel) -> Value:
    sizes = value.stored_shape[2:]
    inputs = [value.name, kernel.name]
    if call.settings.flag("use_bias", default=True):
        inputs.append(call.weight_constant("bias", (kernel.filters,)))
    attributes = kernel.window.attributes(sizes)
    if kernel.groups != 1:
        attributes["group"] = kernel.groups
    name = call.emit("Conv", inputs, **attributes)
    shape = picture_shape(value, kernel.filters, kernel.window.output(sizes))
    return activated(call, call.result(name, shape, value.order))


def _depthwise_kernel(call: LayerCall, window: Windows, channels: int) -> tuple[str, int]:
    """The kernel for one group a channel: Keras has (..., channels, multiplier)."""
    multiplier = call.settings.integer("depth_multiplier", 1)
    filters = channels * multiplier

    def arrange(kernel: Any) -> Any:
        return np.moveaxis(kernel, (-2, -1), (0, 1)).reshape(filters, 1, *window.kernel)

    shape = (*window.kernel, channels, multiplier)
    return call.weight_constant("depthwise_kernel", shape, arrange), filters


def _transposed(axes: int) -> LayerKind:
    """The gradient of a convolution, as TensorFlow has it: sizes first, paddings from them."""

    def emit(call: LayerCall) -> Value:
        value = picture(call, axes)
        window = windows(call.settings, axes)
        filters = call.settings.integer("filters")
        channels = channels_of(call)
        if call.settings.integer("groups", 1) != 1:
            raise call.unsupported("groups in a transposed convolution")
        kernel = call.weight_constant(
            "kernel", (*window.kernel, filters, channels), _in_out_spatial
        )
        extra, attributes = _transposed_window(call, window, axes)
        inputs = [value.name, kernel]
        if call.settings.flag("use_bias", default=True):
            inputs.append(call.weight_constant("bias", (filters,)))
        name = call.emit("ConvTranspose", inputs, **attributes)
        sizes = tuple(
            None if size is None else size * stride + more
            for size, stride, more in zip(
                value.stored_shape[2:], window.strides, extra, strict=True
            )
        )
        return activated(call, call.result(name, picture_shape(value, filters, sizes), value.order))

    return LayerKind(emit, _conv_slots)


def _transposed_window(
    call: LayerCall, window: Windows, axes: int
) -> tuple[tuple[int, ...], dict[str, Any]]:
    """How much longer than size * stride the output is, and the ONNX attributes for it.

    keras ``backend/common/backend_utils.py``, compute_conv_transpose_output_length: ``same`` gives
    size * stride, ``valid`` adds max(reach - stride, 0); ``output_padding`` sets it by hand.
    """
    given = call.settings.raw("output_padding")
    more = call.settings.integers("output_padding", axes) if given is not None else None
    extra: list[int] = []
    begins: list[int] = []
    ends: list[int] = []
    beyond: list[int] = []
    for axis, (stride, reach) in enumerate(zip(window.strides, window.reach, strict=True)):
        if more is not None:
            pad = reach // 2 if window.padding == "same" else 0
            longer = reach - stride - 2 * pad + more[axis]
        else:
            longer = 0 if window.padding == "same" else max(reach - stride, 0)
        total = reach - stride - longer
        # What the forward convolution would have padded is cut off again, the odd one at the end.
        begin = max(total, 0) // 2 if window.padding == "same" else 0
        extra.append(longer)
        begins.append(begin)
        ends.append(max(total, 0) - begin)
        beyond.append(max(-total, 0))
    attributes: dict[str, Any] = {
        "kernel_shape": window.kernel,
        "strides": window.strides,
        "dilations": window.dilations,
        "pads": (*begins, *ends),
    }
    if any(beyond):
        attributes["output_padding"] = tuple(beyond)
    return tuple(extra), attributes


def _out_in_spatial(kernel: Any) -> Any:
    return np.moveaxis(kernel, (-1, -2), (0, 1))


def _in_out_spatial(kernel: Any) -> Any:
    return np.moveaxis(kernel, (-1, -2), (0, 1))


def _bias(settings: Settings) -> tuple[Slot, ...]:
    return (Slot("bias"),) if settings.flag("use_bias", default=True) else ()


def _conv_slots(settings: Settings) -> tuple[Slot, ...]:
    return (Slot("kernel"), *_bias(settings))


def _depthwise_slots(settings: Settings) -> tuple[Slot, ...]:
    return (Slot("depthwise_kernel"), *_bias(settings))


def _separable_slots(settings: Settings) -> tuple[Slot, ...]:
    return (Slot("depthwise_kernel"), Slot("pointwise_kernel"), *_bias(settings))


CONVOLUTION_LAYERS: dict[str, LayerKind] = {
    "Conv1D": _convolution(1),
    "Conv2D": _convolution(2),
    "Conv3D": _convolution(3),
    "DepthwiseConv1D": _depthwise(1),
    "DepthwiseConv2D": _depthwise(2),
    "SeparableConv1D": _separable(1),
    "SeparableConv2D": _separable(2),
    "Conv1DTranspose": _transposed(1),
    "Conv2DTranspose": _transposed(2),
    "Conv3DTranspose": _transposed(3),
}
