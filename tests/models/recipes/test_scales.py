"""Names of scales, and what goes with arithmetic in a graph."""

from __future__ import annotations

import numpy as np
import pytest

from tintype.imaging.recipe import parse_recipe
from tintype.imaging.values import in_order, scaled
from tintype.models.recipes.scales import BY_NAME, SCALES, fed_to_graph, same_scale

TORCH_STD = np.array([0.229, 0.224, 0.225])
TORCH_MEAN = np.array([0.485, 0.456, 0.406])


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.name)
def test_a_scale_is_what_its_recipe_does(scale):
    """Factor and offset compute the numbers that imaging computes for the same values."""
    recipe = parse_recipe({"preset": "raw", "values": scale.values})
    pixels = np.array([[[0, 50, 255], [10, 128, 77]]], np.float32)
    factor, offset = scale.affine(3)
    ordered = pixels[..., ::-1] if scale.bgr else pixels

    made = scaled(in_order(pixels, recipe.values).copy(), recipe.values)

    np.testing.assert_allclose(ordered * factor + offset, made, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("factor", "offset", "name"),
    [
        (1 / 127.5, -1, "x/127.5-1"),
        (1 / 128, -1, "x/127.5-1"),
        (1 / 255, 0, "x/255"),
        (1 / 255, -0.5, "x/255-0.5"),
        (1, 0, "0..255"),
        (1 / (255 * TORCH_STD), -TORCH_MEAN / TORCH_STD, "ImageNet mean and std"),
        (1, [-123.68, -116.779, -103.939], "minus ImageNet means on RGB"),
    ],
)
def test_usual_scales_are_recognised(factor, offset, name):
    """The same numbers, or nearly, are the same scale."""
    ones = np.ones(3)

    assert BY_NAME[name] is same_scale(ones * factor, ones * offset)


def test_means_belong_to_their_channel_order():
    """Blue's mean first is usual for BGR and not for RGB."""
    ones, means = np.ones(3), np.array([-103.939, -116.779, -123.68])

    assert BY_NAME["minus ImageNet means"] is same_scale(ones, means, bgr=True)
    assert same_scale(ones, means) is None


def test_unusual_scales_are_not():
    """Half of ±1 is nobody's scale."""
    assert same_scale(np.full(3, 1 / 255), np.full(3, -0.2)) is None


@pytest.mark.parametrize(
    ("factor", "offset", "name"),
    [
        (1 / 255, 0, "0..255"),
        (1 / 127.5, -1, "0..255"),
        (1, [-123.68, -116.779, -103.939], "0..255"),
        (1 / 65, -120 / 65, "0..255"),
        (2, -1, "x/255"),
        (1 / TORCH_STD, -TORCH_MEAN / TORCH_STD, "x/255"),
        (1 / 0.3, -0.5 / 0.3, "x/255"),
        (1, -0.5, "x/255"),
        (255, 0, "x/255"),
        (127.5, 127.5, "x/127.5-1"),
        (1e9, 0, "0..255"),
    ],
)
def test_what_a_graph_with_arithmetic_of_its_own_is_fed(factor, offset, name):
    """Levels, 0..1 or ±1: whatever makes a usual scale of both, or keeps the result small."""
    ones = np.ones(3)

    assert name == fed_to_graph(ones * factor, ones * offset).name
