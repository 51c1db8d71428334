"""Resizing along one axis as a matrix, for the kinds that ONNX has not, or not exactly.

TensorFlow's ``core/kernels/image/scale_and_translate_op.cc``: every output place is a weighted
mean of the input places that a kernel around it covers, centres at half pixels, weights scaled to
a sum of 1. With antialias the kernel is stretched where the picture shrinks. ``area`` is
``resize_area_op.cc``: the mean of what lies under the output place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tintype.modelfiles.keras.layers.bicubic import bicubic_matrix
from tintype.types import Float32Array

_Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


def _triangle(x: _Numbers) -> _Numbers:
    return np.maximum(0.0, 1.0 - x)


def _keys_cubic(x: _Numbers) -> _Numbers:
    """R. Keys, Cubic convolution interpolation, 1981, a = -0.5."""
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x >= 2.0, 0.0, np.where(x >= 1.0, far, near))


def _mitchell_cubic(x: _Numbers) -> _Numbers:
    """Mitchell and Netravali, Reconstruction filters in computer graphics, 1988, B = C = 1/3."""
    near = (7.0 * x / 6.0 - 2.0) * x * x + 8.0 / 9.0
    far = ((-7.0 * x / 18.0 + 2.0) * x - 10.0 / 3.0) * x + 16.0 / 9.0
    return np.where(x >= 2.0, 0.0, np.where(x >= 1.0, far, near))


def _lanczos(radius: float) -> Callable[[_Numbers], _Numbers]:
    def weight(x: _Numbers) -> _Numbers:
        return np.where(x > radius, 0.0, np.sinc(x) * np.sinc(x / radius))

    return weight


def _gaussian(x: _Numbers) -> _Numbers:
    """Radius 1.5, deviation a third of it."""
    return np.where(x >= 1.5, 0.0, np.exp(-x * x / (2 * 0.5**2)))


_KERNELS: dict[str, tuple[float, Callable[[_Numbers], _Numbers]]] = {
    "bilinear": (1.0, _triangle),
    "bicubic": (2.0, _keys_cubic),
    "lanczos3": (3.0, _lanczos(3.0)),
    "lanczos5": (5.0, _lanczos(5.0)),
    "gaussian": (1.5, _gaussian),
    "mitchellcubic": (2.0, _mitchell_cubic),
}

MATRIX_KINDS = ("bicubic", "lanczos3", "lanczos5", "gaussian", "mitchellcubic", "area")
"""Interpolations that are written as matrices even without antialias."""


def resize_matrix(kind: str, size: int, target: int, *, antialias: bool) -> Float32Array:
    """``target`` x ``size``: each row makes one output place of ``size`` input places."""
    if kind == "area":
        return _area_matrix(size, target)
    if kind == "bicubic" and not antialias:
        return bicubic_matrix(size, target)
    radius, kernel = _KERNELS[kind]
    step = size / target
    stretch = max(step, 1.0) if antialias else 1.0
    matrix = np.zeros((target, size), np.float64)
    for row in range(target):
        centre = (row + 0.5) * step
        first = max(0, math.ceil(centre - radius * stretch - 0.5))
        last = min(size - 1, math.floor(centre + radius * stretch - 0.5))
        places = np.arange(first, last + 1)
        matrix[row, places] = kernel(np.abs(places + 0.5 - centre) / stretch)
    return _scaled_to_one(matrix)


def _area_matrix(size: int, target: int) -> Float32Array:
    step = size / target
    starts = np.arange(target)[:, np.newaxis] * step
    places = np.arange(size)[np.newaxis]
    covered = np.minimum(starts + step, places + 1) - np.maximum(starts, places)
    return _scaled_to_one(np.maximum(covered, 0.0))


def _scaled_to_one(matrix: _Numbers) -> Float32Array:
    sums = matrix.sum(axis=1, keepdims=True)
    return np.asarray(matrix / np.where(np.abs(sums) < 1e-35, 1.0, sums), np.float32)
