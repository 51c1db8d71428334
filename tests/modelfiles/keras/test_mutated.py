"""Values of wrong kinds anywhere in a configuration: told in words, no crash."""

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

ODD_IN_PICTURES: list[Any] = [
    None, -1, 0, 1, 7, 1e30, 0.5, "x", "same", "relu", [], {}, True, False, [1, 2], [None],
    [[1, 2], [3, 4]], 1 << 40, (1 << 31) - 1, float("nan"), {"config": 3}, {"value": None},
    {"class_name": "__tuple__", "items": [1]}, "Conv2D", "Flatten", "Sequential", "Reshape",
    "Normalization",
]  # fmt: skip

ODD_IN_SEQUENCES: list[Any] = [
    None, -1, 0, 1, 7, 1e30, 0.5, "x", "same", "relu", [], {}, True, False, [1, 2], [None],
    1 << 40, (1 << 31) - 1, {"config": 3}, {"value": None}, "LSTM", "GRUCell", "TimeDistributed",
    "ab,bc->ac", "LSTMCell", "Bidirectional", "Sequential", {"class_name": "LSTM", "config": {}},
    {"class_name": "LSTM", "config": []}, "concat", "...a,ab->...b",
]  # fmt: skip


@pytest.fixture(scope="module")
def of_pictures(keras3, tmp_path_factory, save) -> Path:
    layers = keras3.layers
    picture = keras3.Input((12, 12, 3))
    x = layers.Resizing(11, 10, interpolation="bicubic")(picture)
    x = layers.ZeroPadding2D(((1, 0), (2, 1)))(layers.Rescaling([1.0, 2.0, 3.0])(x))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation=layers.LeakyReLU())(x)
    x = layers.UpSampling2D(2)(layers.PReLU(shared_axes=[1, 2])(x))
    x = layers.LayerNormalization()(layers.DepthwiseConv2D(3, depth_multiplier=2)(x))
    x = layers.Cropping2D(1)(layers.Conv2DTranspose(3, 2, strides=2)(x))
    x = layers.AveragePooling2D(2, padding="same")(layers.MaxPooling2D()(x))
    y = layers.Flatten()(layers.Reshape((-1, 3))(layers.Permute((2, 1, 3))(x / 2.0)))
    z = layers.GlobalAveragePooling2D()(layers.Multiply()([x, x[..., ::-1]]))
    z = layers.ELU()(layers.BatchNormalization()(z))
    row = layers.Dense(2)(layers.Concatenate(axis=1)([y, z]))
    model = keras3.Model(picture, layers.Activation("sigmoid")(row))
    return save(model, tmp_path_factory.mktemp("fuzz") / "model.keras")


@pytest.fixture(scope="module")
def of_sequences(keras3, tmp_path_factory, save) -> Path:
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


@pytest.mark.parametrize(
    ("model", "odd", "left_out", "seed", "least"),
    [
        ("of_pictures", ODD_IN_PICTURES, "nothing", 5, 50),
        # how weights begin is said for each of its many, and never read
        ("of_sequences", ODD_IN_SEQUENCES, "initializer", 3, 30),
    ],
    ids=["pictures", "sequences"],
)
def test_a_mutated_configuration(
    request, tmp_path: Path, describe, *, model, odd, left_out, seed, least
) -> None:
    """Read, or refused in words of its own; some of either."""
    with zipfile.ZipFile(request.getfixturevalue(model)) as archive:
        config = json.loads(archive.read("config.json"))
        weights = archive.read("model.weights.h5")
    places = [place for place in places_in(config) if left_out not in str(place)]
    random = Random(seed)
    outcomes: Counter[str] = Counter()
    for _ in range(250):
        changed = copy.deepcopy(config)
        *way, last = random.choice(places)
        holder = changed
        for key in way:
            holder = holder[key]
        holder[last] = random.choice(odd)
        with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
            archive.writestr("config.json", json.dumps(changed))
            archive.writestr("model.weights.h5", weights)
        try:
            describe(tmp_path / "model.keras")
            outcomes["read"] += 1
        except ModelFileError as error:
            assert UNFORESEEN not in error.message  # noqa: PT017 - only some mutations raise
            outcomes["refused"] += 1
    assert min(outcomes["read"], outcomes["refused"]) > least
