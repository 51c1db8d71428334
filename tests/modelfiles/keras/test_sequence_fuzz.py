"""Layers with time and attention whose configuration makes no sense: told in words, no crash."""

from __future__ import annotations

import copy
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tintype.errors import ModelFileError
from tintype.modelfiles.keras.read import UNFORESEEN

ODD_VALUES: list[Any] = [
    None, -1, 0, 1, 7, 1e30, 0.5, "x", "same", "relu", [], {}, True, False, [1, 2], [None],
    1 << 40, (1 << 31) - 1, {"config": 3}, {"value": None}, "LSTM", "GRUCell", "TimeDistributed",
    "ab,bc->ac", "LSTMCell", "Bidirectional", "Sequential", {"class_name": "LSTM", "config": {}},
    {"class_name": "LSTM", "config": []}, "concat", "...a,ab->...b",
]  # fmt: skip


@pytest.fixture(scope="module")
def many_layers(keras3, tmp_path_factory, save) -> Path:
    layers = keras3.layers
    picture = keras3.Input((12, 12, 3))
    x = keras3.ops.image.extract_patches(picture, 4)
    x = layers.EinsumDense("abcd,de->abce", output_shape=(None, None, 6), bias_axes="e")(x)
    x = layers.MultiHeadAttention(2, 3, attention_axes=(2,))(x, x)
    x = layers.TimeDistributed(layers.Bidirectional(layers.GRU(3, return_sequences=True)))(x)
    frames = layers.Reshape((3, 3, 3, 2))(x)
    x = layers.ConvLSTM2D(2, 2, return_sequences=True)(frames)
    x = layers.TimeDistributed(keras3.Sequential([layers.Flatten(), layers.Dense(4)]))(x)
    x = layers.RNN([layers.LSTMCell(3), layers.GRUCell(4)], return_sequences=True)(x)
    x = layers.Attention(use_scale=True)([x, x])
    x = layers.AdditiveAttention()([x, x])
    x = layers.GroupQueryAttention(2, 2, 1)(x, x)
    x = layers.LSTM(3, activation="elu", return_sequences=True)(x)
    x = layers.Dense(2, activation="softmax")(layers.SimpleRNN(3)(x))
    return save(keras3.Model(picture, x), tmp_path_factory.mktemp("fuzz") / "model.keras")


def places_in(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a configuration."""
    if place:
        yield place
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in entries:
        yield from (
            places_in(item, (*place, key)) if isinstance(item, dict | list) else [(*place, key)]
        )


def test_mutated_configuration(many_layers, tmp_path: Path, describe) -> None:
    """Values of wrong kinds anywhere in the configuration are told, each in words of its own."""
    with zipfile.ZipFile(many_layers) as archive:
        config = json.loads(archive.read("config.json"))
        weights = archive.read("model.weights.h5")
    places = [place for place in places_in(config) if "initializer" not in str(place)]
    random = Random(3)
    outcomes: Counter[str] = Counter()
    for _ in range(250):
        changed = copy.deepcopy(config)
        *way, last = random.choice(places)
        holder = changed
        for key in way:
            holder = holder[key]
        holder[last] = random.choice(ODD_VALUES)
        with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
            archive.writestr("config.json", json.dumps(changed))
            archive.writestr("model.weights.h5", weights)
        try:
            describe(tmp_path / "model.keras")
            outcomes["read"] += 1
        except ModelFileError as error:
            assert UNFORESEEN not in error.message  # noqa: PT017 - only some mutations raise
            outcomes["refused"] += 1
    assert min(outcomes["read"], outcomes["refused"]) > 30
