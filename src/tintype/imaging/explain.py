"""What the model saw: the exact tensor as a picture, with its range and its fingerprint."""

from __future__ import annotations

import base64
import hashlib
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image

from tintype.imaging.pack import pictured, real
from tintype.imaging.prepare import feeds_levels
from tintype.imaging.recipe import expand
from tintype.imaging.steps import Recipe
from tintype.imaging.values import in_order, is_bgr, restored
from tintype.types import (
    ChannelRange,
    Float32Array,
    ImageInput,
    SeenInput,
    Tensor,
    UInt8Array,
)

_NAMES: Final = {1: ("grey",), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}
_BGR: Final = {3: ("blue", "green", "red"), 4: ("blue", "green", "red", "alpha")}
_LONGEST: Final = 1024
"""A larger tensor is drawn thinned by a whole step; range and fingerprint are of all of it."""


def seen(row: Tensor, *, recipe: Recipe, target: ImageInput) -> SeenInput:
    """Describe ``row``, as ``prepare`` made it for ``target``.

    The picture undoes the value step (and the quantisation), rounds to levels 0..255 and shows
    the channels as red, green, blue. Ranges are of the numbers as the model gets them, stored
    integers where it takes those, in the tensor's own channel order.
    """
    picture = pictured(row, target=target)
    step = max(1, -(-max(picture.shape[:2]) // _LONGEST))
    levels = _levels(picture[::step, ::step], recipe, target)
    return SeenInput(
        png=_data_url(levels),
        shape=row.shape,
        dtype=str(row.dtype),
        sha256=hashlib.sha256(row.tobytes()).hexdigest(),
        channels=_ranges(picture, recipe),
        recipe=expand(recipe),
    )


def _levels(picture: Tensor, recipe: Recipe, target: ImageInput) -> UInt8Array:
    values = recipe.values
    numbers: Float32Array
    if feeds_levels(values, target=target):
        numbers = picture.astype(np.float32) - np.iinfo(str(picture.dtype)).min
    else:
        numbers = restored(real(picture, quantisation=target.tensor.quantisation), values)
    whole = np.clip(np.rint(numbers), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(in_order(whole, values))


def _ranges(picture: Tensor, recipe: Recipe) -> tuple[ChannelRange, ...]:
    channels = picture.shape[2]
    names = (_BGR if is_bgr(recipe.values) else _NAMES).get(channels, _NAMES[1])
    return tuple(_range(name, picture[:, :, k]) for k, name in enumerate(names))


def _range(name: str, plane: Tensor) -> ChannelRange:
    numbers: Float32Array = plane.astype(np.float32)
    return ChannelRange(
        channel=name,
        minimum=float(numbers.min()),
        maximum=float(numbers.max()),
        mean=float(numbers.mean(dtype=np.float64)),
    )


def _data_url(levels: UInt8Array) -> str:
    image = Image.fromarray(levels[:, :, 0] if levels.shape[2] == 1 else levels)
    out = BytesIO()
    image.save(out, format="PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")
