"""How a picture looks, in a few cheap numbers: what drift is told from."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np

from tintype.types import Float32Array, PictureLook, UInt8Array

_GRID: Final = 32
_LEVEL: Final = np.float32(1 / 255)
_RED, _GREEN, _BLUE = np.float32(0.299), np.float32(0.587), np.float32(0.114)
_Planes: TypeAlias = list[Float32Array]


def look_of(picture: UInt8Array) -> PictureLook:
    """Look at no more than 32 x 32 pixels, evenly spread, of a picture (HxWxC, C 1, 3 or 4).

    A fourth channel is left out. Takes about as long for a large picture as for a small one:
    ``bench/look.py`` measures it.
    """
    height, width = picture.shape[:2]
    rows = picture[:: -(-height // _GRID)]
    step = -(-width // _GRID)
    here = _planes(rows[:, : max(1, width - 1) : step])
    right = _planes(rows[:, 1::step]) if width > 1 else here
    luma = _luma(here)
    away = luma - (brightness := float(luma.mean()))
    return PictureLook(
        brightness=brightness,
        contrast=math.sqrt(float(np.vdot(away, away)) / away.size),  # quicker than std()
        colour=_spread(here),
        detail=float(np.abs(luma - _luma(right)).mean()),
    )


def _planes(pixels: UInt8Array) -> _Planes:
    """The colour channels, each on its own, 0..1."""
    channels = range(min(pixels.shape[2], 3))
    return [np.multiply(pixels[:, :, channel], _LEVEL) for channel in channels]


def _luma(planes: _Planes) -> Float32Array:
    """Luma (ITU-R BT.601, as in JPEG)."""
    if len(planes) == 1:
        return planes[0]
    red, green, blue = planes
    luma: Float32Array = red * _RED + green * _GREEN + blue * _BLUE
    return luma


def _spread(planes: _Planes) -> float:
    """Mean of the largest minus the smallest channel."""
    if len(planes) == 1:
        return 0.0
    red, green, blue = planes
    largest = np.maximum(np.maximum(red, green), blue)
    return float((largest - np.minimum(np.minimum(red, green), blue)).mean())
