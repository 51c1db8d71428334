"""Each weight reaches its layer, whatever the file calls it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.weights import base_name, snake_case


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("conv/kernel:0", "kernel"),
        ("outer/conv_1/kernel_2:0", "kernel"),
        ("sequential/conv/moving_mean", "moving_mean"),
        ("gamma", "gamma"),
    ],
)
def test_base_name(name, expected) -> None:
    """What TensorFlow puts before and behind a weight's name is taken off."""
    assert expected == base_name(name)


@pytest.mark.parametrize(
    "kind",
    ["Conv2D", "DepthwiseConv2D", "ReLU", "PReLU", "TFOpLambda", "GlobalAveragePooling2D", "ELU"],
)
def test_snake_case(kind, keras3) -> None:
    """Class names are written as Keras writes them."""
    assert keras3.src.utils.naming.to_snake_case(kind) == snake_case(kind)


def nested(keras, *, frozen: str | None = None):
    """Two nested towers with layers of the same names and shapes."""
    layers = keras.layers
    picture = keras.Input((8, 8, 3))
    x = picture
    for number in range(2):
        part = keras.Input((8, 8, 3))
        y = layers.Conv2D(3, 3, padding="same", name="conv_a")(part)
        y = layers.BatchNormalization(name="norm")(y)
        y = layers.Conv2D(3, 3, padding="same", name="conv_b")(y)
        tower = keras.Model(part, y, name=f"tower_{number}")
        if frozen is not None:
            tower.get_layer(frozen).trainable = False
        x = tower(x)
    return keras.Model(picture, layers.Dense(2)(layers.Flatten()(x)))


@pytest.mark.parametrize("frozen", [None, "conv_a", "norm", "conv_b"])
def test_nested_layers_of_the_same_name(
    frozen, flavour, tmp_path: Path, assert_same, randomised
) -> None:
    """Frozen layers change the order in which a nested model's weights are written."""
    keras, ending = flavour
    model = randomised(nested(keras, frozen=frozen))
    assert_same(model, tmp_path / f"model{ending}")


@pytest.mark.parametrize("frozen", [False, True])
def test_renamed_layers(frozen, keras2, tmp_path: Path, assert_same, randomised) -> None:
    """People rename layers to join models; the weights keep their old names in the file."""
    layers = keras2.layers
    towers = []
    for number in range(2):
        stack = [layers.Conv2D(3, 3, padding="same", name=name) for name in ("one", "two")]
        towers.append(keras2.Sequential([keras2.Input((8, 8, 3)), *stack], name=f"tower_{number}"))
        # What was "one" is "two" now: by name the weights would be swapped.
        stack[0]._name, stack[1]._name = "two", "one"
        stack[0].trainable = not frozen
    model = keras2.Sequential([keras2.Input((8, 8, 3)), *towers, layers.Flatten()])
    assert_same(randomised(model), tmp_path / "model.h5")


def test_long_lists_of_names(keras2, tmp_path: Path, save, describe, run_openvino, randomised):
    """HDF5 attributes end at 64 kB: Keras cuts a longer list into pieces."""
    model = randomised(nested(keras2))
    path = save(model, tmp_path / "model.h5")
    batch = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
    expected = run_openvino(describe(path), batch)
    with h5py.File(path, "a") as root:
        attributes = root["model_weights/tower_0"].attrs
        names = list(attributes["weight_names"])
        del attributes["weight_names"]
        attributes["weight_names0"], attributes["weight_names1"] = names[:3], names[3:]
    np.testing.assert_array_equal(expected, run_openvino(describe(path), batch))


def test_weights_that_fit_no_layer(keras2, tmp_path: Path, save, describe) -> None:
    """A nested model whose list of weights is short names the one that is missing."""
    path = save(nested(keras2), tmp_path / "model.h5")
    with h5py.File(path, "a") as root:
        attributes = root["model_weights/tower_1"].attrs
        attributes["weight_names"] = list(attributes["weight_names"])[1:]
    with pytest.raises(ModelFileDamaged, match=r"'tower_1' has 7 weights.*conv_a/kernel"):
        describe(path)


def test_called_for_training(keras2, tmp_path: Path, save, describe) -> None:
    """A base model called with training=True is run as for prediction, and that is said."""
    layers = keras2.layers
    picture = keras2.Input((8, 8, 3))
    base = keras2.Sequential([layers.Conv2D(3, 3), layers.BatchNormalization()], name="base")
    model = keras2.Model(picture, layers.Flatten()(base(picture, training=True)))
    notes = describe(save(model, tmp_path / "model.h5")).notes
    assert any("'base' was built with training=True" in note for note in notes)


@pytest.mark.parametrize(("activation", "what"), [("softmax", "answer is 1"), (None, "a measure")])
def test_odd_answers(activation, what, keras3, tmp_path: Path, save, describe) -> None:
    """One number that is no sigmoid is doubted."""
    layers = keras3.layers
    stack = [keras3.Input((8, 8, 3)), layers.Flatten(), layers.Dense(1, activation=activation)]
    (finding,) = describe(save(keras3.Sequential(stack), tmp_path / "model.keras")).findings
    assert what in finding.what
