"""Predicted outputs of a first convolution."""

from __future__ import annotations

import numpy as np
import pytest

from tintype.models.recipes.patch_statistics import PatchStatistics, patch_statistics
from tintype.models.recipes.response import autocorrelation, rectified, response
from tintype.models.recipes.scales import CAFFE, PLUS_MINUS_ONE, RAW

PLAIN = (np.ones(3), np.zeros(3))


def variance_by_matrix(kernel: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """The definition: diag(W S W') with the whole patch covariance written out."""
    height, width, channels, outputs = kernel.shape
    place = [(y, x, c) for y in range(height) for x in range(width) for c in range(channels)]
    matrix = np.array(
        [[covariance[c, e, abs(y - v), abs(x - u)] for v, u, e in place] for y, x, c in place]
    )
    weights = kernel.reshape(-1, outputs)
    return np.einsum("po,pq,qo->o", weights, matrix, weights)


@pytest.mark.parametrize("shape", [(1, 1, 3, 4), (3, 3, 3, 5), (2, 5, 3, 3), (7, 7, 3, 2)])
def test_variance_is_that_of_the_written_out_patch(shape: tuple[int, ...]):
    """Autocorrelation times covariance is W S W', for any shape of kernel."""
    kernel = np.random.default_rng(1).normal(size=shape)
    statistics = patch_statistics(3)

    made = response(
        kernel, bias=np.zeros(shape[3]), statistics=statistics, scales=[RAW], graph=PLAIN
    )

    expected = variance_by_matrix(kernel, statistics.covariance[5])
    np.testing.assert_allclose(expected, made.variance[0, 5], rtol=1e-9)


def test_autocorrelation_counts_mirrored_displacements_together():
    """A kernel [1, 2] has 1*1 + 2*2 at rest, and 1*2 twice at a displacement of one."""
    kernel = np.array([1.0, 2.0]).reshape(1, 2, 1, 1)

    np.testing.assert_allclose([5.0, 4.0], autocorrelation(kernel).ravel())


def test_mean_follows_scale_and_bias():
    """Under x/127.5-1 a kernel of one weight on green gives its mean, scaled, plus the bias."""
    kernel = np.zeros((1, 1, 3, 1))
    kernel[0, 0, 1, 0] = 2.0
    statistics = patch_statistics(3)

    made = response(
        kernel,
        bias=np.array([0.5]),
        statistics=statistics,
        scales=[PLUS_MINUS_ONE],
        graph=PLAIN,
    )

    assert 2 * (statistics.mean[1] / 127.5 - 1) + 0.5 == pytest.approx(made.mean[0, 0])
    assert 2 / 127.5 == pytest.approx(made.slope[0, 0])


def test_the_graphs_own_arithmetic_comes_after_the_scale():
    """Levels into a graph that does x/127.5-1 are as good as x/127.5-1 into one that does not."""
    kernel = np.random.default_rng(2).normal(size=(3, 3, 3, 4))
    common = {"bias": np.zeros(4), "statistics": patch_statistics(3)}
    inside = (np.full(3, 1 / 127.5), np.full(3, -1.0))

    outside = response(kernel, **common, scales=[PLUS_MINUS_ONE], graph=PLAIN)
    within = response(kernel, **common, scales=[RAW], graph=inside)

    np.testing.assert_allclose(outside.mean, within.mean)
    np.testing.assert_allclose(outside.variance, within.variance)


def test_the_graphs_own_arithmetic_can_undo_a_scale():
    """±1 into a graph that does x * 127.5 + 127.5 is as good as levels."""
    kernel = np.random.default_rng(2).normal(size=(3, 3, 3, 4))
    common = {"bias": np.zeros(4), "statistics": patch_statistics(3)}
    undone = (np.full(3, 127.5), np.full(3, 127.5))

    levels = response(kernel, **common, scales=[RAW], graph=PLAIN)
    within = response(kernel, **common, scales=[PLUS_MINUS_ONE], graph=undone)

    np.testing.assert_allclose(levels.mean, within.mean)
    np.testing.assert_allclose(levels.variance, within.variance)


def test_bgr_scales_see_blue_first():
    """The caffe scale takes 103.939 from blue, the first channel: the mean is blue's."""
    kernel = np.zeros((1, 1, 3, 1))
    kernel[0, 0, 0, 0] = 1.0
    statistics = patch_statistics(3)

    made = response(kernel, bias=np.zeros(1), statistics=statistics, scales=[CAFFE], graph=PLAIN)

    assert statistics.mean[2] - 103.939 == pytest.approx(made.mean[0, 0])


def test_pictures_made_of_the_statistics_give_the_predicted_variance():
    """Noise with the covariance of one family, drawn and convolved, varies as predicted."""
    random = np.random.default_rng(3)
    covariance = patch_statistics(1).covariance[0, 0, 0]
    rows, columns = np.divmod(np.arange(9), 3)
    matrix = covariance[abs(rows[:, None] - rows), abs(columns[:, None] - columns)]
    patches = random.multivariate_normal(np.full(9, 100.0), matrix, size=200_000, method="eigh")
    kernel = random.normal(size=(3, 3, 1, 4))
    statistics = PatchStatistics(
        families=("one",), mean=np.array([100.0]), covariance=covariance[None, None, None]
    )

    made = response(
        kernel,
        bias=np.zeros(4),
        statistics=statistics,
        scales=[RAW],
        graph=(np.ones(1), np.zeros(1)),
    )
    outputs = patches @ kernel.reshape(9, 4)

    np.testing.assert_allclose(outputs.mean(axis=0), made.mean[0], atol=1.0)
    np.testing.assert_allclose(outputs.var(axis=0), made.variance[0, 0], rtol=0.02)


@pytest.mark.parametrize("ceiling", [None, 6.0, 1.0])
@pytest.mark.parametrize(("mean", "spread"), [(0.0, 1.0), (2.0, 3.0), (-1.5, 1.0), (5.5, 1.0)])
def test_moments_behind_a_rectifier(mean: float, spread: float, ceiling: float | None):
    """Mean and variance are those of a clipped normal sample."""
    sample = np.random.default_rng(4).normal(mean, spread, 400_000).clip(0, ceiling)

    first, variance = rectified(np.array([mean]), np.array([spread**2]), ceiling)

    assert sample.mean() == pytest.approx(first[0], abs=0.01)
    assert sample.var() == pytest.approx(variance[0], rel=0.02, abs=0.002)
