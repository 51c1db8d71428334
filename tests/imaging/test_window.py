"""Where the model's input lies in the picture."""

from __future__ import annotations

import pytest

from tintype.imaging.recipe import parse_recipe
from tintype.imaging.window import seen_window
from tintype.types import ImageInput, Layout, Point, TensorSpec, Window


def window(recipe: dict, *, width=200, height=100, side: int | None = 50, point=None) -> Window:
    tensor = TensorSpec(name="x", shape=(None, side, side, 3))
    target = ImageInput(tensor=tensor, layout=Layout.NHWC, height=side, width=side, channels=3)
    made = parse_recipe({"preset": "raw", **recipe})
    return seen_window(width=width, height=height, recipe=made, target=target, point=point)


@pytest.mark.parametrize(
    ("mode", "left", "top", "width", "height"),
    [
        ("stretch", 0, 0, 200, 100),
        ("cover_crop", 50, 0, 100, 100),
        ("crop_to_aspect", 50, 0, 100, 100),
        ("pad", 0, -50, 200, 200),
    ],
)
def test_a_whole_picture(mode, left, top, width, height):
    """Crops are centred, padding reaches beyond the picture."""
    expected = Window(left=left, top=top, width=width, height=height)
    assert expected == window({"geometry": mode})


def test_short_side_crop_sees_the_middle():
    """Short side to 100, crop of 50: half of the short side is seen."""
    seen = window({"geometry": {"mode": "short_side_crop", "short_side": 100}})
    assert Window(left=75, top=25, width=50, height=50) == seen


def test_a_view_moves_the_window():
    """The part around the point is where the boxes lie."""
    view = {"kind": "pixels", "size": 20}
    seen = window({"geometry": "stretch", "view": view}, point=Point(x=199, y=0))
    assert Window(left=180, top=0, width=20, height=20) == seen


def test_a_model_of_any_size_sees_all():
    """Without a size of its own, the whole picture is fed."""
    assert Window(left=0, top=0, width=200, height=100) == window({}, side=None)
