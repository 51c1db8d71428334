"""TensorFlow's bicubic resize as a matrix for each axis.

Engines do not agree on the edges of ONNX' cubic Resize, so it is written as what it is: a linear
map. TensorFlow (``core/kernels/image/resize_bicubic_op.cc``) takes Keys' kernel (R. Keys, Cubic
convolution interpolation, 1981) with a = -0.5 from a table of 1024 steps, half-pixel centres, and
at the edges leaves out what lies outside and scales the rest up to 1.
"""

from __future__ import annotations

import numpy as np

from tintype.types import Float32Array

_STEPS = 1024
_A = -0.5


def bicubic_matrix(size: int, target: int) -> Float32Array:
    """``target`` x ``size``: each row makes one output place of ``size`` input places."""
    scale = np.float32(size) / np.float32(target)
    places = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    first = np.floor(places)
    fraction = np.rint((places - first) * np.float32(_STEPS)) / _STEPS
    matrix = np.zeros((target, size), np.float64)
    for tap in range(-1, 3):
        index = first.astype(np.int64) + tap
        weight = _keys(np.abs(fraction - tap))
        inside = (index >= 0) & (index < size)
        np.add.at(matrix, (np.flatnonzero(inside), index[inside]), weight[inside])
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True), np.float32)


def _keys(
    distance: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    near = ((_A + 2) * distance - (_A + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * _A - 4 * _A
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
