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


@pytest.mark.parametrize("ending", [".h5", ".keras"])
@pytest.mark.parametrize(
    ("size", "strides", "rate", "padding"),
    [
        (2, None, 1, "valid"),
        (3, None, 1, "valid"),
        ((2, 3), (1, 2), 1, "same"),
        (2, (1, 1), 2, "valid"),
    ],
)
def test_patches(size, strides, rate, padding, ending, keras3, compare) -> None:
    """Patches side by side, cut off at the rim, overlapping, with gaps."""
    picture = keras3.Input((6, 8, 3))
    patches = keras3.ops.image.extract_patches(
        picture, size, strides=strides, dilation_rate=rate, padding=padding
    )
    compare((keras3, ending), picture, patches)


@pytest.mark.parametrize("ending", [".h5", ".keras"])
@pytest.mark.parametrize(("strides", "padding"), [(2, "VALID"), (1, "SAME")])
def test_patches_of_tensorflow(strides, padding, ending, keras2, compare) -> None:
    """Keras 2 stores them as a function of TensorFlow."""
    tensorflow = pytest.importorskip("tensorflow")
    picture = keras2.Input((6, 8, 3))
    patches = tensorflow.image.extract_patches(
        picture,
        sizes=[1, 2, 2, 1],
        strides=[1, strides, strides, 1],
        rates=[1, 1, 1, 1],
        padding=padding,
    )
    compare((keras2, ending), picture, patches)


def vision_transformer(keras: Any, embed: Callable[[Any], Any]) -> Any:
    """The vision transformer of Keras' examples, small: 4 x 4 patches of 32 x 32 pixels."""
    layers = keras.layers
    picture = keras.Input((32, 32, 3))
    x = layers.Dense(16)(embed(picture))
    for _ in range(2):
        inner = layers.LayerNormalization(epsilon=1e-6)(x)
        inner = layers.MultiHeadAttention(2, 8, dropout=0.1)(inner, inner)
        x = layers.Add()([inner, x])
        inner = layers.LayerNormalization(epsilon=1e-6)(x)
        inner = layers.Dropout(0.1)(layers.Dense(32, activation="gelu")(inner))
        x = layers.Add()([layers.Dense(16)(inner), x])
    x = layers.Flatten()(layers.LayerNormalization(epsilon=1e-6)(x))
    return keras.Model(picture, layers.Dense(5, activation="softmax")(x))


@pytest.mark.parametrize("ending", [".h5", ".keras"])
def test_vision_transformer(ending, keras3, assert_same, randomised, tmp_path: Path) -> None:
    """Patches as an operation, positions as numbers that were computed once."""
    positions = np.linspace(-1, 1, 64 * 48).reshape(1, 64, 48).astype(np.float32)

    def embed(picture: Any) -> Any:
        patches = keras3.ops.image.extract_patches(picture / 255.0, 4)
        return keras3.layers.Reshape((64, 48))(patches) + positions

    model = randomised(vision_transformer(keras3, embed))
    found = assert_same(model, tmp_path / f"model{ending}", low=0, high=255)
    assert (5, "softmax") == (found.output.classes, found.output.activation)
    assert model.count_params() == sum(layer.parameters for layer in found.layers)


def test_vision_transformer_of_keras_2(flavour, assert_same, randomised, tmp_path: Path) -> None:
    """Patches by a convolution."""
    keras, ending = flavour

    def embed(picture: Any) -> Any:
        return keras.layers.Reshape((64, 12))(keras.layers.Conv2D(12, 4, strides=4)(picture))

    assert_same(randomised(vision_transformer(keras, embed)), tmp_path / f"model{ending}")


def test_a_constant_joined_to_each_picture(keras3, describe, save, run_openvino, tmp_path: Path):
    """A class token that is a number of the file stands before the places of every picture."""
    picture, one, _ = rows(keras3)
    token = keras3.ops.convert_to_tensor(np.linspace(-1, 1, 16).reshape(1, 1, 16), "float32")
    joined = keras3.ops.concatenate([token, one], axis=1)
    model = keras3.Model(picture, keras3.layers.Flatten()(joined))
    batch = np.random.default_rng(0).normal(size=(2, 4, 6, 4)).astype(np.float32)

    actual = run_openvino(describe(save(model, tmp_path / "model.keras")), batch)

    expected = [np.asarray(model(row[np.newaxis]))[0] for row in batch]
    np.testing.assert_allclose(actual, expected, atol=1e-6)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("cap", [None, 2.0])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_an_embedding_and_the_way_back(
    tied, cap, ending, keras3, tmp_path, assert_same, randomised
) -> None:
    """One table of numbers, or one a way; called in both ways by one model."""
    layers = keras3.layers
    picture = keras3.Input((3, 4, 1))
    table = layers.ReversibleEmbedding(9, 3, tie_weights=tied, logit_soft_cap=cap)
    rows = table(layers.Reshape((12,))(picture))
    model = keras3.Model(picture, layers.Flatten()(table(rows, reverse=True)))

    assert_same(randomised(model), tmp_path / f"model{ending}", low=0, high=8.9)
