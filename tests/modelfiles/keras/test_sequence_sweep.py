"""Layers with time and attention over generated settings, held to the frameworks.

The examples are the same in every run, and few: each one saves, reads and runs a model.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

few = settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

ACTIVATIONS = st.sampled_from(
    ["tanh", "sigmoid", "relu", "linear", "hard_sigmoid", "softsign", "elu"]
)
SMALL = st.integers(1, 4)
FLAGS = st.booleans()


@pytest.fixture(params=["keras3", "keras2"])
def flavours(request) -> tuple[Any, str]:
    """A framework; the ending of the file is drawn."""
    return request.getfixturevalue(request.param), request.param


@pytest.fixture
def same(assert_same, randomised, tmp_path: Path) -> Callable[..., None]:
    """Compare what is made of a picture."""

    def compare(keras: Any, picture: Any, answer: Any, ending: str) -> None:
        model = keras.Model(picture, keras.layers.Flatten()(answer))
        assert_same(randomised(model), tmp_path / f"model{ending}", tolerance=2e-5)
        keras.backend.clear_session()

    return compare


def one_cell(draw: Any, layers: Any, *, cell: bool) -> Any:
    """A recurrent layer or a cell of any settings."""
    kind = draw(st.sampled_from(["LSTM", "GRU", "SimpleRNN"]))
    values: dict[str, Any] = {
        "units": draw(SMALL),
        "activation": draw(ACTIVATIONS),
        "use_bias": draw(FLAGS),
    }
    if kind != "SimpleRNN":
        values["recurrent_activation"] = draw(ACTIVATIONS)
    if kind == "GRU":
        values["reset_after"] = draw(FLAGS)
    if cell:
        return getattr(layers, f"{kind}Cell")(**values)
    values |= {"go_backwards": draw(FLAGS), "return_sequences": draw(FLAGS)}
    return getattr(layers, kind)(**values)


@few
@given(data=st.data())
def test_recurrent(data, flavours, same) -> None:
    """Any recurrent layer, alone, of cells, or both ways."""
    keras, _ = flavours
    layers = keras.layers
    steps, width = data.draw(SMALL), data.draw(SMALL)
    picture = keras.Input((steps, width, 3))
    rows = layers.Reshape((steps, 3 * width))(picture)
    form = data.draw(st.sampled_from(["layer", "cells", "both"]))
    if form == "layer":
        answer = one_cell(data.draw, layers, cell=False)(rows)
    elif form == "cells":
        cells = [one_cell(data.draw, layers, cell=True) for _ in range(data.draw(SMALL))]
        values = {"go_backwards": data.draw(FLAGS), "return_sequences": data.draw(FLAGS)}
        answer = layers.RNN(cells, **values)(rows)
    else:
        layer = one_cell(data.draw, layers, cell=False)
        layer.go_backwards = False
        merge = data.draw(st.sampled_from(["concat", "sum", "mul", "ave"]))
        answer = layers.Bidirectional(layer, merge_mode=merge)(rows)
    same(keras, picture, answer, data.draw(st.sampled_from([".h5", ".keras"])))


@few
@given(data=st.data())
def test_convolutional(data, flavours, same) -> None:
    """Any convolutional LSTM of two axes."""
    keras, _ = flavours
    layers = keras.layers
    picture = keras.Input((6, 5, 4))
    frames = layers.Reshape((2, 6, 5, 2))(picture)
    padding = data.draw(st.sampled_from(["same", "valid"]))
    strides = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    answer = layers.ConvLSTM2D(
        data.draw(SMALL),
        data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        strides=strides,
        padding=padding,
        activation=data.draw(ACTIVATIONS),
        recurrent_activation=data.draw(st.sampled_from(["sigmoid", "hard_sigmoid"])),
        use_bias=data.draw(FLAGS),
        return_sequences=data.draw(FLAGS),
        go_backwards=data.draw(FLAGS),
    )(frames)
    same(keras, picture, answer, data.draw(st.sampled_from([".h5", ".keras"])))


@few
@given(data=st.data())
def test_attention(data, flavours, same) -> None:
    """Several heads over any axes of a picture."""
    keras, _ = flavours
    layers = keras.layers
    picture = keras.Input((3, 5, 4))
    features = layers.Conv2D(data.draw(SMALL), 1)(picture)
    query = layers.Conv2D(data.draw(SMALL), 1)(picture)
    layer = layers.MultiHeadAttention(
        data.draw(SMALL),
        data.draw(SMALL),
        value_dim=data.draw(st.none() | SMALL),
        use_bias=data.draw(FLAGS),
        output_shape=data.draw(st.none() | SMALL | st.tuples(SMALL, SMALL)),
        attention_axes=data.draw(st.sampled_from([None, (1,), (2,), (1, 2)])),
    )
    same(keras, picture, layer(query, features), data.draw(st.sampled_from([".h5", ".keras"])))


@few
@given(data=st.data())
def test_einsum_dense(data, flavours, same) -> None:
    """Any equation that drops, keeps and adds axes."""
    keras, _ = flavours
    picture = keras.Input((3, 5, 4))
    inner = data.draw(st.sets(st.sampled_from("bcd"), min_size=1))
    dropped = data.draw(st.sets(st.sampled_from(sorted(inner))))
    new = data.draw(st.sampled_from(["", "x", "xy"]))
    kernel = "".join(data.draw(st.permutations([*sorted(inner), *new])))
    kept = [*(axis for axis in "bcd" if axis not in dropped), *new]
    answer = "".join(data.draw(st.permutations(kept)))
    lengths = {"b": 3, "c": 5, "d": 4, "x": 2, "y": 3}
    bias = "".join(axis for axis in answer if data.draw(FLAGS)) or None
    layer = keras.layers.EinsumDense(
        f"abcd,{kernel}->a{answer}",
        output_shape=tuple(lengths[axis] for axis in answer),
        bias_axes=bias,
        activation=data.draw(st.sampled_from([None, "relu"])),
    )
    same(keras, picture, layer(picture), data.draw(st.sampled_from([".h5", ".keras"])))


@few
@given(data=st.data())
def test_in_time(data, flavours, same) -> None:
    """Convolutions and poolings on each frame, and what reads the frames behind them."""
    keras, _ = flavours
    layers = keras.layers
    picture = keras.Input((6, 10, 4))
    frames = layers.Reshape((2, 6, 10, 2))(picture)
    padding = data.draw(st.sampled_from(["same", "valid"]))
    strides = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    filters, size = data.draw(SMALL), data.draw(st.integers(1, 3))
    convolution = layers.Conv2D(filters, size, strides=strides, padding=padding)
    x = layers.TimeDistributed(convolution)(frames)
    if data.draw(FLAGS):
        x = layers.TimeDistributed(layers.MaxPooling2D((1, 2)))(x)
    reader = data.draw(st.sampled_from(["none", "rows", "frames"]))
    if reader == "rows":
        x = layers.LSTM(2)(layers.TimeDistributed(layers.Flatten())(x))
    elif reader == "frames":
        x = layers.ConvLSTM2D(2, 1)(x)
    same(keras, picture, x, data.draw(st.sampled_from([".h5", ".keras"])))
