"""Pillow's resize, by Pillow itself; nearest as a gather along the map that Pillow computes."""

from __future__ import annotations

import functools
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from tintype.imaging.packed import gather, image_of
from tintype.types import UInt8Array

FILTERS: Final = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
"""The names that Keras and Pillow share (antialiased, all but nearest)."""

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels; may be fractional."""


def resize(
    pixels: UInt8Array, *, height: int, width: int, kind: str, box: Box | None = None
) -> UInt8Array:
    """Resize HxWxC (C is 1, 3 or 4), or the part of it in ``box``, as ``Image.resize`` does."""
    rows, columns = pixels.shape[:2]
    left, top, right, bottom = box or (0.0, 0.0, float(columns), float(rows))
    if kind == "nearest":
        vertical = _nearest_axis(rows, height, top, bottom)
        horizontal = _nearest_axis(columns, width, left, right)
        return gather(pixels, vertical, horizontal)[:, :, : pixels.shape[2]]
    if (height, width) == (rows, columns) and (left, top, right, bottom) == (0, 0, columns, rows):
        return pixels
    box = (left, top, right, bottom)
    resized = image_of(pixels).resize((width, height), FILTERS[kind], box=box)
    return np.asarray(resized).reshape(height, width, -1)[:, :, : pixels.shape[2]]


@functools.lru_cache(256)
def _nearest_axis(size: int, out: int, start: float, end: float) -> npt.NDArray[np.intp]:
    """Ask Pillow which of ``size`` samples it takes for each of ``out``, by resizing a ramp."""
    ramp = Image.fromarray(np.arange(size, dtype=np.int32)[None, :])
    row = ramp.resize((out, 1), Image.Resampling.NEAREST, box=(start, 0, end, 1))
    index: npt.NDArray[np.intp] = np.asarray(row)[0].astype(np.intp)
    return index
