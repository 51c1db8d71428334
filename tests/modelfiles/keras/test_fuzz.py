"""Damaged files: whatever was cut or flipped, only errors of a model file come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tintype.errors import ModelFileError


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
