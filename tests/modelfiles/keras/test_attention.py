"""Attention, dense layers over any axes, embeddings: held to the framework that wrote the file.

A picture of 4 x 6 x 4 gives the tensors: as rows of places, or as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Attend = Callable[[Any, Any, Any], Any]
"""Layers, a row of 6 places x 16, one of 8 places x 12 -> the answer."""

ATTENTION: dict[str, Attend] = {
    "self": lambda k, a, _b: k.MultiHeadAttention(2, 3)(a, a),
    "cross": lambda k, a, b: k.MultiHeadAttention(2, 3)(a, b),
    "key-of-its-own": lambda k, a, b: k.MultiHeadAttention(2, 3)(a, b, key=b),
    "value-dim": lambda k, a, b: k.MultiHeadAttention(3, 4, value_dim=5)(a, b),
    "no-bias": lambda k, a, _b: k.MultiHeadAttention(2, 3, use_bias=False, dropout=0.3)(a, a),
    "output-shape": lambda k, a, _b: k.MultiHeadAttention(2, 3, output_shape=7)(a, a),
    "output-shape-of-two": lambda k, a, _b: k.MultiHeadAttention(2, 3, output_shape=(3, 5))(a, a),
    "causal": lambda k, a, _b: k.MultiHeadAttention(2, 3)(a, a, use_causal_mask=True),
    "scores": lambda k, a, b: k.MultiHeadAttention(2, 3)(a, b, return_attention_scores=True)[1],
    "dot": lambda k, a, _b: k.Attention()([a, a]),
    "dot-scaled": lambda k, a, b: k.Attention(use_scale=True)([a, k.Dense(16)(b)]),
    "dot-with-key": lambda k, a, b: k.Attention()([a, b, k.Dense(16)(b)]),
    "sum": lambda k, a, b: k.Attention(score_mode="concat")([a, k.Dense(16)(b)]),
    "sum-scaled": lambda k, a, _b: k.Attention(use_scale=True, score_mode="concat")([a, a]),
    "dot-causal": lambda k, a, _b: k.Attention()([a, a], use_causal_mask=True),
    "additive": lambda k, a, b: k.AdditiveAttention()([a, k.Dense(16)(b)]),
    "additive-bare": lambda k, a, _b: k.AdditiveAttention(use_scale=False)([a, a]),
}

NEW_ATTENTION: dict[str, Attend] = {
    "grouped": lambda k, a, b: k.GroupQueryAttention(3, 4, 2)(a, k.Dense(16)(b)),
    "grouped-no-bias": lambda k, a, _b: k.GroupQueryAttention(3, 4, 4, use_bias=False)(a, a),
    "grouped-one-key": lambda k, a, _b: k.GroupQueryAttention(3, 4, 1)(a, a, use_causal_mask=True),
    "window": lambda k, a, _b: k.MultiHeadAttention(2, 3, sliding_window=2)(a, a),
    "gate": lambda k, a, _b: k.MultiHeadAttention(2, 3, use_gate=True)(a, a),
    "grouped-gate": lambda k, a, _b: k.GroupQueryAttention(3, 4, 2, use_gate=True)(a, a),
}

AXES: dict[str, Callable[[Any], Any]] = {
    "all": lambda k: k.MultiHeadAttention(2, 3),
    "rows": lambda k: k.MultiHeadAttention(2, 3, attention_axes=1),
    "columns": lambda k: k.MultiHeadAttention(2, 3, attention_axes=(2,)),
    "columns-output": lambda k: k.MultiHeadAttention(2, 3, attention_axes=(2,), output_shape=5),
    "both": lambda k: k.MultiHeadAttention(2, 3, attention_axes=(1, 2), value_dim=2),
}

EQUATIONS: dict[str, Callable[[Any], Any]] = {
    "dense": lambda k: k.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d"),
    "dots": lambda k: k.EinsumDense("...x,xy->...y", output_shape=5, activation="relu"),
    "two-new": lambda k: k.EinsumDense("abc,cde->abde", output_shape=(None, 3, 2), bias_axes="de"),
    "bias-of-one": lambda k: k.EinsumDense(
        "abc,cde->abde", output_shape=(None, 3, 2), bias_axes="d"
    ),
    "two-gone": lambda k: k.EinsumDense("abc,bcd->ad", output_shape=5, bias_axes="d"),
    "turned": lambda k: k.EinsumDense("abc,cd->adb", output_shape=(5, None), bias_axes="d"),
    "places": lambda k: k.EinsumDense("abc,bd->adc", output_shape=(5, None), bias_axes="d"),
    "kept": lambda k: k.EinsumDense("abc,bcd->abd", output_shape=(6, 5), bias_axes="bd"),
}


def rows(keras: Any) -> tuple[Any, Any, Any]:
    """A picture, and two series made of it."""
    layers = keras.layers
    picture = keras.Input((4, 6, 4))
    one = layers.Reshape((6, 16))(layers.Permute((2, 1, 3))(picture))
    return picture, one, layers.Reshape((8, 12))(picture)


@pytest.fixture
def compare(assert_same, randomised, tmp_path: Path) -> Callable[..., Any]:
    """Compare what is made of a picture."""

    def same(flavour: tuple[Any, str], picture: Any, answer: Any, **options: Any) -> Any:
        keras, ending = flavour
        model = keras.Model(picture, keras.layers.Flatten()(answer))
        return assert_same(randomised(model), tmp_path / f"model{ending}", **options)

    return same


@pytest.mark.parametrize("case", ATTENTION)
def test_attention(case, flavour, compare) -> None:
    """Attention over the places of a picture."""
    picture, one, other = rows(flavour[0])
    compare(flavour, picture, ATTENTION[case](flavour[0].layers, one, other))


@pytest.mark.parametrize("ending", [".h5", ".keras"])
@pytest.mark.parametrize("case", NEW_ATTENTION)
def test_new_attention(case, ending, keras3, compare) -> None:
    """What only Keras 3 has: heads that share keys, windows, gates."""
    picture, one, other = rows(keras3)
    compare((keras3, ending), picture, NEW_ATTENTION[case](keras3.layers, one, other))


@pytest.mark.parametrize("case", AXES)
def test_attention_axes(case, flavour, compare) -> None:
    """Attention over some axes of a picture; the others are as a batch."""
    keras = flavour[0]
    picture = keras.Input((4, 6, 4))
    features = keras.layers.Conv2D(4, 1)(picture)
    compare(flavour, picture, AXES[case](keras.layers)(features, features))


@pytest.mark.parametrize("case", EQUATIONS)
def test_einsum_dense(case, flavour, compare) -> None:
    """A dense layer over any axes."""
    keras = flavour[0]
    picture, one, _ = rows(keras)
    compare(flavour, picture, EQUATIONS[case](keras.layers)(one))


def test_embedding_of_pixels(flavour, compare) -> None:
    """A row of a table for each grey value."""
    keras = flavour[0]
    layers = keras.layers
    picture = keras.Input((4, 6, 1))
    x = layers.Embedding(9, 3)(layers.Reshape((24,))(picture))
    compare(flavour, picture, layers.Dense(2)(layers.Flatten()(x)), low=0, high=8.9)


def test_attention_scores_beside_the_answer(flavour, compare) -> None:
    """Both outputs of one layer are used."""
    keras = flavour[0]
    picture, one, other = rows(keras)
    answer, scores = keras.layers.MultiHeadAttention(2, 3)(one, other, return_attention_scores=True)
    flat = [keras.layers.Flatten()(item) for item in (answer, scores)]
    compare(flavour, picture, keras.layers.Concatenate()(flat))


def test_a_constant_added_by_a_layer(keras3, compare) -> None:
    """Positions that were computed once stand in the file as numbers."""
    picture, one, _ = rows(keras3)
    positions = np.linspace(-1, 1, 96).reshape(1, 6, 16).astype(np.float32)
    x = keras3.layers.Add()([one, keras3.ops.convert_to_tensor(positions)])
    compare((keras3, ".keras"), picture, x)
