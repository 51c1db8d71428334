"""Patches of a picture laid out as channels: ``ops.image.extract_patches`` and TensorFlow's."""

from __future__ import annotations

from typing import Any

import numpy as np

from tintype.modelfiles.keras.graph import Value, channels_first
from tintype.modelfiles.keras.layers.arguments import subject
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.windows import Windows

_MAX_KERNEL = 1 << 24
"""Most numbers of the kernel that picks the pixels of patches that overlap."""


def _extract_patches(call: LayerCall) -> Value:
    """Each patch as one place: its pixels row by row, their channels together."""
    window = _window(call)
    value = subject(call)
    channels = value.shape[-1]
    if value.rank != 4 or channels is None:
        raise call.unsupported("patches of anything but a picture of channels last")
    height, width = value.shape[1:3]
    rows, columns = window.output((height, width))
    count = window.kernel[0] * window.kernel[1] * channels
    shape = (value.shape[0], rows, columns, count)
    side_by_side = window.kernel == window.strides and set(window.dilations) == {1}
    if (
        side_by_side
        and height
        and width
        and not (height % window.kernel[0]) | (width % window.kernel[1])
    ):
        return call.result(_cut_up(call, value, window), shape)
    if count * count > _MAX_KERNEL:
        raise call.unsupported(f"overlapping patches of {count} numbers")
    moved = call.graph.reordered(value, channels_first(4, data_format="channels_last"))
    kernel = np.eye(count, dtype=np.float32).reshape(count, *window.kernel, channels)
    constant = call.constant(kernel.transpose(0, 3, 1, 2), "pick")
    name = call.emit("Conv", (moved.name, constant), **window.attributes((height, width)))
    return call.result(name, shape, moved.order)


def _cut_up(call: LayerCall, value: Value, window: Windows) -> str:
    """Patches that lie side by side: their pixels only change places."""
    high, wide = window.kernel
    height, width, channels = (int(length or 0) for length in value.shape[1:])
    graph = call.graph
    split = (0, height // high, high, width // wide, wide * channels)
    name = call.emit("Reshape", (graph.as_keras(value).name, graph.shape_constant(split)), "split")
    name = call.emit("Transpose", (name,), "by_patch", perm=(0, 1, 3, 2, 4))
    target = (0, height // high, width // wide, high * wide * channels)
    return call.emit("Reshape", (name, graph.shape_constant(target)))


def _window(call: LayerCall) -> Windows:
    size = _pair(call, "size", "sizes")
    return Windows(
        kernel=size,
        strides=_pair(call, "strides", "strides", size),
        dilations=_pair(call, "dilation_rate", "rates", (1, 1)),
        padding=_padding(call),
    )


def _padding(call: LayerCall) -> str:
    given = _given(call, "padding", "padding") or "valid"
    if str(given).lower() not in {"valid", "same"}:
        raise call.unsupported(f"the padding {given!r:.40}")
    data_format = _given(call, "data_format", "data_format")
    if data_format not in {None, "channels_last"}:
        raise call.unsupported("channels in front")
    return str(given).lower()


def _pair(
    call: LayerCall, keras: str, tensorflow: str, default: tuple[int, int] | None = None
) -> tuple[int, int]:
    """Two sizes. TensorFlow gives four, of which the first and the last are 1."""
    given = _given(call, keras, tensorflow)
    if given is None and default is not None:
        return default
    items = [given, given] if isinstance(given, int) else given
    if isinstance(items, list) and len(items) == 4 and items[0] == items[3] == 1:
        items = items[1:3]
    good = isinstance(items, list) and all(isinstance(n, int) and n > 0 for n in items)
    if not good or len(items) != 2:
        raise call.unsupported(f"patches of {keras} {given!r:.40}")
    return items[0], items[1]


def _given(call: LayerCall, keras: str, tensorflow: str) -> Any:
    """An argument by either name, or a setting of the operation."""
    for name in (keras, tensorflow):
        if call.kwargs.get(name) is not None:
            return call.kwargs[name]
    if keras == "size" and len(call.args) > 1:
        return call.args[1]
    return call.settings.raw(keras)


PATCHES = LayerKind(_extract_patches)
