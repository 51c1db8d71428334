"""Padding, cropping and resizing of pictures inside a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value, check_shape, keras_order
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.convolution import picture, picture_shape
from tintype.modelfiles.keras.layers.resample import MATRIX_KINDS, resize_matrix
from tintype.modelfiles.keras.layers.windows import data_format

Margins: TypeAlias = tuple[tuple[int, int], ...]

_MAX_MATRIX = 1 << 26
"""Most numbers of a matrix that resizes one side."""

END = 1 << 62
"""Beyond the end of every axis."""


def _margins(call: LayerCall, key: str, axes: int) -> Margins:
    """``padding`` or ``cropping``: one number, one an axis, or a pair an axis."""
    value = call.settings.raw(key, 1)
    items = value if isinstance(value, list) else [value] * axes
    if axes == 1 and len(items) == 2 and all(isinstance(item, int) for item in items):
        items = [items]
    pairs = [item if isinstance(item, list) else [item, item] for item in items]
    flat = [number for pair in pairs for number in pair]
    good = len(pairs) == axes and len(flat) == 2 * axes
    if not good or not all(isinstance(n, int) and 0 <= n < 1 << 20 for n in flat):
        raise ModelFileDamaged(f"layer {call.name!r} has {key} {str(value)[:80]}")
    return tuple((pair[0], pair[1]) for pair in pairs)


def _spatial(call: LayerCall, axes: int) -> range:
    first = 2 if data_format(call.settings) == "channels_first" else 1
    return range(first, first + axes)


def _zero_padding(axes: int) -> LayerKind:
    def emit(call: LayerCall) -> Value:
        # Stored as the convolution behind it wants it, so that an engine can join the two.
        value = picture(call, axes)
        begins, ends = [0] * value.rank, [0] * value.rank
        shape = list(value.shape)
        margins = _margins(call, "padding", axes)
        for axis, (before, after) in zip(_spatial(call, axes), margins, strict=True):
            begins[value.position(axis)] = before
            ends[value.position(axis)] = after
            length = shape[axis]
            shape[axis] = None if length is None else length + before + after
        pads = call.graph.shape_constant((*begins, *ends))
        return call.result(call.emit("Pad", (value.name, pads)), tuple(shape), value.order)

    return LayerKind(emit)


def _cropping(axes: int) -> LayerKind:
    def emit(call: LayerCall) -> Value:
        value = call.input_of_rank(axes + 2)
        shape = list(value.shape)
        spatial = _spatial(call, axes)
        margins = _margins(call, "cropping", axes)
        for axis, (before, after) in zip(spatial, margins, strict=True):
            length = shape[axis]
            shape[axis] = None if length is None else length - before - after
        cuts = [
            Cut(axis=value.position(axis), start=before, stop=-after if after else END)
            for axis, (before, after) in zip(spatial, margins, strict=True)
        ]
        name = sliced(call, value.name, cuts)
        return call.result(name, tuple(shape), value.order)

    return LayerKind(emit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What is kept of one axis, numbered as it is stored: from ``start`` up to ``stop``."""

    axis: int
    start: int
    stop: int
    step: int = 1


def sliced(call: LayerCall, name: str, cuts: Sequence[Cut], suffix: str = "") -> str:
    """One ONNX Slice."""
    columns = (
        [cut.start for cut in cuts],
        [cut.stop for cut in cuts],
        [cut.axis for cut in cuts],
        [cut.step for cut in cuts],
    )
    constants = [call.graph.shape_constant(numbers) for numbers in columns]
    return call.emit("Slice", (name, *constants), suffix)


def _upsampling(axes: int) -> LayerKind:
    def emit(call: LayerCall) -> Value:
        value = picture(call, axes)
        factors = call.settings.sizes("size", axes, 2)
        kinds = (*RESIZE_ATTRIBUTES, *MATRIX_KINDS) if axes == 2 else ("nearest",)
        kind = call.settings.choice("interpolation", kinds, "nearest")
        sizes = tuple(
            None if length is None else length * factor
            for length, factor in zip(value.stored_shape[2:], factors, strict=True)
        )
        if kind in MATRIX_KINDS:
            if sizes[0] is None or sizes[1] is None:
                raise call.unsupported(f"{kind} resizing of pictures of any size")
            return resized(call, value, Resize(height=sizes[0], width=sizes[1], kind=kind))
        shape = picture_shape(value, value.stored_shape[1], sizes)
        return call.result(_scaled(call, value, factors, kind), shape, value.order)

    return LayerKind(emit)


def _scaled(call: LayerCall, value: Value, factors: tuple[int, ...], kind: str) -> str:
    attributes = RESIZE_ATTRIBUTES[kind]
    if kind == "nearest":  # a whole factor repeats each place
        attributes = {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        }
    scales = call.constant((1, 1, *factors), "scales")
    return call.emit("Resize", (value.name, "", scales), **attributes)


RESIZE_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "nearest": {
        "mode": "nearest",
        "coordinate_transformation_mode": "half_pixel",
        "nearest_mode": "round_prefer_ceil",
    },
    "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
}
"""tf.image.resize (TF 2, no antialias) in the words of ONNX. Nearest takes
floor((i + 0.5) * n / m)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """How a picture is resized: to which size, by which interpolation, what of it first.

    ``crop`` takes the centre of the target's proportions, ``pad`` adds margins of ``fill`` to have
    them.
    """

    height: int
    width: int
    kind: str
    antialias: bool = False
    crop: bool = False
    pad: bool = False
    fill: float = 0.0


def resized(call: LayerCall, value: Value, how: Resize) -> Value:
    """A picture stored channels-first, resized as tf.image.resize of TensorFlow 2 does it."""
    if how.kind not in RESIZE_ATTRIBUTES and how.kind not in MATRIX_KINDS:
        raise call.unsupported(f"the interpolation {how.kind!r:.30}")
    if how.height < 1 or how.width < 1:
        raise ModelFileDamaged(f"layer {call.name!r} resizes to {how.height} x {how.width}")
    if how.crop:
        value = _cropped_to_aspect(call, value, how.height, how.width)
    elif how.pad:
        value = _padded_to_aspect(call, value, how)
    shape = picture_shape(value, value.stored_shape[1], (how.height, how.width))
    check_shape(shape, call.name)  # before anything of that size is made
    if how.kind in MATRIX_KINDS or (how.antialias and how.kind != "nearest"):
        name = _by_matrices(call, value, how)
    else:
        sizes = _sizes(call, value, how.height, how.width)
        name = call.emit("Resize", (value.name, "", "", sizes), **RESIZE_ATTRIBUTES[how.kind])
    return call.result(name, shape, value.order)


def _resizing(call: LayerCall) -> Value:
    """Keras' ``Resizing``: tf.image.resize, of the whole picture, its centre, or with margins."""
    settings = call.settings
    kinds = (*RESIZE_ATTRIBUTES, *MATRIX_KINDS)
    how = Resize(
        height=settings.sizes("height", 1)[0],
        width=settings.sizes("width", 1)[0],
        kind=settings.choice("interpolation", kinds, "bilinear"),
        antialias=settings.flag("antialias", default=False),
        crop=settings.flag("crop_to_aspect_ratio", default=False),
        pad=settings.flag("pad_to_aspect_ratio", default=False),
        fill=settings.number("fill_value", 0.0),
    )
    settings.choice("fill_mode", ("constant",), "constant")
    if how.crop and how.pad:
        raise ModelFileDamaged(f"layer {call.name!r} both crops and pads to the aspect ratio")
    return resized(call, picture(call, 2), how)


def _by_matrices(call: LayerCall, value: Value, how: Resize) -> str:
    old_height, old_width = value.stored_shape[2:]
    if old_height is None or old_width is None:
        raise call.unsupported(f"{how.kind} resizing of pictures of any size")
    if max(old_height * how.height, old_width * how.width) > _MAX_MATRIX:
        raise call.unsupported(f"{how.kind} resizing to {how.height} x {how.width}")
    rows = resize_matrix(how.kind, old_height, how.height, antialias=how.antialias)
    columns = resize_matrix(how.kind, old_width, how.width, antialias=how.antialias)
    down = call.constant(rows, "rows")
    across = call.constant(columns.T, "columns")
    return call.emit("MatMul", (call.emit("MatMul", (down, value.name), "resized_rows"), across))


def _sizes(call: LayerCall, value: Value, height: int, width: int) -> str:
    """(N, C, height, width) as the graph finds N: ONNX 17 wants all four."""
    if value.stored_shape[1] is None:
        raise call.unsupported("an unknown number of channels")
    shape = call.emit("Shape", (value.name,), "shape", end=1)
    rest = call.graph.shape_constant((int(value.stored_shape[1] or 1), height, width))
    return call.emit("Concat", (shape, rest), "sizes", axis=0)


def _cropped_to_aspect(call: LayerCall, value: Value, height: int, width: int) -> Value:
    """The centre of the picture that has the target's proportions (keras ``smart_resize``)."""
    old_height, old_width = value.stored_shape[2:]
    if old_height is None or old_width is None:
        raise call.unsupported("crop_to_aspect_ratio on pictures of any size")
    crop_height = min(old_height, int(float(old_width * height) / width))
    crop_width = min(old_width, int(float(old_height * width) / height))
    top = int(float(old_height - crop_height) / 2)
    left = int(float(old_width - crop_width) / 2)
    cuts = (
        Cut(axis=2, start=top, stop=top + crop_height),
        Cut(axis=3, start=left, stop=left + crop_width),
    )
    name = sliced(call, value.name, cuts, "crop")
    stored = (value.shape[0], value.stored_shape[1], crop_height, crop_width)
    shape = tuple(stored[value.order.index(axis)] for axis in range(4))
    return call.result(name, shape, value.order)


def _padded_to_aspect(call: LayerCall, value: Value, how: Resize) -> Value:
    """Equal margins on both sides (keras ``backend/tensorflow/image.py``, resize)."""
    old_height, old_width = value.stored_shape[2:]
    if old_height is None or old_width is None:
        raise call.unsupported("pad_to_aspect_ratio on pictures of any size")
    pad_height = max(old_height, int(np.float32(old_width * how.height) / np.float32(how.width)))
    pad_width = max(old_width, int(np.float32(old_height * how.width) / np.float32(how.height)))
    top, left = (pad_height - old_height) // 2, (pad_width - old_width) // 2
    if not top and not left:
        return value
    pads = call.graph.shape_constant((0, 0, top, left, 0, 0, top, left))
    name = call.emit("Pad", (value.name, pads, call.graph.scalar(how.fill)), "margins")
    sizes = (old_height + 2 * top, old_width + 2 * left)
    return call.result(name, picture_shape(value, value.stored_shape[1], sizes), value.order)


def _random_crop(call: LayerCall) -> Value:
    """At inference: the identity where nothing is to be cropped; else versions of Keras differ.

    Keras 2 takes the centre of the target's proportions and resizes it; Keras 3 does so up to 3.4
    and hands the picture on since.
    """
    value = picture(call, 2)
    height, width = call.settings.sizes("height", 1)[0], call.settings.sizes("width", 1)[0]
    if value.stored_shape[2:] == (height, width):
        return value
    if call.generation >= 3:
        raise call.unsupported("a crop whose meaning at inference changed between versions")
    return resized(call, value, Resize(height=height, width=width, kind="bilinear", crop=True))


def _center_crop(call: LayerCall) -> Value:
    """Keras' ``CenterCrop``; where the picture is too small, its centre is resized."""
    value = picture(call, 2)
    height = call.settings.sizes("height", 1)[0]
    width = call.settings.sizes("width", 1)[0]
    old_height, old_width = value.stored_shape[2:]
    if old_height is None or old_width is None:
        raise call.unsupported("a crop of a picture of any size")
    if old_height < height or old_width < width:
        return resized(call, value, Resize(height=height, width=width, kind="bilinear", crop=True))
    top, left = (old_height - height) // 2, (old_width - width) // 2
    cuts = (
        Cut(axis=2, start=top, stop=top + height),
        Cut(axis=3, start=left, stop=left + width),
    )
    name = sliced(call, value.name, cuts)
    stored = (value.shape[0], value.stored_shape[1], height, width)
    return call.result(
        name, tuple(stored[value.order.index(axis)] for axis in keras_order(4)), value.order
    )


GEOMETRY_LAYERS: dict[str, LayerKind] = {
    **{f"ZeroPadding{axes}D": _zero_padding(axes) for axes in (1, 2, 3)},
    **{f"Cropping{axes}D": _cropping(axes) for axes in (1, 2, 3)},
    **{f"UpSampling{axes}D": _upsampling(axes) for axes in (1, 2, 3)},
    "Resizing": LayerKind(_resizing),
    "RandomCrop": LayerKind(_random_crop),
    "CenterCrop": LayerKind(_center_crop),
}
