from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import astuple

from tintype.imaging.look import look_of


def flat(*levels: int, side: int = 40) -> np.ndarray:
    """A picture of one colour."""
    return np.full((side, side, len(levels)), levels, np.uint8)


def test_white_and_black_are_the_ends_of_the_scale():
    """One colour has no contrast, no colour and no detail."""
    white, black = look_of(flat(255, 255, 255)), look_of(flat(0, 0, 0))
    assert (1, 0, 0, 0) == pytest.approx(astuple(white), abs=1e-6)
    assert (0, 0, 0, 0) == astuple(black)


def test_brightness_weighs_the_channels_as_jpeg_does():
    """Pure green counts 0.587; its colour is as strong as colour can be."""
    look = look_of(flat(0, 255, 0))
    assert (pytest.approx(0.587), pytest.approx(1.0)) == (look.brightness, look.colour)


def test_stripes_of_black_and_white_are_all_contrast_and_detail():
    """Half of the pixels are white, and every neighbour differs."""
    stripes = np.zeros((30, 30, 3), np.uint8)
    stripes[:, ::2] = 255
    look = look_of(stripes)
    assert 1.0 == pytest.approx(look.detail)
    assert (0.5, 0.5) == pytest.approx((look.brightness, look.contrast), abs=0.03)


def test_grey_and_alpha_are_looked_at_too():
    """One channel is its own luma; a fourth is left out."""
    assert 0.4 == pytest.approx(look_of(flat(102)).brightness)
    assert look_of(flat(10, 20, 30)) == look_of(flat(10, 20, 30, 99))


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (2, 2), (33, 65)])
def test_every_shape_is_looked_at(shape):
    """Even a picture of one pixel."""
    look = look_of(np.full((*shape, 3), 51, np.uint8))
    assert 0.2 == pytest.approx(look.brightness)


def test_a_sample_comes_close_to_the_whole():
    """On a large noisy picture the numbers are those of all its pixels, within 0.02."""
    noise = np.random.default_rng(3).integers(0, 256, (1200, 900, 3), dtype=np.uint8)
    luma = noise @ np.array([0.299, 0.587, 0.114]) / 255
    expected = (luma.mean(), luma.std(), np.ptp(noise, axis=2).mean() / 255)
    look = look_of(noise)
    assert expected == pytest.approx((look.brightness, look.contrast, look.colour), abs=0.02)


def test_a_turned_view_looks_the_same():
    """Upright pictures are views with other strides."""
    noise = np.random.default_rng(4).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    turned = noise.transpose(1, 0, 2)[::-1]
    whole, view = look_of(np.ascontiguousarray(turned)), look_of(turned)
    assert astuple(whole) == pytest.approx(astuple(view))
