"""From upright pixels to one row of a model's input."""

from __future__ import annotations

from typing import cast

import numpy as np

from tintype.imaging import geometry, view
from tintype.imaging.pack import arranged, levels_fit, stored, stored_levels
from tintype.imaging.steps import Recipe, Values
from tintype.imaging.tf_resize import LEVELS
from tintype.imaging.values import in_order, level_table, restored, scaled
from tintype.types import Float32Array, ImageInput, Point, Tensor, UInt8Array


def prepare(
    pixels: UInt8Array, *, recipe: Recipe, target: ImageInput, point: Point | None
) -> Tensor:
    """Make one row of ``target``, without the batch axis, C-contiguous.

    ``pixels`` is HxWxC uint8, upright, any strides, with ``target``'s channels: decode with
    ``recipe.decode_for``. Only the samples that the resize needs are read. Where the input is
    quantised so that a level's number is the level again (mean and std cancel scale and zero
    point), levels go in as they are.

    Raises:
        MalformedRequest: ``point`` lies outside the picture.
        ValueError: ``pixels`` have other channels than ``target``, a mistake of the caller.
    """
    if pixels.shape[2] != target.channels:
        raise ValueError(f"pixels have {pixels.shape[2]} channels, the input {target.channels}")
    part = view.cut(pixels, view=recipe.view, point=point)
    fitted = geometry.fit(part, recipe=recipe, size=_size(target), table=level_table(recipe.values))
    ordered = in_order(fitted, recipe.values)
    return arranged(_stored(ordered, recipe.values, target), layout=target.layout)


def feeds_levels(values: Values, *, target: ImageInput) -> bool:
    """Tell whether a quantised input gets the levels themselves (see ``pack.levels_fit``).

    Always so without a value operation: ``raw`` means the levels, whatever the scale.
    """
    if target.tensor.quantisation is None or target.tensor.dtype not in {"uint8", "int8"}:
        return False
    return values.op == "none" or levels_fit(_every(values, target.channels), target=target)


def _size(target: ImageInput) -> tuple[int, int] | None:
    if target.height is None or target.width is None:
        return None
    return target.height, target.width


def _stored(x: UInt8Array | Float32Array, values: Values, target: ImageInput) -> Tensor:
    if feeds_levels(values, target=target):
        levels = restored(x.astype(np.float32), values) if values.before_resize else x
        return stored_levels(levels, dtype=target.tensor.dtype)
    if x.dtype == np.uint8:
        table = stored(_every(values, target.channels), target=target)
        return _through_table(cast(UInt8Array, x), table)
    numbers = cast(Float32Array, x)
    return stored(numbers if values.before_resize else scaled(numbers, values), target=target)


def _every(values: Values, channels: int) -> Float32Array:
    """Return the number of every level in every channel, 256 x channels."""
    return scaled(np.repeat(LEVELS[:, None], channels, axis=1), values)


def _through_table(levels: UInt8Array, table: Tensor) -> Tensor:
    """Look each whole level up in its channel's 256 numbers: exact, and quick."""
    out = np.empty(levels.shape, dtype=table.dtype)
    for channel in range(levels.shape[2]):
        np.take(table[:, channel], levels[:, :, channel], out=out[:, :, channel])
    return out
