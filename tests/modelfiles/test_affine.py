from __future__ import annotations

import numpy as np
import pytest

from tintype.modelfiles.affine import Affine


def chain(*steps: tuple[str, object, bool]) -> Affine | None:
    affine: Affine | None = Affine.nothing(3)
    for kind, constant, swapped in steps:
        assert affine is not None
        affine = affine.then(kind, np.asarray(constant, np.float64), swapped=swapped, name=kind)
    return affine


@pytest.mark.parametrize(
    "steps",
    [
        [("mul", 1 / 127.5, False), ("sub", 1.0, False)],
        [("div", 127.5, False), ("add", -1.0, False)],
        [("sub", 127.5, False), ("div", 127.5, False)],
        [("sub", 127.5, True), ("mul", -1 / 127.5, True)],
        [("multiply", [1 / 127.5] * 3, False), ("subtract", [[[[1.0]], [[1.0]], [[1.0]]]], False)],
    ],
)
def test_the_same_scaling_written_in_many_ways(steps):
    """X / 127.5 - 1 comes out whichever operations make it."""
    affine = chain(*steps)

    assert affine is not None
    np.testing.assert_allclose(affine.scale, [1 / 127.5] * 3)
    np.testing.assert_allclose(affine.offset, [-1.0] * 3)


def test_the_sum_agrees_with_doing_it():
    """Pixels put through the steps one by one equal scale and offset applied once."""
    steps = [("sub", [1.0, 2.0, 3.0], False), ("div", 4.0, False), ("sub", 7.0, True)]
    affine = chain(*steps)
    pixels = np.array([10.0, 20.0, 30.0])

    assert affine is not None
    expected = 7.0 - (pixels - [1.0, 2.0, 3.0]) / 4.0
    np.testing.assert_allclose(expected, pixels * affine.scale + affine.offset)


@pytest.mark.parametrize(
    ("kind", "constant", "swapped"),
    [("div", 2.0, True), ("div", 0.0, False), ("mul", [1.0, 2.0], False), ("pow", 2.0, False)],
)
def test_what_is_not_linear_a_channel_ends_the_walk(kind, constant, swapped):
    """Constant / pixel, division by zero, odd shapes and powers are no affine step."""
    assert chain((kind, constant, swapped)) is None


def test_untouched_pixels_are_no_evidence():
    """Nothing done, nothing said."""
    assert Affine.nothing(3).evidence() is None


@pytest.mark.parametrize("constants", [(np.inf,), (np.nan,), (1e300, 1e300)])
def test_numbers_that_are_not_finite_are_no_evidence(constants):
    """A stranger's infinity does not reach the recipe, nor one made of two huge numbers."""
    affine: Affine | None = Affine.nothing(3)
    for constant in constants:
        assert affine is not None
        affine = affine.then("mul", np.array(constant), swapped=False, name="mul")

    assert affine is None or affine.evidence() is None
