"""A factor and an offset for each channel, put into the kernel before them.

Worked out in float64 and stored as float32: each weight is rounded once, as the engine would round
the product. Where that would not hold (a number too large or too small for float32) nothing is
folded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tintype.types import Float32Array

_SMALLEST = float(np.finfo(np.float32).tiny)
"""Below it float32 loses digits."""


@dataclass(frozen=True, slots=True)
class Affine:
    """x * ``scale`` + ``offset``, float64, one number a channel."""

    scale: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]


def batch_affine_of(parts: Sequence[Any], epsilon: float) -> Affine:
    """A batch normalisation: ``parts`` are gamma, beta, mean and variance, one number a channel."""
    gamma, beta, mean, variance = (np.asarray(part, np.float64) for part in parts)
    # Engines hold epsilon as float32.
    scale = gamma / np.sqrt(variance + float(np.float32(epsilon)))
    return Affine(scale, beta - mean * scale)


def channel_affine(op: str, number: npt.NDArray[Any], channels: int, rank: int) -> Affine | None:
    """``Mul``, ``Div``, ``Add`` or ``Sub`` by ``number``, which spreads over ``rank`` axes.

    None where it is not one number, or one a channel (axis 1).
    """
    spread = (1,) * (rank - number.ndim) + number.shape
    if len(spread) != rank or spread not in {(1,) * rank, (1, channels, *(1,) * (rank - 2))}:
        return None
    each = np.broadcast_to(number.reshape(-1).astype(np.float64), (channels,))
    ones, zeros = np.ones(channels), np.zeros(channels)
    return {
        "Mul": lambda: Affine(each, zeros),
        "Div": lambda: Affine(1 / each, zeros),
        "Add": lambda: Affine(ones, each),
        "Sub": lambda: Affine(ones, -each),
    }[op]()


def scaled_kernel(kernel: npt.NDArray[Any], affine: Affine, axis: int) -> Float32Array | None:
    """``kernel`` times the scale along ``axis``; None where float32 cannot hold the result."""
    spread = [1] * kernel.ndim
    spread[axis] = affine.scale.size
    if (affine.scale == 1).all():
        return np.asarray(kernel, np.float32)
    exact = kernel * affine.scale.reshape(spread)
    size = np.abs(exact)
    narrow = exact.astype(np.float32)
    holds = np.isfinite(narrow).all() and not ((size < _SMALLEST) & (size > 0)).any()
    return narrow if holds else None
