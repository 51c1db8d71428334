"""Layer by layer: what is read must answer as the framework that wrote the file.

Each case is the layers of a Sequential on pictures of 13 x 10 (odd and even) with 4 channels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

Layers = Callable[[Any], list[Any]]

CONVOLUTIONS: dict[str, Layers] = {
    "conv-same-stride-2": lambda k: [k.Conv2D(5, 3, strides=2, padding="same")],
    "conv-same-even-kernel": lambda k: [k.Conv2D(5, (4, 2), strides=(2, 3), padding="same")],
    "conv-valid-dilated": lambda k: [k.Conv2D(5, 3, dilation_rate=2, use_bias=False)],
    "conv-same-dilated": lambda k: [k.Conv2D(5, 3, dilation_rate=(3, 2), padding="same")],
    "conv-groups": lambda k: [k.Conv2D(6, 3, groups=2, activation="relu")],
    "depthwise-multiplier": lambda k: [
        k.DepthwiseConv2D(3, depth_multiplier=3, strides=2, padding="same", activation="tanh")
    ],
    "separable": lambda k: [k.SeparableConv2D(5, 3, depth_multiplier=2, strides=2, padding="same")],
    "separable-no-bias": lambda k: [k.SeparableConv2D(5, 3, use_bias=False)],
    "transposed-same-stride-2": lambda k: [k.Conv2DTranspose(3, 3, strides=2, padding="same")],
    "transposed-same-even": lambda k: [k.Conv2DTranspose(3, 4, strides=2, padding="same")],
    "transposed-same-short": lambda k: [k.Conv2DTranspose(3, 2, strides=3, padding="same")],
    "transposed-valid": lambda k: [k.Conv2DTranspose(3, 3, strides=2)],
    "transposed-valid-short": lambda k: [k.Conv2DTranspose(3, (1, 2), strides=3)],
    "dense-on-picture": lambda k: [k.Conv2D(5, 1), k.Dense(3, activation="relu")],
    "dense-on-input": lambda k: [k.Dense(3, use_bias=False)],
}

POOLING: dict[str, Layers] = {
    "max-same": lambda k: [k.MaxPooling2D(3, strides=2, padding="same")],
    "max-valid": lambda k: [k.MaxPooling2D()],
    "average-same-leaves-padding-out": lambda k: [k.AveragePooling2D(3, strides=2, padding="same")],
    "average-valid": lambda k: [k.AveragePooling2D((2, 3))],
    "max-of-zeros-around": lambda k: [k.Conv2D(5, 3), k.ZeroPadding2D(1), k.MaxPooling2D(3, 2)],
    "max-of-zeros-around-relu": lambda k: [
        k.Conv2D(5, 3, activation="relu"),
        k.ZeroPadding2D(1),
        k.MaxPooling2D(3, 2),
    ],
    "average-of-zeros-around": lambda k: [k.ZeroPadding2D(1), k.AveragePooling2D(3, 2)],
    "global-average": lambda k: [k.Conv2D(5, 1), k.GlobalAveragePooling2D()],
    "global-average-kept": lambda k: [k.Conv2D(5, 1), k.GlobalAveragePooling2D(keepdims=True)],
    "global-max": lambda k: [k.GlobalMaxPooling2D()],
}

NORMALISATION: dict[str, Layers] = {
    "batch-norm-behind-conv": lambda k: [k.Conv2D(5, 3), k.BatchNormalization(epsilon=0.01)],
    "batch-norm-on-input": lambda k: [k.BatchNormalization(), k.Conv2D(5, 3)],
    "batch-norm-bare": lambda k: [k.Conv2D(5, 3), k.BatchNormalization(scale=False, center=False)],
    "batch-norm-other-axis": lambda k: [k.Conv2D(5, 3), k.BatchNormalization(axis=1)],
    "batch-norm-behind-dense": lambda k: [k.Flatten(), k.Dense(6), k.BatchNormalization()],
    "layer-norm-behind-conv": lambda k: [k.Conv2D(5, 3), k.LayerNormalization()],
    "layer-norm-bare": lambda k: [k.Flatten(), k.Dense(6), k.LayerNormalization(scale=False)],
    "layer-norm-all-axes": lambda k: [k.Conv2D(5, 3), k.LayerNormalization(axis=[1, 2, 3])],
}

ACTIVATIONS: dict[str, Layers] = {
    "relu-6": lambda k: [k.ReLU(max_value=0.5)],
    "relu-leaky": lambda k: [k.ReLU(negative_slope=0.2, max_value=0.4)],
    "relu-threshold": lambda k: [k.ReLU(threshold=0.1, negative_slope=0.2, max_value=0.4)],
    "leaky-relu-default": lambda k: [k.LeakyReLU()],
    "prelu-on-picture": lambda k: [k.Conv2D(5, 3), k.PReLU()],
    "prelu-shared": lambda k: [k.Conv2D(5, 3), k.PReLU(shared_axes=[1, 2])],
    "elu": lambda k: [k.ELU(alpha=0.7)],
    "softmax-over-channels": lambda k: [k.Conv2D(5, 3), k.Softmax()],
    "softmax-over-rows": lambda k: [k.Conv2D(5, 3), k.Softmax(axis=1)],
    "activation-as-layer": lambda k: [k.Conv2D(5, 3, activation=k.LeakyReLU())],
}

MOVING: dict[str, Layers] = {
    "flatten-behind-conv": lambda k: [k.Conv2D(5, 3), k.Flatten(), k.Dense(3)],
    "reshape": lambda k: [k.Conv2D(6, 1), k.Reshape((10, -1, 2)), k.Conv2D(3, 2)],
    "permute": lambda k: [k.Conv2D(5, 1), k.Permute((3, 1, 2)), k.Conv2D(3, 2), k.Flatten()],
    "permute-then-flatten": lambda k: [k.Permute((2, 1, 3)), k.Flatten(), k.Dense(3)],
    "repeat-vector": lambda k: [k.GlobalMaxPooling2D(), k.RepeatVector(3)],
    "zero-padding": lambda k: [k.ZeroPadding2D(((0, 1), (2, 0))), k.Conv2D(3, 3, strides=2)],
    "cropping": lambda k: [k.Cropping2D(((0, 2), (3, 0))), k.Conv2D(3, 3)],
    "upsampling-nearest": lambda k: [k.UpSampling2D((2, 3))],
    "upsampling-bilinear": lambda k: [k.Conv2D(3, 3), k.UpSampling2D(2, interpolation="bilinear")],
    "training-only": lambda k: [
        k.Dropout(0.5),
        k.SpatialDropout2D(0.5),
        k.GaussianNoise(1.0),
        k.GaussianDropout(0.5),
        k.Conv2D(2, 1),
    ],
}

PREPROCESSING: dict[str, Layers] = {
    "rescaling": lambda k: [k.Rescaling(1 / 127.5, offset=-1), k.Conv2D(3, 3)],
    "rescaling-by-channel": lambda k: [
        k.Rescaling([1.0, 2.0, 0.5, 3.0], offset=[0.0, 1.0, 2.0, -1])
    ],
    "normalization": lambda k: [
        k.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 2.0, 0.5, 0.1])
    ],
    "normalization-by-one": lambda k: [k.Normalization(axis=None, mean=0.4, variance=0.3)],
    "resizing-bilinear-down": lambda k: [k.Resizing(7, 6), k.Conv2D(3, 3)],
    "resizing-bilinear-up": lambda k: [k.Resizing(29, 31)],
    "resizing-nearest": lambda k: [k.Resizing(7, 17, interpolation="nearest")],
    "resizing-bicubic": lambda k: [k.Resizing(17, 16, interpolation="bicubic")],
    "resizing-cropped": lambda k: [k.Resizing(8, 5, crop_to_aspect_ratio=True)],
    "center-crop": lambda k: [k.CenterCrop(6, 5)],
}

CASES = CONVOLUTIONS | POOLING | NORMALISATION | ACTIVATIONS | MOVING | PREPROCESSING

ACTIVATION_NAMES = [
    "relu", "sigmoid", "tanh", "softmax", "log_softmax", "softplus", "softsign", "swish", "gelu",
    "selu", "elu", "exponential", "hard_sigmoid", "mish", "leaky_relu", "relu6", "linear",
]  # fmt: skip

KERAS_3_NAMES = [
    "hard_silu", "celu", "hard_tanh", "log_sigmoid", "tanh_shrink", "soft_shrink", "hard_shrink",
    "squareplus", "silu",
]  # fmt: skip


def sequential(keras: ModuleType, layers: list[Any], shape: tuple[Any, ...] = (13, 10, 4)) -> Any:
    return keras.Sequential([keras.Input(shape), *layers, keras.layers.Flatten()])


@pytest.mark.parametrize("generation", ["keras2", "keras3"])
@pytest.mark.parametrize("case", CASES)
def test_layer(case, generation, request, tmp_path: Path, assert_same, randomised) -> None:
    """A layer read from the file answers as the layer itself."""
    keras = request.getfixturevalue(generation)
    model = randomised(sequential(keras, CASES[case](keras.layers)))
    ending = ".h5" if generation == "keras2" else ".keras"
    assert_same(model, tmp_path / f"model{ending}")


@pytest.mark.parametrize("generation", ["keras2", "keras3"])
@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_activation(name, generation, request, tmp_path: Path, assert_same, randomised) -> None:
    """Every activation has the meaning it had in the Keras that wrote the file."""
    keras = request.getfixturevalue(generation)
    if not _has_activation(keras, name):
        pytest.skip(f"this Keras has no {name}")
    layers = keras.layers
    stack = [layers.Conv2D(5, 3, activation=name)]
    if name != "exponential":
        stack.append(layers.Dense(4, activation=name))
    model = randomised(sequential(keras, stack))
    ending = ".h5" if generation == "keras2" else ".keras"
    assert_same(model, tmp_path / f"model{ending}", low=-3, high=3)


@pytest.mark.parametrize("name", KERAS_3_NAMES)
def test_new_activation(name, keras3, tmp_path: Path, assert_same, randomised) -> None:
    """Activations that only Keras 3 has."""
    model = randomised(sequential(keras3, [keras3.layers.Conv2D(5, 3, activation=name)]))
    assert_same(model, tmp_path / "model.keras", low=-3, high=3)


def _has_activation(keras: ModuleType, name: str) -> bool:
    try:
        keras.activations.get(name)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    "merge", ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"]
)
def test_merge(merge, flavour, tmp_path: Path, assert_same, randomised) -> None:
    """Merges of two branches, one stored channels-first and one as Keras sees it."""
    keras, ending = flavour
    layers = keras.layers
    picture = keras.Input((13, 10, 4))
    branch = layers.Conv2D(4, 1)(picture)
    joined = getattr(layers, merge)()([picture, branch])
    model = keras.Model(picture, layers.Flatten()(joined))
    assert_same(randomised(model), tmp_path / f"model{ending}")


def test_merge_spreads_a_row_over_a_picture(flavour, tmp_path: Path, assert_same, randomised):
    """Squeeze and excite: a row of channels multiplied on each place."""
    keras, ending = flavour
    layers = keras.layers
    picture = keras.Input((13, 10, 4))
    features = layers.Conv2D(6, 3)(picture)
    gate = layers.Dense(6, activation="sigmoid")(layers.GlobalAveragePooling2D()(features))
    gated = layers.Multiply()([features, layers.Reshape((1, 1, 6))(gate)])
    model = keras.Model(picture, layers.Dense(3)(layers.GlobalMaxPooling2D()(gated)))
    assert_same(randomised(model), tmp_path / f"model{ending}")


def test_one_tensor_in_two_orders(keras3, tmp_path: Path, assert_same, randomised) -> None:
    """A picture and its permuted self are one tensor of the graph, turned in two ways."""
    layers = keras3.layers
    picture = keras3.Input((9, 9, 4))
    turned = layers.Permute((2, 1, 3))(picture)
    both = layers.Concatenate()([layers.Conv2D(2, 3)(picture), layers.Conv2D(2, 3)(turned)])
    model = keras3.Model(picture, layers.Flatten()(both))
    assert_same(randomised(model), tmp_path / "model.keras")


def test_arithmetic_between_layers(keras3, tmp_path: Path, assert_same, randomised) -> None:
    """Plain arithmetic on tensors becomes operations of their own in the file."""
    picture = keras3.Input((13, 10, 3))
    x = picture[..., ::-1] / 127.5 - 1.0
    x = keras3.layers.Conv2D(4, 3)(x)
    x = keras3.ops.relu6(2.0 * x + 0.5) - (1.0 - x)
    x = keras3.ops.mean(x, axis=[1, 2])
    model = keras3.Model(picture, keras3.ops.softmax(x))
    assert_same(randomised(model), tmp_path / "model.keras", low=0, high=255)
    assert_same(model, tmp_path / "model.h5", low=0, high=255)


def test_tensorflow_functions_between_layers(keras2, tmp_path: Path, assert_same, randomised):
    """Keras 2 stores the same as TFOpLambda and SlicingOpLambda."""
    tensorflow = pytest.importorskip("tensorflow")
    picture = keras2.Input((13, 10, 3))
    x = tensorflow.math.subtract(picture[:, :, :, ::-1] / 127.5, 1.0)
    x = keras2.layers.Conv2D(4, 3)(x)
    x = tensorflow.nn.relu6(1.0 - 2.0 * x)
    x = tensorflow.concat([x, x], axis=-1)
    x = tensorflow.reduce_mean(x, axis=[1, 2])
    model = keras2.Model(picture, tensorflow.nn.softmax(x))
    for ending in (".h5", ".keras"):
        assert_same(randomised(model), tmp_path / f"model{ending}", low=0, high=255)


def test_adapted_normalization(flavour, tmp_path: Path, assert_same) -> None:
    """A Normalization that has seen pictures keeps its mean and variance as weights."""
    keras, ending = flavour
    normalization = keras.layers.Normalization()
    normalization.adapt(np.random.default_rng(1).uniform(0, 9, (4, 13, 10, 4)).astype(np.float32))
    model = sequential(keras, [normalization, keras.layers.Dense(2)])
    assert_same(model, tmp_path / f"model{ending}", low=0, high=9)


@pytest.mark.parametrize("sizes", [(None, None), (14, 15), (15, 14)])
def test_sizes(sizes, flavour, tmp_path: Path, assert_same, randomised) -> None:
    """Odd, even and free sizes through strided windows with the padding ``same``."""
    keras, ending = flavour
    layers = keras.layers
    stack = [
        layers.Conv2D(4, 3, strides=2, padding="same"),
        layers.MaxPooling2D(3, strides=2, padding="same"),
        layers.DepthwiseConv2D(5, strides=2, padding="same"),
        layers.GlobalAveragePooling2D(),
    ]
    assert_same(randomised(sequential(keras, stack, (*sizes, 3))), tmp_path / f"model{ending}")


def test_channels_first(keras3, tmp_path: Path, describe, save, run_openvino, randomised) -> None:
    """A channels-first model takes N x C x H x W and answers as its channels-last twin."""

    def twin(data_format: str, shape: tuple[int, ...]) -> Any:
        layers = keras3.layers
        return keras3.Sequential(
            [
                keras3.Input(shape),
                layers.ZeroPadding2D(1, data_format=data_format),
                layers.Conv2D(4, 3, strides=2, padding="same", data_format=data_format),
                layers.BatchNormalization(axis=1 if data_format == "channels_first" else -1),
                layers.MaxPooling2D(2, data_format=data_format),
                layers.Flatten(data_format=data_format),
                layers.Dense(3),
            ]
        )

    first, last = (
        twin("channels_first", (3, 12, 11)),
        randomised(twin("channels_last", (12, 11, 3))),
    )
    first.set_weights(last.get_weights())
    description = describe(save(first, tmp_path / "first.keras"))
    batch = np.random.default_rng(0).normal(size=(2, 12, 11, 3)).astype(np.float32)

    actual = run_openvino(description, np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))

    assert "NCHW" == description.image.layout
    np.testing.assert_allclose(actual, np.asarray(last(batch)), atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "mixed_float16"])
def test_half_precision(dtype, keras3, tmp_path: Path, describe, save, run_openvino, randomised):
    """Half-precision layers are computed in float32: the same within half precision."""
    layers = keras3.layers
    stack = [layers.Conv2D(4, 3, dtype=dtype), layers.Dense(3, dtype=dtype)]
    model = randomised(sequential(keras3, stack))
    description = describe(save(model, tmp_path / "model.keras"))
    batch = np.random.default_rng(0).uniform(-1, 1, (2, 13, 10, 4)).astype(np.float32)

    np.testing.assert_allclose(
        run_openvino(description, batch), np.asarray(model(batch), np.float32), atol=0.02
    )


def test_uint8_input(keras3, tmp_path: Path, assert_same, randomised) -> None:
    """A uint8 input takes uint8 pictures; the graph casts them itself."""
    layers = keras3.layers
    picture = keras3.Input((13, 10, 3), dtype="uint8")
    x = layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(picture))
    model = keras3.Model(picture, layers.Dense(2)(layers.Flatten()(x)))
    description = assert_same(randomised(model), tmp_path / "model.keras", low=0, high=255)
    assert "uint8" == description.graph.input.dtype
