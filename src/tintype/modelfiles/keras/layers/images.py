"""Functions on whole pictures: resizing, margins, colours. keras.ops.image and tf.image."""

from __future__ import annotations

from typing import Any

import numpy as np

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value, channels_first
from tintype.modelfiles.keras.layers.arguments import argument, real, subject, whole, wholes
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.convolution import picture_shape
from tintype.modelfiles.keras.layers.geometry import Cut, Resize, resized, sliced
from tintype.modelfiles.keras.layers.windows import Windows


def _picture(call: LayerCall, *, keras: bool) -> Value:
    value = subject(call)
    if value.rank != 4:
        raise call.unsupported(f"a picture of {value.rank} axes, batch included")
    form = argument(call, "data_format", default="channels_last") if keras else "channels_last"
    form = {"NCHW": "channels_first", "NHWC": "channels_last"}.get(form, form)
    if form not in {"channels_first", "channels_last"}:
        raise call.unsupported(f"data_format {form!r:.30}")
    return call.graph.reordered(value, channels_first(4, data_format=form))


def resize_keras(call: LayerCall) -> Value:
    """keras.ops.image.resize."""
    value = _picture(call, keras=True)
    height, width = _two(call, wholes(call, "size", place=1))
    return resized(
        call,
        value,
        Resize(
            height=height,
            width=width,
            kind=str(argument(call, "interpolation", place=2, default="bilinear")).lower(),
            antialias=bool(argument(call, "antialias", place=3, default=False)),
            crop=bool(argument(call, "crop_to_aspect_ratio", default=False)),
            pad=bool(argument(call, "pad_to_aspect_ratio", default=False)),
            fill=real(call, "fill_value", default=0.0),
        ),
    )


def resize_tensorflow(kind: str | None = None) -> LayerKind:
    """tf.image.resize of TensorFlow 2: half-pixel centres."""

    def emit(call: LayerCall) -> Value:
        value = _picture(call, keras=False)
        if argument(call, "preserve_aspect_ratio", default=False):
            raise call.unsupported("preserve_aspect_ratio")
        if argument(call, "align_corners", default=False):
            raise call.unsupported("align_corners")
        method = argument(call, "method", place=2, default="bilinear")
        chosen = kind or {0: "bilinear", 1: "nearest", 2: "bicubic", 3: "area"}.get(method, method)
        height, width = _two(call, wholes(call, "size", place=1))
        antialias = bool(argument(call, "antialias", default=False))
        how = Resize(height=height, width=width, kind=str(chosen).lower(), antialias=antialias)
        return resized(call, value, how)

    return LayerKind(emit)


def _two(call: LayerCall, numbers: tuple[int, ...]) -> tuple[int, int]:
    if len(numbers) != 2 or min(numbers) < 1:
        raise call.unsupported(f"the size {list(numbers)}")
    return numbers[0], numbers[1]


def _sides(call: LayerCall, value: Value) -> tuple[int, int]:
    height, width = value.stored_shape[2:]
    if height is None or width is None:
        raise call.unsupported("a picture of any size")
    return height, width


def crop_images(call: LayerCall) -> Value:
    """keras.ops.image.crop_images: four croppings, or two and the size."""
    value = _picture(call, keras=True)
    margins = _four(call, _sides(call, value), "cropping", sign=-1)
    return _cropped(call, value, margins)


def pad_images(call: LayerCall) -> Value:
    """keras.ops.image.pad_images: four paddings, or two and the size."""
    value = _picture(call, keras=True)
    return _padded(call, value, _four(call, _sides(call, value), "padding", sign=1))


def _four(
    call: LayerCall, sides: tuple[int, int], what: str, *, sign: int
) -> tuple[int, int, int, int]:
    """Top, bottom, left, right; what is not told comes from the target's size."""
    found: list[int] = []
    ends = (("top", "bottom", "target_height"), ("left", "right", "target_width"))
    for side, (first, last, target) in zip(sides, ends, strict=True):
        before = argument(call, f"{first}_{what}")
        after = argument(call, f"{last}_{what}")
        wanted = argument(call, target)
        if wanted is not None:
            missing = sign * (whole(call, target) - side)
            before = missing - after if before is None and after is not None else before
            after = missing - before if after is None and before is not None else after
        if not all(isinstance(n, int) and 0 <= n < 1 << 20 for n in (before, after)):
            raise call.unsupported(f"the {what}s {before} and {after}")
        found += [before, after]
    return found[0], found[1], found[2], found[3]


def _cropped(call: LayerCall, value: Value, margins: tuple[int, int, int, int]) -> Value:
    height, width = _sides(call, value)
    top, bottom, left, right = margins
    sizes = (height - top - bottom, width - left - right)
    shape = picture_shape(value, value.stored_shape[1], sizes)
    call.result(value.name, shape, value.order)
    cuts = (
        Cut(axis=2, start=top, stop=top + sizes[0]),
        Cut(axis=3, start=left, stop=left + sizes[1]),
    )
    return call.result(sliced(call, value.name, cuts), shape, value.order)


def _padded(call: LayerCall, value: Value, margins: tuple[int, int, int, int]) -> Value:
    height, width = _sides(call, value)
    top, bottom, left, right = margins
    pads = call.graph.shape_constant((0, 0, top, left, 0, 0, bottom, right))
    sizes = (height + top + bottom, width + left + right)
    name = call.emit("Pad", (value.name, pads))
    return call.result(name, picture_shape(value, value.stored_shape[1], sizes), value.order)


def crop_to_box(call: LayerCall) -> Value:
    """tf.image.crop_to_bounding_box."""
    value = _picture(call, keras=False)
    height, width = _sides(call, value)
    top, left, rows, columns = _box(call)
    margins = (top, height - top - rows, left, width - left - columns)
    if min(margins) < 0:
        raise ModelFileDamaged(f"operation {call.name!r} crops outside its picture")
    return _cropped(call, value, margins)


def pad_to_box(call: LayerCall) -> Value:
    """tf.image.pad_to_bounding_box."""
    value = _picture(call, keras=False)
    height, width = _sides(call, value)
    top, left, rows, columns = _box(call)
    margins = (top, rows - height - top, left, columns - width - left)
    if min(margins) < 0:
        raise ModelFileDamaged(f"operation {call.name!r} pads to less than its picture")
    return _padded(call, value, margins)


def _box(call: LayerCall) -> tuple[int, int, int, int]:
    """Top, left, height and width of tf.image's bounding boxes."""
    keys = ("offset_height", "offset_width", "target_height", "target_width")
    top, left, height, width = (
        whole(call, key, place=number) for number, key in enumerate(keys, start=1)
    )
    return top, left, height, width


def to_grey(call: LayerCall) -> Value:
    """rgb_to_grayscale: 0.2989 R + 0.5870 G + 0.1140 B (tf.image, keras.ops.image)."""
    value = _picture(call, keras=True)
    if value.stored_shape[1] != 3:
        raise call.unsupported(f"grey of {value.stored_shape[1]} channels")
    weights = np.asarray([0.2989, 0.5870, 0.1140], np.float32).reshape(1, 3, 1, 1)
    name = call.emit("Conv", (value.name, call.constant(weights, "grey")), kernel_shape=(1, 1))
    return call.result(name, picture_shape(value, 1, value.stored_shape[2:]), value.order)


def to_rgb(call: LayerCall) -> Value:
    """tf.image.grayscale_to_rgb: the one channel three times."""
    value = _picture(call, keras=False)
    if value.stored_shape[1] != 1:
        raise call.unsupported(f"colours of {value.stored_shape[1]} channels")
    name = call.emit("Tile", (value.name, call.graph.shape_constant((1, 3, 1, 1))))
    return call.result(name, picture_shape(value, 3, value.stored_shape[2:]), value.order)


def standardised(call: LayerCall) -> Value:
    """tf.image.per_image_standardization: (x - mean) / max(deviation, 1 / sqrt(numbers))."""
    value = _picture(call, keras=False)
    count = int(np.prod([length or 0 for length in value.shape[1:]]))
    if count == 0:
        raise call.unsupported("a picture of any size")
    mean = call.emit("ReduceMean", (value.name,), "mean", axes=(1, 2, 3), keepdims=1)
    centred = call.emit("Sub", (value.name, mean), "centred")
    squares = call.emit("Mul", (centred, centred), "squares")
    spread = call.emit("ReduceMean", (squares,), "variance", axes=(1, 2, 3), keepdims=1)
    deviation = call.emit("Sqrt", (spread,), "deviation")
    safe = call.emit("Max", (deviation, call.graph.scalar(count**-0.5)), "safe")
    return call.like(call.emit("Div", (centred, safe)), value)


def response_normalised(call: LayerCall) -> Value:
    """tf.nn.local_response_normalization: x / (bias + alpha * sum of squares nearby)^beta.

    ONNX divides its alpha by the number of neighbours.
    """
    value = _picture(call, keras=False)
    radius = whole(call, "depth_radius", place=1, default=5)
    size = 2 * radius + 1
    name = call.emit(
        "LRN",
        (value.name,),
        size=size,
        bias=real(call, "bias", place=2, default=1.0),
        alpha=real(call, "alpha", place=3, default=1.0) * size,
        beta=real(call, "beta", place=4, default=0.5),
    )
    return call.like(name, value)


def pooled(op: str) -> LayerKind:
    """keras.ops.max_pool and average_pool, tf.nn.max_pool2d and avg_pool2d, on pictures."""

    def emit(call: LayerCall) -> Value:
        value = _picture(call, keras=True)
        pool = _window(call, "pool_size", "ksize", place=1)
        given = argument(call, "strides", place=2)
        padding = str(argument(call, "padding", place=3, default="valid")).lower()
        if padding not in {"valid", "same"}:
            raise call.unsupported(f"the padding {padding!r:.20}")
        window = Windows(
            kernel=pool,
            strides=pool if given is None else _window(call, "strides", place=2),
            dilations=(1, 1),
            padding=padding,
        )
        sizes = value.stored_shape[2:]
        attributes: dict[str, Any] = window.attributes(sizes)
        if op == "AveragePool":
            attributes["count_include_pad"] = 0
        name = call.emit(op, (value.name,), **attributes)
        shape = picture_shape(value, value.stored_shape[1], window.output(sizes))
        return call.result(name, shape, value.order)

    return LayerKind(emit)


def _window(call: LayerCall, *names: str, place: int) -> tuple[int, ...]:
    numbers = wholes(call, *names, place=place)
    if len(numbers) == 4:
        numbers = numbers[1:3]
    if len(numbers) == 1:
        numbers *= 2
    return _two(call, numbers)
