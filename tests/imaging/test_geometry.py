"""Shapes that the golden tests do not reach."""

import numpy as np

from tintype.imaging import geometry
from tintype.imaging.presets import PRESETS
from tintype.imaging.recipe import parse_recipe_text
from tintype.imaging.tf_resize import LEVELS


def fitted(pixels, recipe, height, width):
    return geometry.fit(pixels, recipe=recipe, size=(height, width), table=LEVELS)


def test_only_the_middle_of_a_long_picture_is_scaled(make_scene):
    """Of a picture longer than 8:1 short_side_crop scales the central 8:1, which the crop needs."""
    long = make_scene(3000, 20)
    recipe = PRESETS["torchvision"]

    whole = fitted(long, recipe, 224, 224)
    middle = fitted(np.ascontiguousarray(long[:, 1420:1580]), recipe, 224, 224)

    np.testing.assert_array_equal(middle, whole)


def test_a_short_side_below_the_model_is_raised(make_scene):
    """A short side smaller than the model's would leave nothing to crop."""
    recipe = parse_recipe_text("torchvision,short_side=100")

    assert (224, 224, 3) == fitted(make_scene(), recipe, 224, 224).shape


def test_cover_crop_with_a_tensorflow_engine_cuts_whole_pixels(make_scene):
    """Without Pillow's fractional box, cover_crop is crop_to_aspect."""
    cover = parse_recipe_text("keras-image-dataset,geometry=cover_crop")

    np.testing.assert_array_equal(
        fitted(make_scene(), PRESETS["keras-image-dataset-crop"], 90, 70),
        fitted(make_scene(), cover, 90, 70),
    )


def test_padding_is_black_and_equal_on_both_sides(make_scene):
    """A wide picture in a square has black bars above and below."""
    out = fitted(make_scene(200, 100), PRESETS["keras-image-dataset-pad"], 100, 100)

    assert (0, 0) == (out[:25].max(), out[75:].max())
    assert out[25:75].min(axis=(1, 2)).min() >= 0 < out[25:75].max(axis=(1, 2)).min()


def test_a_line_can_be_padded(make_scene):
    """TensorFlow refuses to fit 1 x 301 pixels into a square; here a line of one pixel remains."""
    out = fitted(make_scene(301, 1), PRESETS["keras-image-dataset-pad"], 64, 64)

    assert 1 == np.count_nonzero(out.max(axis=(1, 2)))
