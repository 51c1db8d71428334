"""How a picture looks, in a few cheap numbers: what drift is told from."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tintype.types import Float32Array, PictureLook, UInt8Array

_GRID: Final = 32
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32) / np.float32(255)
"""Weights of red, green and blue levels (ITU-R BT.601, as in JPEG), for a luma of 0..1."""
_GREY: Final = np.array([1 / 255], np.float32)


def look_of(picture: UInt8Array) -> PictureLook:
    """Look at no more than 32 x 32 pixels, evenly spread, of a picture (HxWxC, C 1, 3 or 4).

    A fourth channel is left out. Takes about as long for a large picture as for a small one:
    ``bench/look.py`` measures it. Few calls on small arrays: each costs more than its numbers.
    """
    height, width = picture.shape[:2]
    rows = picture[:: -(-height // _GRID), :, :3]
    step = -(-width // _GRID)
    here = rows[:, : max(1, width - 1) : step]
    luma = _luma(here)
    count = luma.size
    brightness = float(np.add.reduce(luma)) / count
    away = luma - np.float32(brightness)
    beside = _luma(rows[:, 1::step]) if width > 1 else luma
    return PictureLook(
        brightness=brightness,
        contrast=math.sqrt(float(np.vdot(away, away)) / count),
        colour=_spread(here) / (255 * count),
        detail=float(np.add.reduce(np.abs(luma - beside))) / count,
    )


def _luma(pixels: UInt8Array) -> Float32Array:
    """Luma of each pixel, 0..1, in one row of numbers."""
    channels = pixels.shape[2]
    levels = pixels.reshape(-1, channels).astype(np.float32)
    weights = _LUMA if channels == 3 else _GREY
    luma: Float32Array = levels.dot(weights)
    return luma


def _spread(pixels: UInt8Array) -> int:
    """Sum of the largest minus the smallest level of each pixel."""
    if pixels.shape[2] == 1:
        return 0
    red, green, blue = pixels[:, :, 0], pixels[:, :, 1], pixels[:, :, 2]
    largest = np.maximum(np.maximum(red, green), blue)
    smallest = np.minimum(np.minimum(red, green), blue)
    return int(np.add.reduce(largest - smallest, axis=None, dtype=np.int64))
