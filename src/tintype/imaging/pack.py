"""From numbers to what the input stores: dtype, quantisation, layout; and back."""

from __future__ import annotations

from typing import Final, cast

import numpy as np
import numpy.typing as npt

from tintype.types import Float32Array, ImageInput, Layout, Quantisation, Tensor, UInt8Array

_INTEGERS: Final = ("uint8", "int8", "int16", "uint16", "int32", "int64")


def stored(numbers: Float32Array, *, target: ImageInput) -> Tensor:
    """Turn real ``numbers`` (any shape) into ``target``'s dtype.

    With quantisation ``round(x / scale) + zero_point``, halves away from zero, clipped (TFLite's
    quantisation specification and its ``AffineQuantize``, float32). Integers without it: rounded
    to even and clipped.
    """
    name, quantisation = target.tensor.dtype, _usable(target.tensor.quantisation)
    if name not in _INTEGERS:
        return numbers.astype(name)
    limits = np.iinfo(name)
    if quantisation is None:
        whole = np.rint(numbers)
    else:
        x = numbers / np.float32(quantisation.scale)
        whole = np.trunc(x + np.copysign(np.float32(0.5), x)) + np.float32(quantisation.zero_point)
    return np.clip(whole, limits.min, limits.max).astype(name)


def levels_fit(numbers: Float32Array, *, target: ImageInput) -> bool:
    """Tell whether a quantised 8-bit input stores each level 0..255 as itself, within one.

    ``numbers`` are the real numbers of the levels, 256 x channels. Then the recipe's scaling and
    the quantisation cancel (mean = std = 127.5 with scale 1/127.5 or 1/128, say), and levels go
    in as they are, as the TFLite Task Library feeds uint8 inputs.
    """
    name, quantisation = target.tensor.dtype, _usable(target.tensor.quantisation)
    if quantisation is None or name not in {"uint8", "int8"}:
        return False
    float_stored = numbers / np.float32(quantisation.scale) + np.float32(quantisation.zero_point)
    wanted = np.arange(256, dtype=np.float32)[:, None] + np.float32(np.iinfo(name).min)
    return bool(np.all(np.abs(float_stored - wanted) <= 1.001))


def stored_levels(levels: UInt8Array | Float32Array, *, dtype: str) -> Tensor:
    """Store levels 0..255, rounded, as ``uint8``, or shifted by 128 as ``int8``."""
    whole = cast(UInt8Array, levels)
    if levels.dtype != np.uint8:
        whole = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    if dtype == "uint8":
        return whole
    return (whole ^ np.uint8(128)).view(np.int8)  # x - 128, by the top bit


def real(tensor: Tensor, *, quantisation: Quantisation | None) -> Float32Array:
    """Undo ``stored`` up to its rounding."""
    numbers = tensor.astype(np.float32)
    if (quantisation := _usable(quantisation)) is None:
        return numbers
    return (numbers - np.float32(quantisation.zero_point)) * np.float32(quantisation.scale)


def _usable(quantisation: Quantisation | None) -> Quantisation | None:
    """Take a scale that no number can be divided by, as a damaged file may have, for none."""
    if quantisation is None or not 1e-30 < quantisation.scale < 1e30:
        return None
    return quantisation


def arranged(pixels: npt.NDArray[np.generic], *, layout: Layout) -> Tensor:
    """Bring HxWxC to ``layout`` without the batch axis, C-contiguous."""
    if layout is Layout.NCHW:
        pixels = pixels.transpose(2, 0, 1)
    elif layout is Layout.NHW:
        pixels = pixels[:, :, 0]
    elif layout is Layout.FLAT:
        pixels = pixels.reshape(-1)
    return np.ascontiguousarray(pixels)


def pictured(row: Tensor, *, target: ImageInput) -> Tensor:
    """Undo ``arranged``: a row of ``target`` as HxWxC."""
    if target.layout is Layout.NCHW:
        return row.transpose(1, 2, 0)
    if target.layout is Layout.NHW:
        return row[:, :, None]
    if target.layout is Layout.FLAT:
        return row.reshape(target.height or 1, target.width or -1, target.channels)
    return row
