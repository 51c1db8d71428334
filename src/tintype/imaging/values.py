"""From levels 0..255 to the model's numbers, in the trainer's own order of operations."""

from __future__ import annotations

from typing import Final

import numpy as np

from tintype.imaging.steps import Values
from tintype.imaging.tf_resize import LEVELS
from tintype.types import Float32Array, UInt8Array

CAFFE_MEAN: Final = (103.939, 116.779, 123.68)
"""Blue, green, red (``keras.applications.imagenet_utils``)."""
TORCH_MEAN: Final = (0.485, 0.456, 0.406)
TORCH_STD: Final = (0.229, 0.224, 0.225)
"""Red, green, blue of x/255 (torchvision, and ``keras.applications.imagenet_utils``)."""


def is_bgr(values: Values) -> bool:
    """Tell whether the channels go out as blue, green, red."""
    return values.op == "caffe" or values.order == "BGR"


def level_table(values: Values) -> Float32Array:
    """Return the number of each level that goes into the resize (256 float32)."""
    return scaled(LEVELS[:, None], values)[:, 0] if values.before_resize else LEVELS


def scaled(x: Float32Array, values: Values) -> Float32Array:
    """Apply the operation to levels ``x`` (..., channels in ``values``' order), float32.

    ``x`` may be changed in place and given back. Constants are rounded to float32 first, as numpy
    and TensorFlow do.
    """
    op = values.op
    if op == "none":
        return x
    if op == "x*(1/255)":
        return x * np.float32(1.0 / 255.0)
    if op == "x/255":
        return x / np.float32(255)
    if op == "x/127.5-1":
        return x / np.float32(127.5) - np.float32(1)
    mean, std = statistics(values, x.shape[-1])
    if op == "torch":
        x = x / np.float32(255)
    out = x - mean
    return out if op == "caffe" else out / std


def statistics(values: Values, channels: int) -> tuple[Float32Array, Float32Array]:
    """Return mean and std a channel, in the units and the order in which they are applied."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    if values.op == "caffe":
        mean, std = CAFFE_MEAN, (1.0,)
    elif values.op == "torch":
        mean, std = TORCH_MEAN, TORCH_STD
        if is_bgr(values):
            mean, std = mean[::-1], std[::-1]
    else:
        mean, std = values.mean, values.std
    return _a_channel(mean, channels), _a_channel(std, channels)


def _a_channel(numbers: tuple[float, ...], channels: int) -> Float32Array:
    """Fit numbers to the channels: one goes for all; three become their mean for a grey model.

    An alpha channel gets the last number.
    """
    if len(numbers) > 1 and channels == 1:
        numbers = (sum(numbers) / len(numbers),)
    if len(numbers) < channels:
        numbers = numbers + numbers[-1:] * (channels - len(numbers))
    return np.asarray(numbers[:channels], dtype=np.float32)


def in_order(pixels: UInt8Array | Float32Array, values: Values) -> UInt8Array | Float32Array:
    """Reverse RGB to BGR where wanted (a view); alpha stays last."""
    if not is_bgr(values) or pixels.shape[2] < 3:
        return pixels
    return pixels[:, :, [2, 1, 0, 3]] if pixels.shape[2] == 4 else pixels[:, :, ::-1]


def restored(x: Float32Array, values: Values) -> Float32Array:
    """Undo ``scaled``: numbers back to levels, as near as float32 comes."""
    op = values.op
    if op in {"x*(1/255)", "x/255"}:
        return x * np.float32(255)
    if op == "x/127.5-1":
        return (x + np.float32(1)) * np.float32(127.5)
    if op == "none":
        return x
    mean, std = statistics(values, x.shape[-1])
    levels = x * std + mean
    return levels * np.float32(255) if op == "torch" else levels
