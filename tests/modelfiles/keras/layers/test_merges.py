"""Layers that join tensors, spread over each other, and Dot along any axes."""

from __future__ import annotations

from pathlib import Path

import pytest

MERGES = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]


@pytest.mark.parametrize("kind", MERGES)
@pytest.mark.parametrize("shape", [(1, 1, 4), (7, 1, 4), (1, 6, 1), (4,), (6, 4)])
def test_merge_spreads(kind, shape, generation, tmp_path: Path, assert_same, randomised) -> None:
    """A tensor of length 1 along an axis, or of fewer axes, is spread over the other."""
    keras, ending = generation
    layers = keras.layers
    picture = keras.Input((7, 6, 4))
    length = 1
    for side in shape:
        length *= side
    row = layers.Dense(length)(layers.GlobalAveragePooling2D()(picture))
    other = layers.Reshape(shape)(row)
    joined = getattr(layers, kind)()([layers.Conv2D(4, 1)(picture), other])
    model = keras.Model(picture, layers.Flatten()(joined))
    assert_same(randomised(model), tmp_path / f"model{ending}")


@pytest.mark.parametrize("axis", [1, 2, 3, -1, -2])
def test_concatenate(axis, generation, tmp_path: Path, assert_same, randomised) -> None:
    """Any axis, between tensors stored in two orders."""
    keras, ending = generation
    layers = keras.layers
    picture = keras.Input((6, 6, 4))
    turned = layers.Permute((2, 1, 3))(picture)
    joined = layers.Concatenate(axis=axis)([layers.Conv2D(4, 1)(picture), picture, turned])
    model = keras.Model(picture, layers.Flatten()(joined))
    assert_same(randomised(model), tmp_path / f"model{ending}")


@pytest.mark.parametrize(
    ("left", "right", "axes", "normalize"),
    [
        ((6,), (6,), 1, False),
        ((6,), (6,), -1, True),
        ((5, 4), (5, 3), 1, False),
        ((5, 4), (3, 4), 2, True),
        ((5, 4), (4, 3), (2, 1), False),
        ((4,), (3, 4), (1, 2), False),
        ((5, 4), (4,), (2, 1), False),
        ((2, 5, 4), (4, 3), (3, 1), False),
    ],
)
def test_dot(left, right, axes, normalize, generation, tmp_path: Path, assert_same, randomised):
    """The product along one axis of each, picture by picture."""
    keras, ending = generation
    layers = keras.layers
    picture = keras.Input((7, 6, 4))
    row = layers.GlobalAveragePooling2D()(picture)
    sides = []
    for shape in (left, right):
        length = 1
        for side in shape:
            length *= side
        sides.append(layers.Reshape(shape)(layers.Dense(length)(row)))
    joined = layers.Dot(axes=axes, normalize=normalize)(sides)
    model = keras.Model(picture, layers.Flatten()(joined))
    assert_same(randomised(model), tmp_path / f"model{ending}")
