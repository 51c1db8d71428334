"""The part of the picture around a point."""

import numpy as np
import pytest

from tintype.errors import MalformedRequest
from tintype.imaging.steps import View
from tintype.imaging.view import cut
from tintype.types import Point

WIDTH, HEIGHT = 40, 30
PIXELS = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint32).astype(np.uint8).reshape(HEIGHT, WIDTH, 3)
NINE = View(kind="pixels", size=9)


def place(view, point=None):
    """Where a cut begins and how large it is: left, top, width, height."""
    part = cut(PIXELS, view=view, point=point)
    offset = (part.ctypes.data - PIXELS.ctypes.data) // 3
    return offset % WIDTH, offset // WIDTH, part.shape[1], part.shape[0]


@pytest.mark.parametrize(
    ("view", "point", "expected"),
    [
        (View(), None, (0, 0, 40, 30)),
        (View(), Point(x=3, y=3), (0, 0, 40, 30)),
        (NINE, Point(x=20, y=15), (16, 11, 9, 9)),
        (NINE, Point(x=20.9, y=15.9), (16, 11, 9, 9)),
        (NINE, Point(x=0, y=0), (0, 0, 9, 9)),
        (NINE, Point(x=39.9, y=29.9), (31, 21, 9, 9)),
        (NINE, None, (15, 10, 9, 9)),
        (View(kind="pixels", size=35), Point(x=39, y=1), (5, 0, 35, 30)),
        (View(kind="pixels", size=99), Point(x=39, y=1), (0, 0, 40, 30)),
        (View(kind="fraction", fraction=0.5), None, (10, 7, 20, 15)),
        (View(kind="fraction", fraction=0.8), Point(x=1, y=29), (0, 6, 32, 24)),
        (View(kind="fraction", fraction=0.001), Point(x=7, y=8), (7, 8, 1, 1)),
        (View(kind="fraction", fraction=1.0), Point(x=7, y=8), (0, 0, 40, 30)),
    ],
)
def test_places(view, point, expected):
    """The part lies around the point, else the centre, and is moved inward at the edges."""
    assert expected == place(view, point)


@pytest.mark.parametrize(
    "point",
    [Point(x=-0.1, y=3), Point(x=40, y=3), Point(x=3, y=30), Point(x=float("nan"), y=3),
     Point(x=3, y=float("inf"))],
)  # fmt: skip
@pytest.mark.parametrize("view", [View(), NINE])
def test_outside(point, view):
    """A point outside is a malformed request that names width and height."""
    with pytest.raises(MalformedRequest, match="width is 40 and height 30") as caught:
        cut(PIXELS, view=view, point=point)

    assert (40, 30) == (caught.value.facts["width"], caught.value.facts["height"])
