"""Layers with time: what is read must answer as the framework that wrote the file.

Each case is the layers behind a picture of 7 x 5 x 3 whose rows are read as a series of 7 steps.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
