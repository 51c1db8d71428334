"""Which input takes the picture, which output is read, and what is refused as no image model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tintype.errors import NotAnImageModel, UnsupportedModel
from tintype.modelfiles.description import ModelDescription
from tintype.types import Activation, Layout


@pytest.fixture
def read(keras3, tmp_path: Path, save, describe) -> Callable[..., ModelDescription]:
    """Read a Sequential of the given input shape and layers."""

    def build(shape: tuple[Any, ...], *layers: Any, dtype: str = "float32") -> ModelDescription:
        model = keras3.Sequential([keras3.Input(shape, dtype=dtype, name="prices"), *layers])
        return describe(save(model, tmp_path / "model.keras"))

    return build


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((28, 28, 1), (Layout.NHWC, 28, 28, 1)),
        ((28, 28), (Layout.NHW, 28, 28, 1)),
        ((784,), (Layout.FLAT, 28, 28, 1)),
        ((3072,), (Layout.FLAT, 32, 32, 3)),
        ((20, 30, 4), (Layout.NHWC, 20, 30, 4)),
    ],
)
def test_pictures(read, keras3, shape, expected) -> None:
    """Pictures with, without and with a flattened channel axis."""
    image = read(shape, keras3.layers.Flatten(), keras3.layers.Dense(3)).image
    assert expected == (image.layout, image.height, image.width, image.channels)


def test_a_flat_picture_is_called_a_guess(read, keras3) -> None:
    """784 numbers may be something else: the notes say what was taken."""
    assert any("28 x 28 x 1" in note for note in read((784,), keras3.layers.Dense(3)).notes)


@pytest.mark.parametrize("shape", [(7,), (512,), (60, 5), (16, 32, 32, 3), (32, 32, 2), (64,)])
def test_no_pictures(read, keras3, shape) -> None:
    """Vectors, series, videos and odd channel counts are refused by name, shape and dtype."""
    with pytest.raises(NotAnImageModel, match=r"'prices' has the shape \(\?, .*float32"):
        read(shape, keras3.layers.Flatten(), keras3.layers.Dense(3))


def test_a_series_of_prices(read, keras3) -> None:
    """An LSTM takes a series, even where it is as long as wide."""
    with pytest.raises(NotAnImageModel, match=r"'prices' has the shape .*LSTM"):
        read((60, 60), keras3.layers.LSTM(4), keras3.layers.Dense(1))


def test_a_text(read, keras3) -> None:
    """An Embedding takes words."""
    with pytest.raises(NotAnImageModel, match=r"int32.*Embedding"):
        read((400,), keras3.layers.Embedding(9, 4), keras3.layers.Flatten(), dtype="int32")


def test_a_picture_is_no_answer(read, keras3) -> None:
    """A segmentation answers with a picture; what it answers is said."""
    with pytest.raises(NotAnImageModel, match=r"\(\?, 32, 32, 2\)"):
        read((32, 32, 3), keras3.layers.Conv2D(2, 3, padding="same"))


@pytest.mark.parametrize(
    ("activation", "units", "expected"),
    [
        ("softmax", 3, Activation.SOFTMAX),
        ("sigmoid", 1, Activation.SIGMOID),
        ("sigmoid", 4, Activation.SIGMOID),
        ("linear", 3, Activation.LOGITS),
        ("relu", 3, Activation.LOGITS),
        ("log_softmax", 3, Activation.LOG_SOFTMAX),
    ],
)
def test_activation_of_the_answer(read, keras3, activation, units, expected) -> None:
    """The last layer tells what the numbers are, and the reason names it."""
    layers = keras3.layers
    output = read(
        (8, 8, 3), layers.Flatten(), layers.Dense(units, activation=activation, name="last")
    ).output
    assert (expected, units) == (output.activation, output.classes)
    assert "'last'" in output.reason


def test_activation_layer_and_dropout_behind(read, keras3) -> None:
    """Layers that change nothing are looked through."""
    layers = keras3.layers
    output = read(
        (8, 8, 3),
        layers.Conv2D(3, 8),
        layers.Softmax(),
        layers.Dropout(0.5),
        layers.Reshape((3,)),
    ).output
    assert Activation.SOFTMAX == output.activation


def test_a_mean_of_probabilities(read, keras3) -> None:
    """Softmax on each place and a mean over places: probabilities, and no softmax."""
    layers = keras3.layers
    output = read(
        (8, 8, 3), layers.Conv2D(3, 1, activation="softmax"), layers.GlobalAveragePooling2D()
    )
    assert Activation.PROBABILITIES == output.output.activation


def test_one_place_is_a_row(read, keras3) -> None:
    """An answer of 1 x 1 x 5 is five classes."""
    assert 5 == read((8, 8, 3), keras3.layers.Conv2D(5, 8)).output.classes


@pytest.fixture
def two_heads(keras3, tmp_path: Path, save) -> Path:
    layers = keras3.layers
    picture = keras3.Input((8, 8, 3))
    row = layers.Flatten()(picture)
    mask = layers.Conv2D(1, 1, name="mask")(picture)
    age = layers.Dense(1, name="age")(row)
    kind = layers.Dense(3, activation="softmax", name="kind")(row)
    return save(keras3.Model(picture, [mask, age, kind]), tmp_path / "model.keras")


def test_the_first_row_of_scores_of_several_outputs(two_heads, describe) -> None:
    """Of several outputs the first row of scores is taken, and the notes say so."""
    description = describe(two_heads)
    assert 3 == description.output.classes
    assert any("'kind' was taken; the others are mask, age" in note for note in description.notes)


def test_an_output_asked_for(two_heads, describe) -> None:
    """--output chooses by the layer's name."""
    assert 1 == describe(two_heads, output="age").output.classes
    with pytest.raises(UnsupportedModel, match="'colour'; it has mask, age, kind"):
        describe(two_heads, output="colour")


def test_several_inputs(keras3, tmp_path: Path, save, describe) -> None:
    """A model that needs a picture and something else names both."""
    layers = keras3.layers
    picture, weight = keras3.Input((8, 8, 3), name="picture"), keras3.Input((4,), name="weight")
    row = layers.Concatenate()([layers.Flatten()(picture), weight])
    model = keras3.Model([picture, weight], layers.Dense(2)(row))
    with pytest.raises(NotAnImageModel, match=r"picture \(\?, 8, 8, 3\), weight \(\?, 4\)"):
        describe(save(model, tmp_path / "model.keras"))
