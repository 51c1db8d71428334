"""Activations and layers told by a name alone: other packages, old files, settings as objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tintype.errors import UnsupportedModel
from tintype.modelfiles.keras.layers.refused import REFUSED_KINDS, why_refused
from tintype.modelfiles.keras.layers.table import LAYER_KINDS
from tintype.modelfiles.keras.layers.third_party import SOURCES, THIRD_PARTY_LAYERS

X = np.random.default_rng(5).uniform(-4, 4, (2, 6, 5, 4)).astype(np.float32)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _relu6(x: np.ndarray) -> np.ndarray:
    return np.clip(x, 0, 6)


def _log_softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x)
    return x - np.log(powers.sum(axis=-1, keepdims=True))


FORMULAS: dict[str, Any] = {
    "swish": lambda x: x * _sigmoid(x),
    "relu6": _relu6,
    "hard_swish": lambda x: x * _relu6(x + 3) / 6,
    "h_swish": lambda x: x * _relu6(x + 3) / 6,
    "hsigmoid": lambda x: _relu6(x + 3) / 6,
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "Addons>mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "keras.activations>relu": lambda x: np.maximum(x, 0),
    "Addons>hardshrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "Addons>softshrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    "Addons>tanhshrink": lambda x: x - np.tanh(x),
    "softmax_v2": lambda x: np.exp(_log_softmax(x)),
    "log_softmax_v2": _log_softmax,
}


def _layer(kind: str, **settings: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": "it", "trainable": True, **settings}}


@pytest.mark.parametrize("name", FORMULAS)
def test_activation_by_its_name(name, old_file, describe, run_openvino) -> None:
    """A name that well-known packages give an activation means its formula."""
    description = describe(old_file(_layer("Activation", activation=name)))

    expected = FORMULAS[name](X.astype(np.float64)).reshape(2, -1)

    np.testing.assert_allclose(run_openvino(description, X), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "spec",
    [
        {"class_name": "LeakyReLU", "config": {"name": "leaky", "alpha": 0.1}},
        {"class_name": "Addons>Mish", "config": {"name": "Mish"}},
        {"class_name": "function", "config": "relu6", "registered_name": "function"},
        {"module": "builtins", "class_name": "function", "config": "swish"},
    ],
)
def test_activation_as_an_object(spec, old_file, describe) -> None:
    """An activation may be a dictionary of a layer or of a function."""
    description = describe(old_file(_layer("Activation", activation=spec)))

    assert description.output.classes == 120


def test_an_unknown_activation_is_refused(old_file, describe) -> None:
    """A function of the model's author lies in no file."""
    with pytest.raises(UnsupportedModel, match="'my_own'"):
        describe(old_file(_layer("Activation", activation="my_own")))


def test_gelu_of_addons_is_refused(old_file, describe) -> None:
    """Its default formula changed between versions, and the file does not tell which it was."""
    with pytest.raises(UnsupportedModel, match="Addons>gelu"):
        describe(old_file(_layer("Activation", activation="Addons>gelu")))


@pytest.mark.parametrize("kind", ["FixedDropout", "DropPath", "DropConnect"])
def test_dropout_of_other_packages_is_the_identity(kind, old_file, describe, run_openvino) -> None:
    """Nothing is dropped at inference."""
    description = describe(old_file(_layer(kind, rate=0.2)))

    np.testing.assert_array_equal(run_openvino(description, X), X.reshape(2, -1))


@pytest.mark.parametrize(
    ("kind", "formula"),
    [
        ("Swish", FORMULAS["swish"]),
        ("HardSwish", FORMULAS["hard_swish"]),
        ("HSigmoid", FORMULAS["hsigmoid"]),
        ("Mish", FORMULAS["Addons>mish"]),
    ],
)
def test_activation_layers_of_other_packages(kind, formula, old_file, describe, run_openvino):
    """A layer without weights that is one formula."""
    description = describe(old_file(_layer(kind)))

    expected = formula(X.astype(np.float64)).reshape(2, -1)

    np.testing.assert_allclose(run_openvino(description, X), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("groups", [2, -1])
def test_group_normalisation_of_addons(groups, old_file, describe, run_openvino) -> None:
    """TensorFlow Addons has the formula that Keras took over."""
    settings = {"groups": groups, "axis": -1, "epsilon": 0.001, "center": False, "scale": False}
    description = describe(old_file(_layer("Addons>GroupNormalization", **settings)))
    count = 4 if groups == -1 else groups

    grouped = X.astype(np.float64).reshape(2, 30, count, -1)
    mean = grouped.mean((1, 3), keepdims=True)
    deviation = np.sqrt(grouped.var((1, 3), keepdims=True) + 0.001)

    expected = ((grouped - mean) / deviation).reshape(2, -1)
    np.testing.assert_allclose(run_openvino(description, X), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_the_scaled_sum_of_inception_resnet(package, assert_same, randomised, tmp_path) -> None:
    """InceptionResNetV2 of both frameworks has a layer of its own for shortcut + scale * x."""
    keras = pytest.importorskip(package)
    module = pytest.importorskip(f"{package}.src.applications.inception_resnet_v2")
    picture = keras.Input((7, 6, 4))
    both = [picture, keras.layers.Conv2D(4, 1)(picture)]
    scaled = keras.layers.Flatten()(module.CustomScaleLayer(scale=0.17)(both))
    for ending in (".h5", ".keras"):
        assert_same(randomised(keras.Model(picture, scaled)), tmp_path / f"model{ending}")


def test_every_third_party_layer_has_a_source() -> None:
    """A formula is only as good as where it comes from."""
    assert set(THIRD_PARTY_LAYERS) == set(SOURCES)


@pytest.mark.parametrize("kind", sorted(REFUSED_KINDS - {"Lambda", "InputSpec"}))
def test_refused_in_words(kind, old_file, describe) -> None:
    """A layer that is known and not read is refused with the reason."""
    reason = why_refused(kind)

    with pytest.raises(UnsupportedModel) as caught:
        describe(old_file(_layer("ReLU", max_value=None), _layer(kind) | {"name": "second"}))

    assert reason is not None
    assert reason in str(caught.value)
    assert kind not in LAYER_KINDS
