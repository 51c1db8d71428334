"""Damaged files: whatever was cut or flipped, only errors of a model file come out."""

from __future__ import annotations

import copy
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from tintype.errors import ModelFileError
from tintype.modelfiles.keras.read import UNFORESEEN


@pytest.fixture(scope="module", params=[".h5", ".keras"])
def sound(request, keras3, tmp_path_factory, save) -> Path:
    layers = keras3.layers
    stack = [
        keras3.Input((16, 16, 3)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(4, 3, strides=2, padding="same"),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.Dense(2, activation="softmax"),
    ]
    return save(keras3.Sequential(stack), tmp_path_factory.mktemp("fuzz") / f"a{request.param}")


def test_cut_short(sound, tmp_path: Path, describe) -> None:
    """A file cut anywhere is never read as a whole one."""
    content = sound.read_bytes()
    broken = tmp_path / sound.name
    for length in np.linspace(0, len(content) - 1, 40).astype(int):
        broken.write_bytes(content[:length])
        with pytest.raises(ModelFileError):
            describe(broken)


def test_flipped_bytes(sound, tmp_path: Path, describe) -> None:
    """Flipped bytes may go unseen in a weight; else they make a model file's error."""
    random = np.random.default_rng(11)
    content = np.frombuffer(sound.read_bytes(), np.uint8)
    broken = tmp_path / sound.name
    refused = 0
    for _ in range(300):
        changed = content.copy()
        places = random.integers(0, len(content), random.integers(1, 30))
        changed[places] = random.integers(0, 256, len(places))
        broken.write_bytes(changed.tobytes())
        try:
            describe(broken)
        except ModelFileError:
            refused += 1
    assert refused > 50


ODD_VALUES: list[Any] = [
    None, -1, 0, 1, 7, 1e30, 0.5, "x", "same", "relu", [], {}, True, False, [1, 2], [None],
    [[1, 2], [3, 4]], 1 << 40, (1 << 31) - 1, float("nan"), {"config": 3}, {"value": None},
    {"class_name": "__tuple__", "items": [1]}, "Conv2D", "Flatten", "Sequential", "Reshape",
    "Normalization",
]  # fmt: skip


@pytest.fixture(scope="module")
def many_layers(keras3, tmp_path_factory, save) -> Path:
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


def places_in(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
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
    places = list(places_in(config))
    random = Random(5)
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
    assert min(outcomes["read"], outcomes["refused"]) > 50
