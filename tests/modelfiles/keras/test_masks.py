"""Masks on series: which layers skip steps, hand the mask on, or are refused with one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tintype.errors import UnsupportedModel

Layers = Callable[[Any], list[Any]]

ROWS = (7, 4)

pytestmark = pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
"""Keras 3 says so where a mask ends."""


@pytest.fixture(params=["keras3.keras", "keras2.h5"])
def flavour(request: pytest.FixtureRequest) -> tuple[Any, str]:
    """A framework and the ending of the files it is to write."""
    name, _, ending = request.param.partition(".")
    return request.getfixturevalue(name), f".{ending}"


def picture_of_rows(keras: Any) -> list[Any]:
    """Some of whose rows are all zero."""
    layers = keras.layers
    shift = layers.Rescaling(1.0, offset=-0.4)
    return [keras.Input((*ROWS, 1)), layers.Reshape(ROWS), shift, layers.ReLU()]


SERIES: dict[str, Layers] = {
    "lstm": lambda k: [k.Masking(), k.LSTM(4)],
    "gru": lambda k: [k.Masking(), k.GRU(4)],
    "gru-reset-before": lambda k: [k.Masking(), k.GRU(4, reset_after=False)],
    "simple": lambda k: [k.Masking(), k.SimpleRNN(4)],
    "all-steps": lambda k: [k.Masking(), k.LSTM(4, return_sequences=True)],
    "backwards": lambda k: [k.Masking(), k.LSTM(4, return_sequences=True, go_backwards=True)],
    "zeros": lambda k: [
        k.Masking(),
        k.RNN(k.GRUCell(3), return_sequences=True, zero_output_for_mask=True),
    ],
    "cells": lambda k: [k.Masking(), k.RNN([k.LSTMCell(3), k.GRUCell(2)])],
    "both-ways": lambda k: [k.Masking(), k.Bidirectional(k.LSTM(3))],
    "both-ways-all-steps": lambda k: [
        k.Masking(),
        k.Bidirectional(k.GRU(3, return_sequences=True)),
    ],
    "handed-on": lambda k: [
        k.Masking(),
        k.Dense(3, activation="tanh"),
        k.Dropout(0.2),
        k.LayerNormalization(),
        k.LSTM(3, return_sequences=True),
        k.Activation("relu"),
        k.GRU(2),
    ],
    "on-each-step": lambda k: [k.Masking(), k.TimeDistributed(k.Dense(3)), k.GRU(2)],
    "mean": lambda k: [k.Masking(), k.GlobalAveragePooling1D()],
    "mean-keepdims": lambda k: [k.Masking(), k.GlobalAveragePooling1D(keepdims=True)],
    "another-value": lambda k: [k.ZeroPadding1D(1), k.Masking(0.0), k.LSTM(3)],
}


@pytest.fixture
def compare(assert_same, randomised, tmp_path: Path) -> Callable[..., Any]:
    """Hold layers behind a picture some of whose rows are zero to what the framework answers."""

    def run(flavour: tuple[Any, str], layers: Layers) -> Any:
        keras, ending = flavour
        model = keras.Sequential(
            [*picture_of_rows(keras), *layers(keras.layers), keras.layers.Flatten()]
        )
        return assert_same(randomised(model), tmp_path / f"model{ending}")

    return run


def test_some_rows_are_masked(keras3) -> None:
    """What the comparisons stand on: rows of zeros and others."""
    rows = keras3.Sequential(picture_of_rows(keras3))
    batch = np.random.default_rng(3).uniform(-1, 1, (2, *ROWS, 1)).astype(np.float32)
    empty = (np.asarray(rows(batch)) == 0).all(axis=-1)
    assert 1 <= empty.sum() < empty.size


@pytest.mark.parametrize("case", SERIES)
def test_series(case, flavour, compare) -> None:
    """Masked steps are skipped where Keras skips them, and nowhere else."""
    compare(flavour, SERIES[case])


def test_a_mask_ends_at_a_layer_that_does_not_support_it(keras3, compare) -> None:
    """Keras 2 refuses to build such a model, Keras 3 goes on without the mask."""
    compare((keras3, ".keras"), lambda k: [k.Masking(), k.Flatten(), k.Reshape(ROWS), k.LSTM(3)])


def test_masks_as_tensors(flavour, assert_same, randomised, tmp_path: Path) -> None:
    """A Functional model of Keras 3 names the mask where a layer takes it; Keras 2 does not."""
    keras, ending = flavour
    layers = keras.layers
    picture = keras.Input((*ROWS, 1))
    rows = layers.ReLU()(layers.Rescaling(1.0, offset=-0.4)(layers.Reshape(ROWS)(picture)))
    masked = layers.Masking()(rows)
    steps = layers.Dropout(0.1)(layers.LSTM(4, return_sequences=True)(masked))
    model = keras.Model(picture, layers.Bidirectional(layers.GRU(3))(steps))

    assert_same(randomised(model), tmp_path / f"model{ending}")


def test_zeros_of_an_embedding(flavour, assert_same, tmp_path: Path) -> None:
    """With mask_zero, places with the number zero do not count."""
    keras, ending = flavour
    layers = keras.layers
    front = [keras.Input((4, 4, 1)), layers.Flatten(), layers.Embedding(3, 4, mask_zero=True)]
    model = keras.Sequential([*front, layers.LSTM(3)])

    assert_same(model, tmp_path / f"model{ending}", low=0, high=2.9)


def test_a_mask_that_is_not_known_how_to_use(keras3, save, describe, tmp_path: Path) -> None:
    """Attention with a mask is refused by the layer's name."""
    layers = keras3.layers
    picture = keras3.Input((*ROWS, 1))
    masked = layers.Masking()(layers.Reshape(ROWS)(picture))
    seen = layers.MultiHeadAttention(2, 2, name="looks")(masked, masked)
    model = keras3.Model(picture, layers.Flatten()(seen))

    with pytest.raises(UnsupportedModel, match=r"'looks'.* a mask"):
        describe(save(model, tmp_path / "model.keras"))


def test_a_mask_that_was_joined(keras2, save, describe, tmp_path: Path) -> None:
    """Where two masks become one, a layer that would use it is refused by name."""
    layers = keras2.layers
    picture = keras2.Input((*ROWS, 1))
    rows = layers.Reshape(ROWS)(picture)
    both = layers.Concatenate()([layers.Masking()(rows), layers.Masking(0.5)(rows)])
    model = keras2.Model(picture, layers.LSTM(3, name="reads")(both))

    with pytest.raises(UnsupportedModel, match=r"'reads'.* a mask"):
        describe(save(model, tmp_path / "model.h5"))


def test_rows_of_a_square_picture(flavour, assert_same, randomised, tmp_path: Path) -> None:
    """MNIST read row by row, empty rows left out: still a picture."""
    keras, ending = flavour
    layers = keras.layers
    model = keras.Sequential([keras.Input((28, 28)), layers.Masking(-1.0), layers.GRU(3)])

    description = assert_same(randomised(model), tmp_path / f"model{ending}")
    assert (28, 28, 1) == (
        description.image.height,
        description.image.width,
        description.image.channels,
    )
