"""TensorFlow's resize kernels in numpy, bit for bit as on a CPU without fused multiply-add.

Each is a gather: only the samples that count are read, so the cost does not grow with the picture
and any strides go (turned, mirrored and cut-out views). Sources: TensorFlow
``core/util/image_resizer_state.h`` and ``core/kernels/image/resize_{bilinear,nearest_neighbor,
bicubic,area}_op.cc``. Every scalar is float32 and the order of operations is TensorFlow's.

``half`` picks the sampling: True is TF2's half-pixel centres, False TF1's asymmetric one.
``table`` gives each level 0..255 its float32 number; with it a value step can come before the
resize without touching every pixel.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
import numpy.typing as npt

from tintype.imaging.packed import gather
from tintype.types import Float32Array, UInt8Array

LEVELS: Final[Float32Array] = np.arange(256, dtype=np.float32)
"""The table that changes nothing."""

_Index = npt.NDArray[np.intp]
_HALF: Final = np.float32(0.5)
_TABLE_SIZE: Final = 1024
_CACHE: Final = 256


def bilinear(
    pixels: UInt8Array, *, height: int, width: int, half: bool, table: Float32Array
) -> Float32Array:
    """Resize HxWxC to ``height`` x ``width`` x C, float32, not rounded."""
    y0, y1, fy = _bilinear_axis(pixels.shape[0], height, half)
    x0, x1, fx = _bilinear_axis(pixels.shape[1], width, half)
    top, bottom = (
        _mix(
            _numbers(gather(pixels, y, x0), table),
            _numbers(gather(pixels, y, x1), table),
            fx[None, :, None],
        )
        for y in (y0, y1)
    )
    return _mix(top, bottom, fy[:, None, None])[:, :, : pixels.shape[2]]


def nearest(
    pixels: UInt8Array, *, height: int, width: int, half: bool, table: Float32Array
) -> Float32Array:
    """Resize HxWxC to ``height`` x ``width`` x C, float32."""
    rows = _nearest_axis(pixels.shape[0], height, half)
    columns = _nearest_axis(pixels.shape[1], width, half)
    return _numbers(gather(pixels, rows, columns), table)[:, :, : pixels.shape[2]]


def bicubic(
    pixels: UInt8Array, *, height: int, width: int, half: bool, table: Float32Array
) -> Float32Array:
    """Resize HxWxC to ``height`` x ``width`` x C, float32, not rounded or clipped.

    TF2: Keys' kernel, a = -0.5, weights renormalised at the edges; TF1: a = -0.75, edges repeated.
    """
    rows, row_weights = _bicubic_axis(pixels.shape[0], height, half)
    columns, column_weights = _bicubic_axis(pixels.shape[1], width, half)
    down = [row_weights[:, k, None, None] for k in range(4)]
    across = [column_weights[None, :, k, None] for k in range(4)]
    mixed = [
        _weighted(
            [_numbers(gather(pixels, rows[:, j], columns[:, k]), table) for j in range(4)], down
        )
        for k in range(4)
    ]
    return _weighted(mixed, across)[:, :, : pixels.shape[2]]


def area(
    pixels: UInt8Array, *, height: int, width: int, half: bool, table: Float32Array
) -> Float32Array:
    """Resize HxWxC to ``height`` x ``width`` x C by the mean over each area, float32.

    TF1 and TF2 are the same here; ``half`` is not used. Reads every pixel of the picture.
    """
    del half
    rows, row_weights = _area_axis(pixels.shape[0], height)
    columns, column_weights = _area_axis(pixels.shape[1], width)
    total = np.zeros((height, width, pixels.shape[2]), dtype=np.float32)
    for row, row_weight in zip(rows.T, row_weights.T, strict=True):
        taps = _numbers(pixels[row][:, columns.T], table)  # height x taps x width x C
        taps *= column_weights.T[None, :, :, None]
        total += np.add.reduce(taps, axis=1) * row_weight[:, None, None]
    scale = _scale(pixels.shape[0], height) * _scale(pixels.shape[1], width)
    total *= np.float32(1) / scale
    return total


def _numbers(levels: UInt8Array, table: Float32Array) -> Float32Array:
    return levels.astype(np.float32) if table is LEVELS else table[levels]


def _mix(first: Float32Array, second: Float32Array, share: Float32Array) -> Float32Array:
    """First + (second - first) * share; both arrays are used up."""
    second -= first
    second *= share
    first += second
    return first


def _weighted(taps: list[Float32Array], weights: list[Float32Array]) -> Float32Array:
    total = taps[0] * weights[0]
    for tap, weight in zip(taps[1:], weights[1:], strict=True):
        total += tap * weight
    return total


def _scale(size: int, out: int) -> np.float32:
    return np.float32(size) / np.float32(out)


@functools.lru_cache(_CACHE)
def _bilinear_axis(size: int, out: int, half: bool) -> tuple[_Index, _Index, Float32Array]:  # noqa: FBT001  # a cache key
    scale = _scale(size, out)
    steps = np.arange(out, dtype=np.float32)
    place = (steps + _HALF) * scale - _HALF if half else steps * scale
    floor = np.floor(place)
    low = np.maximum(floor, 0).astype(np.intp)
    high = np.minimum(np.ceil(place), size - 1).astype(np.intp)
    return low, high, place - floor


@functools.lru_cache(_CACHE)
def _nearest_axis(size: int, out: int, half: bool) -> _Index:  # noqa: FBT001  # a cache key
    steps = np.arange(out, dtype=np.float32)
    place = (steps + _HALF) * _scale(size, out) if half else steps * _scale(size, out)
    index: _Index = np.minimum(np.floor(place), size - 1).astype(np.intp)
    return index


@functools.lru_cache(_CACHE)
def _bicubic_axis(size: int, out: int, half: bool) -> tuple[_Index, Float32Array]:  # noqa: FBT001  # a cache key
    """Return the four places and weights of each output, both ``out`` x 4."""
    steps = np.arange(out, dtype=np.float32)
    scale = _scale(size, out)
    place = (steps + _HALF) * scale - _HALF if half else steps * scale
    floor = np.floor(place)
    offset = np.rint((place - floor) * np.float32(_TABLE_SIZE)).astype(np.intp)
    inner, outer = _keys_tables(-0.5 if half else -0.75)
    weights = np.stack(
        [outer[offset], inner[offset], inner[_TABLE_SIZE - offset], outer[_TABLE_SIZE - offset]],
        axis=1,
    )
    wanted = floor.astype(np.intp)[:, None] + np.arange(-1, 3)
    places = np.clip(wanted, 0, size - 1)
    if half:
        weights = np.where(places == wanted, weights, np.float32(0))
        total = weights[:, 0] + weights[:, 1] + weights[:, 2] + weights[:, 3]
        weights = weights * (np.float32(1) / total)[:, None]
    return places, weights


@functools.lru_cache(2)
def _keys_tables(a: float) -> tuple[Float32Array, Float32Array]:
    """Keys' cubic kernel at 0..1 and at 1..2 (IEEE Trans. ASSP 29(6), 1981).

    Computed in float64 and then rounded, as TensorFlow does.
    """
    near = np.arange(_TABLE_SIZE + 1) / _TABLE_SIZE
    far = near + 1
    inner = ((a + 2) * near - (a + 3)) * near * near + 1
    outer = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a
    return inner.astype(np.float32), outer.astype(np.float32)


@functools.lru_cache(16)  # as long as the picture, not as the output
def _area_axis(size: int, out: int) -> tuple[_Index, Float32Array]:
    """Return places and weights, both ``out`` x the largest number of pixels under one output."""
    scale = _scale(size, out)
    steps = np.arange(out, dtype=np.float32)
    start, end = steps * scale, (steps + np.float32(1)) * scale
    first = np.floor(start).astype(np.intp)
    last = np.ceil(end).astype(np.intp)
    wanted = first[:, None] + np.arange(int((last - first).max()))
    at = wanted.astype(np.float32)
    before, after = at < start[:, None], at + np.float32(1) > end[:, None]
    whole = np.where(after, end[:, None] - at, np.float32(1))
    weights = np.where(before, np.where(after, scale, at + np.float32(1) - start[:, None]), whole)
    weights = np.where(wanted < last[:, None], weights, np.float32(0)).astype(np.float32)
    return np.clip(wanted, 0, size - 1), weights
