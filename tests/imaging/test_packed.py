"""Four-byte storage: gathers and images agree with plain arrays, and copy nothing needless."""

import numpy as np
import pytest

from tintype.imaging.orient import upright
from tintype.imaging.packed import empty, gather, image_of, storage


@pytest.fixture
def stored(make_scene):
    pixels = empty(height=61, width=97, channels=3)
    pixels[:] = make_scene(97, 61)
    return pixels


@pytest.mark.parametrize("orientation", range(1, 9))
def test_gather(stored, orientation):
    """Words are gathered from any cut and turned view as numpy indexes it."""
    view = upright(stored, orientation)[3:50, 4:40]
    rows, columns = np.array([0, 9, 9, 46]), np.array([35, 0, 1])

    assert storage(view) is not None
    taken = gather(view, rows, columns)[:, :, :3]

    np.testing.assert_array_equal(view[rows][:, columns], taken)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("cut", [np.s_[:, :], np.s_[5:50], np.s_[:, 7:33], np.s_[2:9, 7:33]])
def test_image(stored, orientation, cut):
    """The Pillow image of a cut and turned view shows that view."""
    view = upright(stored, orientation)[cut]

    image = image_of(view)

    assert "RGBX" == image.mode
    np.testing.assert_array_equal(view, np.asarray(image)[:, :, :3])


@pytest.mark.parametrize("shape", [(1, 30), (30, 1), (1, 1)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_lines(shape, orientation, make_scene):
    """A line of pixels, whose strides tell little, comes out right as well."""
    pixels = empty(height=shape[0], width=shape[1], channels=3)
    pixels[:] = make_scene(shape[1], shape[0])
    view = upright(pixels, orientation)

    np.testing.assert_array_equal(view, np.asarray(image_of(view))[:, :, :3])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_plain_arrays(make_scene, channels):
    """Arrays that are not kept in words work as well."""
    pixels = np.ascontiguousarray(make_scene()[:, :, [0, 1, 2, 0]][:, :, :channels])
    rows, columns = np.array([4, 1]), np.array([7, 300])

    taken = gather(pixels, rows, columns)
    image = np.asarray(image_of(pixels)).reshape(pixels.shape)

    np.testing.assert_array_equal(pixels[rows][:, columns], taken[:, :, :channels])
    np.testing.assert_array_equal(pixels, image)


def test_channels_that_begin_inside_a_word_are_not_words(make_scene):
    """A view of the last three of four channels is not mistaken for words."""
    four = make_scene()[:, :, [0, 0, 1, 2]].copy()

    assert storage(four[:, :, 1:]) is None
