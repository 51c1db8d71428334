"""What a first convolution makes of natural pictures: mean and variance of its outputs.

A convolution is linear, so over patches with mean ``mu`` and covariance ``S`` an output has mean
``w . mu + b`` and variance ``w' S w``. With ``S`` a function of displacement, the variance is the
kernel's autocorrelation times the covariance, summed over displacements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tintype.models.recipes.patch_statistics import Float64Array, PatchStatistics
from tintype.models.recipes.scales import Scale

Affine = tuple[Float64Array, Float64Array]
"""What the graph does before the kernel: factor and offset, one number a channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """Outputs of a convolution under several scales, S of them, for F families and C outputs.

    ``mean``: S x C, at ordinary brightness. ``slope``: S x C, what one level of brightness adds.
    ``variance``: S x F x C, at ordinary contrast.
    """

    mean: Float64Array
    slope: Float64Array
    variance: Float64Array


def response(
    kernel: Float64Array,
    *,
    bias: Float64Array,
    statistics: PatchStatistics,
    scales: Sequence[Scale],
    graph: Affine,
) -> Response:
    """Predict the outputs of ``kernel`` (rows x columns x channels x outputs, plus ``bias``).

    Zeros around the picture are not modelled: they touch few outputs of all but tiny pictures.
    """
    channels = kernel.shape[2]
    sums = kernel.sum(axis=(0, 1))
    shared = autocorrelation(kernel)
    means, slopes, variances = [], [], []
    for scale in scales:
        own = statistics.reversed() if scale.bgr else statistics
        factor, offset = scale.affine(channels)
        factor, offset = factor * graph[0], offset * graph[0] + graph[1]
        means.append((factor * own.mean + offset) @ sums + bias)
        slopes.append(factor @ sums)
        scaled = shared * (factor[:, None] * factor[None, :])[..., None, None, None]
        variances.append(_contract(own.covariance, scaled))
    return Response(mean=np.array(means), slope=np.array(slopes), variance=np.array(variances))


def _contract(covariance: Float64Array, shared: Float64Array) -> Float64Array:
    """F x C variances of a covariance (F x a x b x rows x columns) and an autocorrelation."""
    outputs, rows, columns = shared.shape[2:]
    near = covariance[..., :rows, :columns].reshape(len(covariance), -1)
    flat = shared.transpose(0, 1, 3, 4, 2).reshape(-1, outputs)
    return np.maximum(near @ flat, 1e-12)


def autocorrelation(kernel: Float64Array) -> Float64Array:
    """Sums of products of a kernel's weights, by displacement.

    For ``kernel`` rows x columns x channels x outputs: channels x channels x outputs x rows x
    columns, where displacements that mirror each other are added up.
    """
    rows, columns = kernel.shape[:2]
    padded = (2 * rows - 1, 2 * columns - 1)
    waves = np.fft.rfft2(kernel.transpose(2, 3, 0, 1), padded)
    products = np.fft.irfft2(waves[:, None] * np.conj(waves[None, :]), padded)
    by_column = _fold(products, columns)
    return _fold(by_column.swapaxes(-1, -2), rows).swapaxes(-1, -2)


def _fold(array: Float64Array, length: int) -> Float64Array:
    """Add negative displacements (at the end of the last axis, as FFTs put them) to positive."""
    places = np.arange(length)
    return array[..., places] + np.where(places > 0, array[..., -places], 0.0)


def rectified(
    mean: Float64Array, variance: Float64Array, ceiling: float | None
) -> tuple[Float64Array, Float64Array]:
    """Mean and variance of ``min(max(x, 0), ceiling)`` for a normal ``x``.

    ``max(x,0) - max(x-ceiling,0)`` has the moments below (truncated normal distribution).
    """
    first, second = _above(mean, variance)
    if ceiling is not None:
        over, over_square = _above(mean - ceiling, variance)
        second = second - over_square - 2 * ceiling * over
        first = first - over
    return first, np.maximum(second - first * first, 1e-6 * variance)


def _above(mean: Float64Array, variance: Float64Array) -> tuple[Float64Array, Float64Array]:
    """First and second moment of ``max(x, 0)``."""
    spread = np.sqrt(variance)
    z = mean / spread
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    part = 0.5 * (1 + _erf(z / np.sqrt(2)))
    first = mean * part + spread * density
    return first, (mean * mean + variance) * part + mean * spread * density


def _erf(x: Float64Array) -> Float64Array:
    """The error function to 1.5e-7 (Abramowitz and Stegun, formula 7.1.26)."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    series = t * (
        0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))
    )
    return np.sign(x) * (1 - series * np.exp(-x * x))
