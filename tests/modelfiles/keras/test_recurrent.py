"""Layers with time: what is read must answer as the framework that wrote the file.

Each case is the layers behind a picture of 7 x 5 x 3 whose rows are read as a series of 7 steps.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tintype.errors import (
    ModelFileDamaged,
    NotAnImageModel,
    UnsafeModel,
    UnsupportedModel,
)

Layers = Callable[[Any], list[Any]]

LAYERS: dict[str, Layers] = {
    "lstm": lambda k: [k.LSTM(4)],
    "lstm-all-steps": lambda k: [k.LSTM(4, return_sequences=True)],
    "lstm-backwards": lambda k: [k.LSTM(4, go_backwards=True)],
    "lstm-backwards-all-steps": lambda k: [k.LSTM(4, go_backwards=True, return_sequences=True)],
    "lstm-no-bias": lambda k: [k.LSTM(4, use_bias=False)],
    "lstm-hard-sigmoid": lambda k: [k.LSTM(4, recurrent_activation="hard_sigmoid")],
    "lstm-relu": lambda k: [k.LSTM(4, activation="relu", unroll=True)],
    "lstm-linear-backwards": lambda k: [
        k.LSTM(4, activation=None, go_backwards=True, return_sequences=True)
    ],
    "two-lstm": lambda k: [k.LSTM(4, return_sequences=True), k.LSTM(3)],
    "gru": lambda k: [k.GRU(4)],
    "gru-reset-before": lambda k: [k.GRU(4, reset_after=False, return_sequences=True)],
    "gru-reset-before-no-bias": lambda k: [k.GRU(4, reset_after=False, use_bias=False)],
    "gru-softsign": lambda k: [k.GRU(4, activation="softsign")],
    "gru-softsign-no-bias": lambda k: [k.GRU(4, activation="softsign", use_bias=False)],
    "gru-softsign-reset-before": lambda k: [
        k.GRU(4, activation="softsign", reset_after=False, return_sequences=True)
    ],
    "gru-hard-sigmoid-backwards": lambda k: [
        k.GRU(4, recurrent_activation="hard_sigmoid", go_backwards=True)
    ],
    "simple": lambda k: [k.SimpleRNN(4)],
    "simple-relu-backwards": lambda k: [
        k.SimpleRNN(4, activation="relu", go_backwards=True, return_sequences=True)
    ],
    "simple-gelu": lambda k: [k.SimpleRNN(4, activation="gelu", use_bias=False)],
    "cell": lambda k: [k.RNN(k.LSTMCell(4))],
    "cell-gru": lambda k: [k.RNN(k.GRUCell(4, reset_after=False), return_sequences=True)],
    "cell-simple": lambda k: [k.RNN(k.SimpleRNNCell(4), go_backwards=True)],
    "cells": lambda k: [k.RNN([k.LSTMCell(4), k.GRUCell(3), k.GRUCell(2), k.LSTMCell(5)])],
    "cells-all-steps": lambda k: [
        k.RNN([k.GRUCell(4), k.SimpleRNNCell(3, activation="selu")], return_sequences=True)
    ],
}

BOTH_WAYS: dict[str, Layers] = {
    "concat": lambda k: [k.Bidirectional(k.LSTM(4))],
    "concat-all-steps": lambda k: [k.Bidirectional(k.LSTM(4, return_sequences=True))],
    "sum": lambda k: [k.Bidirectional(k.GRU(4, return_sequences=True), merge_mode="sum")],
    "mul": lambda k: [k.Bidirectional(k.SimpleRNN(4), merge_mode="mul")],
    "ave": lambda k: [k.Bidirectional(k.GRU(4, reset_after=False), merge_mode="ave")],
    "unlike": lambda k: [
        k.Bidirectional(
            k.LSTM(4, return_sequences=True),
            backward_layer=k.GRU(2, return_sequences=True, go_backwards=True),
        )
    ],
    "first-backwards": lambda k: [
        k.Bidirectional(
            k.LSTM(4, return_sequences=True, go_backwards=True),
            backward_layer=k.LSTM(4, return_sequences=True),
        )
    ],
    "cells": lambda k: [k.Bidirectional(k.RNN(k.LSTMCell(3), return_sequences=True))],
    "hard-sigmoid": lambda k: [k.Bidirectional(k.LSTM(3, recurrent_activation="hard_sigmoid"))],
    "two": lambda k: [
        k.Bidirectional(k.LSTM(3, return_sequences=True)),
        k.Bidirectional(k.LSTM(2)),
    ],
}


@pytest.fixture
def series(assert_same, randomised, tmp_path: Path) -> Callable[..., Any]:
    """Compare layers behind the rows of a picture."""

    def compare(flavour: tuple[Any, str], layers: Layers) -> Any:
        keras, ending = flavour
        first = [keras.Input((7, 5, 3)), keras.layers.Reshape((7, 15))]
        model = keras.Sequential([*first, *layers(keras.layers), keras.layers.Flatten()])
        return assert_same(randomised(model), tmp_path / f"model{ending}")

    return compare


@pytest.mark.parametrize("case", LAYERS)
def test_layer(case, flavour, series) -> None:
    """A recurrent layer read from the file answers as the layer itself."""
    series(flavour, LAYERS[case])


@pytest.mark.parametrize("case", BOTH_WAYS)
def test_both_ways(case, flavour, series) -> None:
    """A series read from both ends."""
    series(flavour, BOTH_WAYS[case])


CONVOLUTIONAL: dict[str, Layers] = {
    "conv-1d": lambda k: [k.Reshape((7, 5, 3)), k.ConvLSTM1D(2, 3)],
    "conv-2d": lambda k: [k.Reshape((3, 5, 7, 1)), k.ConvLSTM2D(2, 3)],
    "conv-2d-all": lambda k: [
        k.Reshape((3, 5, 7, 1)),
        k.ConvLSTM2D(2, (3, 2), strides=(1, 2), padding="same", return_sequences=True),
        k.ConvLSTM2D(2, 2, go_backwards=True, return_sequences=True, use_bias=False),
    ],
    "conv-2d-hard": lambda k: [
        k.Reshape((3, 5, 7, 1)),
        k.ConvLSTM2D(2, 2, recurrent_activation="hard_sigmoid", dilation_rate=2),
    ],
    "conv-3d": lambda k: [k.Reshape((3, 5, 1, 7, 1)), k.ConvLSTM3D(2, (2, 1, 3))],
}

IN_TIME: dict[str, Layers] = {
    "dense": lambda k: [k.TimeDistributed(k.Dense(4, activation="relu"))],
    "flatten": lambda k: [k.Reshape((7, 5, 3)), k.TimeDistributed(k.Flatten())],
    "conv": lambda k: [
        k.Reshape((3, 5, 7, 1)),
        k.TimeDistributed(k.Conv2D(3, 2, activation="relu")),
        k.TimeDistributed(k.BatchNormalization()),
        k.TimeDistributed(k.MaxPooling2D(2)),
        k.TimeDistributed(k.GlobalAveragePooling2D()),
        k.LSTM(3),
    ],
    "lstm": lambda k: [
        k.Reshape((7, 5, 3)),
        k.TimeDistributed(k.LSTM(4)),
        k.TimeDistributed(k.Dropout(0.5)),
        k.GRU(2),
    ],
    "both-ways": lambda k: [
        k.Reshape((7, 5, 3)),
        k.TimeDistributed(k.Bidirectional(k.GRU(2))),
        k.SimpleRNN(2),
    ],
    "twice": lambda k: [
        k.Reshape((7, 5, 3, 1)),
        k.TimeDistributed(k.TimeDistributed(k.Dense(2))),
    ],
}


@pytest.mark.parametrize("case", CONVOLUTIONAL)
def test_convolutional(case, flavour, series) -> None:
    """An LSTM whose products are convolutions."""
    series(flavour, CONVOLUTIONAL[case])


@pytest.mark.parametrize("case", IN_TIME)
def test_in_time(case, flavour, series) -> None:
    """A layer on each step of a series."""
    series(flavour, IN_TIME[case])


@pytest.mark.parametrize("frozen", [False, True])
def test_model_in_time(frozen, flavour, series) -> None:
    """A whole model on each step; what cannot be trained stands elsewhere in HDF5."""
    keras = flavour[0]
    layers = keras.layers
    inner = keras.Sequential(
        [
            keras.Input((5, 7, 1)),
            layers.Conv2D(4, 2),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, trainable=not frozen),
        ]
    )
    found = series(
        flavour,
        lambda k: [k.Reshape((3, 5, 7, 1)), k.TimeDistributed(inner), k.Bidirectional(k.LSTM(2))],
    )
    (told,) = [layer for layer in found.layers if layer.kind == "TimeDistributed"]
    assert inner.count_params() == told.parameters


def test_states_are_used(flavour, assert_same, randomised, tmp_path: Path) -> None:
    """An encoder's states start a decoder, and stand beside the answers."""
    keras, ending = flavour
    layers = keras.layers
    picture = keras.Input((7, 5, 3))
    rows = layers.Reshape((7, 15))(picture)
    _, *states = layers.LSTM(4, return_state=True)(rows)
    answer = layers.LSTM(4)(rows, initial_state=states)
    other = layers.GRU(4, activation="softsign")(rows, initial_state=states[1])
    steps, last = layers.GRU(4, return_sequences=True, return_state=True)(rows, initial_state=other)
    flat = [layers.Flatten()(item) for item in (answer, other, steps, last)]
    model = keras.Model(picture, layers.Concatenate()(flat))
    assert_same(randomised(model), tmp_path / f"model{ending}")


def test_a_shared_layer(flavour, assert_same, randomised, tmp_path: Path) -> None:
    """One LSTM called twice has its weights once."""
    keras, ending = flavour
    layers = keras.layers
    picture = keras.Input((7, 5, 3))
    rows = layers.Reshape((7, 15))(picture)
    shared = layers.Bidirectional(layers.LSTM(4))
    both = layers.Concatenate()([shared(rows), shared(layers.Activation("tanh")(rows))])
    found = assert_same(randomised(keras.Model(picture, both)), tmp_path / f"model{ending}")
    assert shared.count_params() == sum(layer.parameters for layer in found.layers)


def test_stateful(keras3, save, describe, tmp_path: Path) -> None:
    """A stateful layer starts afresh with each picture, and that is said."""
    layers = keras3.layers
    model = keras3.Sequential(
        [
            keras3.Input((7, 5, 3), batch_size=2),
            layers.Reshape((7, 15)),
            layers.LSTM(4, stateful=True, name="memory"),
        ]
    )
    found = describe(save(model, tmp_path / "model.keras"))
    assert any("'memory' is stateful" in note for note in found.notes)


@pytest.mark.parametrize("ending", [".h5", ".keras"])
def test_rows_of_a_digit(ending, flavour, assert_same, randomised, tmp_path: Path) -> None:
    """The LSTM of many courses: the 28 rows of a digit are its steps."""
    keras = flavour[0]
    layers = keras.layers
    stack = [layers.LSTM(8), layers.Dense(10, activation="softmax")]
    model = randomised(keras.Sequential([keras.Input((28, 28)), *stack]))
    found = assert_same(model, tmp_path / f"model{ending}")
    assert ("NHW", 10) == (found.image.layout, found.output.classes)


def test_convolutions_and_both_ways(flavour, assert_same, randomised, tmp_path: Path) -> None:
    """A classifier that reads the columns behind its convolutions from both ends."""
    keras, ending = flavour
    layers = keras.layers
    stack = [
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.BatchNormalization(),
        layers.Permute((2, 1, 3)),
        layers.TimeDistributed(layers.Flatten()),
        layers.Bidirectional(layers.LSTM(6, return_sequences=True, dropout=0.2)),
        layers.Bidirectional(layers.GRU(4)),
        layers.Dense(3, activation="softmax"),
    ]
    model = randomised(keras.Sequential([keras.Input((16, 24, 1)), *stack]))
    found = assert_same(model, tmp_path / f"model{ending}")
    assert model.count_params() == sum(layer.parameters for layer in found.layers)


def test_mobilenet_in_time(keras3, assert_same, randomised, tmp_path: Path) -> None:
    """A whole MobileNet on each of the frames that a picture is cut into."""
    layers = keras3.layers
    inner = keras3.applications.MobileNetV2((32, 32, 3), 0.35, include_top=False, weights=None)
    stack = [
        layers.Reshape((2, 32, 32, 3)),
        layers.TimeDistributed(inner),
        layers.TimeDistributed(layers.GlobalAveragePooling2D()),
        layers.GRU(4),
        layers.Dense(2, activation="softmax"),
    ]
    model = randomised(keras3.Sequential([keras3.Input((64, 32, 3)), *stack]))
    for ending in (".h5", ".keras"):
        assert_same(model, tmp_path / f"model{ending}")


def test_letters_are_no_labels(keras3, save, describe, tmp_path: Path) -> None:
    """A reader of text gives a row of classes for each column: that is no classifier."""
    layers = keras3.layers
    stack = [
        layers.Permute((2, 1, 3)),
        layers.TimeDistributed(layers.Flatten()),
        layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
        layers.Dense(27, activation="softmax"),
    ]
    model = keras3.Sequential([keras3.Input((16, 24, 1)), *stack])
    with pytest.raises(NotAnImageModel, match=r"\(\?, 24, 27\)"):
        describe(save(model, tmp_path / "model.keras"))


@pytest.mark.parametrize("shape", [(60, 1), (60, 60), (30, 5), (28, 4)])
def test_prices_are_no_picture(shape, flavour, save, describe, tmp_path: Path) -> None:
    """A series is refused by its input, also through wrappers."""
    keras, ending = flavour
    layers = keras.layers
    stack = [layers.Bidirectional(layers.LSTM(4)), layers.Dense(1)]
    model = keras.Sequential([keras.Input(shape), *stack])
    with pytest.raises(NotAnImageModel, match="Bidirectional: a series"):
        describe(save(model, tmp_path / f"model{ending}"))


def test_windows_of_prices_are_no_picture(keras3, save, describe, tmp_path: Path) -> None:
    """Convolutions on each window of a series: four axes, and no picture."""
    layers = keras3.layers
    stack = [layers.TimeDistributed(layers.Conv1D(4, 1)), layers.TimeDistributed(layers.Flatten())]
    model = keras3.Sequential([keras3.Input((10, 4, 1)), *stack, layers.LSTM(3), layers.Dense(1)])
    with pytest.raises(NotAnImageModel, match="TimeDistributed: a series"):
        describe(save(model, tmp_path / "model.keras"))


def test_code_inside_of_a_wrapper(keras2, save, describe, tmp_path: Path) -> None:
    """A Lambda is found wherever it hides."""
    layers = keras2.layers
    inner = keras2.Sequential([keras2.Input((32,)), layers.Lambda(lambda x: x)])
    model = keras2.Sequential([keras2.Input((32, 32)), layers.TimeDistributed(inner)])
    for ending in (".h5", ".keras"):
        with pytest.raises(UnsafeModel, match="lambda"):
            describe(save(model, tmp_path / f"model{ending}"))


def test_unknown_class_inside_of_a_wrapper(keras3, save, describe, tmp_path: Path) -> None:
    """A cell of the author's own is named."""

    class Own(keras3.layers.LSTMCell):
        pass

    stack = [keras3.layers.Reshape((7, 15)), keras3.layers.RNN(Own(2, name="mine"))]
    model = keras3.Sequential([keras3.Input((7, 5, 3)), *stack])
    with pytest.raises(UnsupportedModel, match=r"Own .layer 'mine'"):
        describe(save(model, tmp_path / "model.keras"))


@pytest.mark.parametrize("ending", [".h5", ".keras"])
def test_mean_of_steps(ending, keras3, assert_same, randomised, tmp_path: Path) -> None:
    """Classes of each column, and their mean: probabilities."""
    layers = keras3.layers
    stack = [
        layers.Permute((2, 1, 3)),
        layers.TimeDistributed(layers.Flatten()),
        layers.GRU(4, return_sequences=True),
        layers.TimeDistributed(layers.Dense(3, activation="softmax")),
        layers.GlobalAveragePooling1D(),
    ]
    model = randomised(keras3.Sequential([keras3.Input((9, 12, 3)), *stack]))
    found = assert_same(model, tmp_path / f"model{ending}")
    assert "probabilities" == found.output.activation


@pytest.mark.parametrize("packed", ["LSTM", "GRU"])
def test_packed_for_cudnn(packed, keras2, save, describe, run_openvino, tmp_path: Path) -> None:
    """CuDNNLSTM and CuDNNGRU keep their weights in an order of their own."""
    hdf5_format = pytest.importorskip("tf_keras.src.saving.legacy.hdf5_format")
    layers = keras2.layers
    plain = layers.LSTM(4, name="r") if packed == "LSTM" else layers.GRU(4, name="r")
    model = keras2.Sequential([keras2.Input((7, 5, 3)), layers.Reshape((7, 15)), plain])
    random = np.random.default_rng(1)
    plain.set_weights([random.normal(size=w.shape) / 3 for w in plain.get_weights()])
    path = save(model, tmp_path / "model.h5")

    class Packed:
        pass

    other = type(f"CuDNN{packed}", (Packed,), {"units": 4, "name": "r"})()
    weights = hdf5_format._convert_rnn_weights(other, plain.get_weights())
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["class_name"] = f"CuDNN{packed}"
        for key in ("activation", "recurrent_activation", "use_bias", "reset_after"):
            config["config"]["layers"][-1]["config"].pop(key, None)
        file.attrs["model_config"] = json.dumps(config)
        group = file["model_weights/r"]
        for name, weight in zip(group.attrs["weight_names"], weights, strict=True):
            del group[name]
            group[name] = weight
    batch = random.normal(size=(2, 7, 5, 3)).astype(np.float32)

    actual = run_openvino(describe(path), batch)

    np.testing.assert_allclose(actual, np.asarray(model(batch)), atol=1e-6)


UNIFIED: dict[str, Layers] = {
    "lstm": lambda k: [k.LSTM(4)],
    "lstm-backwards-all-steps": lambda k: [k.LSTM(4, go_backwards=True, return_sequences=True)],
    "lstm-no-bias": lambda k: [k.LSTM(4, use_bias=False)],
    "gru": lambda k: [k.GRU(4)],
    "gru-reset-before": lambda k: [k.GRU(4, reset_after=False)],
    "both": lambda k: [k.GRU(4, return_sequences=True), k.LSTM(2)],
}


@pytest.mark.parametrize("case", UNIFIED)
def test_unified(case, keras2, randomised, save, describe, run_openvino, tmp_path: Path) -> None:
    """UnifiedLSTM and UnifiedGRU, as TensorFlow 1.13 wrote its layers of today's formula."""
    first = [keras2.Input((7, 5, 3)), keras2.layers.Reshape((7, 15))]
    behind = [*UNIFIED[case](keras2.layers), keras2.layers.Flatten()]
    model = randomised(keras2.Sequential([*first, *behind]))
    path = save(model, tmp_path / "model.h5")
    written = _as_unified(path)
    batch = np.random.default_rng(1).normal(size=(2, 7, 5, 3)).astype(np.float32)

    found = describe(path)

    assert written == [layer.kind for layer in found.layers if "Unified" in layer.kind]
    expected = np.asarray(model(batch))
    np.testing.assert_allclose(run_openvino(found, batch), expected, rtol=1e-5, atol=1e-6)


def _as_unified(path: Path) -> list[str]:
    """Write the recurrent layers of a file as TensorFlow 1.13 did; answers their classes.

    There the weights lay right below the layer's name, not below that of its cell.
    """
    written = []
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        groups = file["model_weights"]
        for layer in config["config"]["layers"]:
            kind, settings = layer["class_name"], layer["config"]
            if kind not in {"LSTM", "GRU"}:
                continue
            old, new = settings["name"], f"unified_{settings['name']}"
            layer["class_name"], settings["name"] = f"Unified{kind}", new
            settings |= {"time_major": False, "implementation": 1}
            written.append(layer["class_name"])
            group = groups.create_group(new)
            names = [str(name) for name in groups[old].attrs["weight_names"]]
            told = [f"{new}/{name.rpartition('/')[2]}" for name in names]
            for name, title in zip(names, told, strict=True):
                group[title] = groups[old][name][...]
            group.attrs["weight_names"] = np.array(told, "S")
            del groups[old]
        groups.attrs["layer_names"] = np.array(
            [layer["config"]["name"] for layer in config["config"]["layers"]], "S"
        )
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.2.4-tf"
    return written


def test_a_person_says_that_rows_are_a_picture(keras3, save, describe, tmp_path: Path) -> None:
    """Named by hand, a square that an LSTM reads is taken for a picture."""
    layers = keras3.layers
    stack = [keras3.Input((60, 60), name="rows"), layers.LSTM(4), layers.Dense(3)]
    path = save(keras3.Sequential(stack), tmp_path / "model.keras")
    assert (60, 60) == describe(path, input="rows").image.tensor.shape[1:]


def test_a_wrapper_around_nothing(keras3, save, describe, tmp_path: Path) -> None:
    """A damaged wrapper is told by name."""
    layers = keras3.layers
    stack = [layers.Reshape((7, 15)), layers.TimeDistributed(layers.Dense(2), name="steps")]
    model = keras3.Sequential([keras3.Input((7, 5, 3)), *stack])
    path = save(model, tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["config"]["layer"] = 7
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ModelFileDamaged, match="'steps' wraps no layer"):
        describe(path)
