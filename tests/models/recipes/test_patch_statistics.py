"""The shipped statistics of natural pictures."""

from __future__ import annotations

import importlib.resources

import numpy as np
import pytest

from tintype.models.recipes.patch_statistics import LAGS, grey, patch_statistics


def test_twelve_families_are_shipped():
    """Four sizes by three kinds of resize, RGB, eleven displacements each way."""
    statistics = patch_statistics(3)

    assert 12 == len(set(statistics.families))
    assert (12, 3, 3, LAGS, LAGS) == statistics.covariance.shape
    assert (3,) == statistics.mean.shape


def test_the_file_is_small():
    """Statistics are numbers, not photographs: less than 100 kB."""
    folder = importlib.resources.files("tintype.models.recipes")

    assert len((folder / "patch_statistics.npz").read_bytes()) < 100_000


def test_pixels_that_lie_apart_have_less_in_common():
    """Covariance falls with distance in every family and channel."""
    covariance = patch_statistics(3).covariance
    own = np.einsum("faayx->fayx", covariance)

    assert np.all(np.diff(own, axis=2) < 0)
    assert np.all(np.diff(own, axis=3) < 0)


def test_smoothed_pictures_vary_less_from_pixel_to_pixel():
    """An antialiased resize leaves smaller differences between neighbours than nearest."""
    statistics = patch_statistics(3)
    steps = statistics.covariance[:, 1, 1, 0, 0] - statistics.covariance[:, 1, 1, 0, 1]
    by_family = dict(zip(statistics.families, steps, strict=True))

    for size in ("32", "64", "128", "224"):
        assert by_family[f"{size} antialiased"] < by_family[f"{size} nearest"]


@pytest.mark.parametrize("family", range(12))
def test_every_family_is_a_covariance(family: int):
    """No 5x5 kernel on RGB can have a negative variance: the matrix has no negative eigenvalue."""
    covariance = patch_statistics(3).covariance[family]
    rows, columns = np.divmod(np.arange(25), 5)
    dy, dx = abs(rows[:, None] - rows), abs(columns[:, None] - columns)
    matrix = covariance[:, :, dy, dx].transpose(0, 2, 1, 3).reshape(75, 75)

    eigenvalues = np.linalg.eigvalsh(matrix)

    assert eigenvalues.min() > -1e-4 * eigenvalues.max()


def test_grey_is_the_luma_of_rgb():
    """With one colour in all three channels, grey has that channel's covariance."""
    colour = patch_statistics(3)
    alike = colour.covariance[:, 1:2, 1:2] * np.ones((1, 3, 3, 1, 1))
    same = type(colour)(families=colour.families, mean=np.full(3, colour.mean[1]), covariance=alike)

    np.testing.assert_allclose(colour.covariance[:, 1, 1], grey(same).covariance[:, 0, 0])
    assert colour.mean[1] == pytest.approx(grey(same).mean[0])


def test_reversed_swaps_red_and_blue():
    """BGR statistics have blue first."""
    colour = patch_statistics(3)

    np.testing.assert_array_equal(colour.mean[::-1], colour.reversed().mean)
    np.testing.assert_array_equal(colour.covariance[:, 0, 1], colour.reversed().covariance[:, 2, 1])
