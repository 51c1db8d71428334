"""Functions between layers: ``keras.ops`` in files of Keras 3, ``tf`` functions in those of 2."""

# ruff: noqa: ARG005 - every entry of a table takes the same arguments

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tintype.modelfiles.keras.layers.operations import ROWS

Function = Callable[[Any, Any], Any]

KERAS: dict[str, Function] = {
    "Add": lambda o, x: x + 2.0 * x + np.float32([0.1, 0.2, 0.3, 0.4]),
    "Subtract": lambda o, x: 1.0 - x,
    "Multiply": lambda o, x: x * x[:, :1],
    "TrueDivide": lambda o, x: x / 3.0,
    "Divide": lambda o, x: o.divide(1.0, x + 3.0),
    "Maximum": lambda o, x: o.maximum(x, 0.2),
    "Minimum": lambda o, x: o.minimum(x, -x),
    "Fmax": lambda o, x: o.fmax(x, 0.1),
    "Fmin": lambda o, x: o.fmin(x, 0.1),
    "Power": lambda o, x: (x + 2.0) ** 2.5,
    "FloorDivide": lambda o, x: o.floor_divide(x * 9.0, 2.0),
    "Mod": lambda o, x: o.mod(x * 9.0, 2.0),
    "DivideNoNan": lambda o, x: o.divide_no_nan(x, o.relu(x)),
    "Hypot": lambda o, x: o.hypot(x, x + 1.0),
    "Logaddexp": lambda o, x: o.logaddexp(x, -x),
    "Equal": lambda o, x: o.cast(o.equal(o.round(x), 1.0), "float32"),
    "NotEqual": lambda o, x: o.cast(o.not_equal(o.round(x), 1.0), "float32"),
    "Greater": lambda o, x: o.cast(x > 0.1, "float32"),
    "GreaterEqual": lambda o, x: o.cast(x >= 0.1, "float32"),
    "Less": lambda o, x: o.cast(x < 0.1, "float32"),
    "LessEqual": lambda o, x: o.cast(x <= 0.1, "float32"),
    "LogicalAnd": lambda o, x: o.cast(o.logical_and(x > 0, x < 0.5), "float32"),
    "LogicalOr": lambda o, x: o.cast(o.logical_or(x < 0, x > 0.5), "float32"),
    "LogicalXor": lambda o, x: o.cast(o.logical_xor(x > 0, x > 0.5), "float32"),
    "LogicalNot": lambda o, x: o.cast(o.logical_not(x > 0), "float32"),
    "Isnan": lambda o, x: o.cast(o.isnan(o.log(x)), "float32"),
    "Isinf": lambda o, x: o.cast(o.isinf(1.0 / o.relu(x)), "float32"),
    "Isfinite": lambda o, x: o.cast(o.isfinite(o.log(x)), "float32"),
    "Where": lambda o, x: o.where(x > 0.2, x * 3.0, -0.5),
    "Sqrt": lambda o, x: o.sqrt(x + 2.0),
    "Exp": lambda o, x: o.exp(x),
    "Log": lambda o, x: o.log(x + 3.0),
    "Negative": lambda o, x: -x,
    "Absolute": lambda o, x: o.absolute(x),
    "Abs": lambda o, x: abs(x),
    "Fabs": lambda o, x: o.fabs(x),
    "Erf": lambda o, x: o.erf(x),
    "Erfc": lambda o, x: o.erfc(x),
    "Sin": lambda o, x: o.sin(x),
    "Cos": lambda o, x: o.cos(x),
    "Tan": lambda o, x: o.tan(x * 0.3),
    "Arcsin": lambda o, x: o.arcsin(x * 0.2),
    "Arccos": lambda o, x: o.arccos(x * 0.2),
    "Arctan": lambda o, x: o.arctan(x),
    "Sinh": lambda o, x: o.sinh(x),
    "Cosh": lambda o, x: o.cosh(x),
    "Arcsinh": lambda o, x: o.arcsinh(x),
    "Arccosh": lambda o, x: o.arccosh(x + 5.0),
    "Arctanh": lambda o, x: o.arctanh(x * 0.2),
    "Floor": lambda o, x: o.floor(x * 3.0),
    "Ceil": lambda o, x: o.ceil(x * 3.0),
    "Round": lambda o, x: o.round(x * 3.0),
    "Sign": lambda o, x: o.sign(x),
    "Trunc": lambda o, x: o.trunc(x * 3.0),
    "Reciprocal": lambda o, x: o.reciprocal(x + 4.0),
    "Square": lambda o, x: o.square(x),
    "Rsqrt": lambda o, x: o.rsqrt(x + 4.0),
    "Log1p": lambda o, x: o.log1p(x + 2.0),
    "Expm1": lambda o, x: o.expm1(x),
    "Exp2": lambda o, x: o.exp2(x),
    "Log2": lambda o, x: o.log2(x + 4.0),
    "Log10": lambda o, x: o.log10(x + 4.0),
    "Deg2rad": lambda o, x: o.deg2rad(x),
    "Rad2deg": lambda o, x: o.rad2deg(x),
    "Clip": lambda o, x: o.clip(x, -0.2, 0.3),
    "Cast": lambda o, x: o.cast(o.cast(x * 5.0, "int32"), "float32"),
    "SaturateCast": lambda o, x: o.saturate_cast(x, "float32"),
    "NanToNum": lambda o, x: o.nan_to_num(o.log(x), nan=0.5),
    "ZerosLike": lambda o, x: o.zeros_like(x) + x,
    "OnesLike": lambda o, x: o.ones_like(x) + x,
    "FullLike": lambda o, x: o.full_like(x, 0.7) + x,
    "Identity": lambda o, x: x * 1.0,
    "Copy": lambda o, x: o.copy(x),
    "StopGradient": lambda o, x: o.stop_gradient(x),
    "ConvertToTensor": lambda o, x: o.convert_to_tensor(x),
    "Array": lambda o, x: o.array(x),
    "Relu": lambda o, x: o.relu(x),
    "Relu6": lambda o, x: o.relu6(x * 9.0),
    "Sigmoid": lambda o, x: o.sigmoid(x),
    "Tanh": lambda o, x: o.tanh(x),
    "Silu": lambda o, x: o.silu(x),
    "Selu": lambda o, x: o.selu(x),
    "Softplus": lambda o, x: o.softplus(x),
    "Softsign": lambda o, x: o.softsign(x),
    "LogSigmoid": lambda o, x: o.log_sigmoid(x),
    "HardSilu": lambda o, x: o.hard_silu(x * 5.0),
    "HardSigmoid": lambda o, x: o.hard_sigmoid(x * 5.0),
    "HardTanh": lambda o, x: o.hard_tanh(x * 5.0),
    "TanhShrink": lambda o, x: o.tanh_shrink(x),
    "SparsePlus": lambda o, x: o.sparse_plus(x * 3.0),
    "SparseSigmoid": lambda o, x: o.sparse_sigmoid(x * 3.0),
    "Softmax": lambda o, x: o.softmax(x, axis=1) + o.softmax(x),
    "LogSoftmax": lambda o, x: o.log_softmax(x, axis=2),
    "Sparsemax": lambda o, x: o.sparsemax(x * 3.0) + o.sparsemax(x, axis=1),
    "LeakyRelu": lambda o, x: o.leaky_relu(x, negative_slope=0.3) + o.leaky_relu(x),
    "Elu": lambda o, x: o.elu(x, alpha=0.7),
    "Celu": lambda o, x: o.celu(x, alpha=0.7),
    "Gelu": lambda o, x: o.gelu(x) + o.gelu(x, approximate=False),
    "Glu": lambda o, x: [o.glu(x), o.glu(x, axis=2)],
    "HardShrink": lambda o, x: o.hard_shrink(x, threshold=0.3),
    "SoftShrink": lambda o, x: o.soft_shrink(x, threshold=0.3),
    "Squareplus": lambda o, x: o.squareplus(x, b=2),
    "Threshold": lambda o, x: o.threshold(x, 0.2, -0.1),
    "Mean": lambda o, x: [o.mean(x, axis=[1, 2]), o.mean(x, axis=-1, keepdims=True)],
    "Max": lambda o, x: o.max(x, axis=(2, 3)),
    "Amax": lambda o, x: o.amax(x, axis=1),
    "Min": lambda o, x: o.min(x, axis=2, keepdims=True),
    "Amin": lambda o, x: o.amin(x, axis=1),
    "Sum": lambda o, x: o.sum(x, axis=(1, 3)),
    "Prod": lambda o, x: o.prod(x, axis=1),
    "Logsumexp": lambda o, x: o.logsumexp(x, axis=3),
    "Var": lambda o, x: o.var(x, axis=(1, 2)),
    "Std": lambda o, x: o.std(x, axis=-1, keepdims=True),
    "All": lambda o, x: o.cast(o.all(x > -0.3, axis=-1), "float32"),
    "Any": lambda o, x: o.cast(o.any(x > 0.4, axis=-1), "float32"),
    "CountNonzero": lambda o, x: o.cast(o.count_nonzero(o.relu(x), axis=1), "float32"),
    "Ptp": lambda o, x: o.ptp(x, axis=2),
    "Argmax": lambda o, x: o.cast(o.argmax(x, axis=-1), "float32"),
    "Argmin": lambda o, x: o.cast(o.argmin(x, axis=1), "float32"),
    "Cumsum": lambda o, x: o.cumsum(x, axis=2),
    "Normalize": lambda o, x: o.normalize(x) + o.normalize(x, axis=1, order=1),
    "Moments": lambda o, x: o.moments(x, axes=(1, 2)),
    "GetItem": lambda o, x: [
        x[..., ::-1], x[:, 1], x[:, :, None, 2:5], x[:, -1, 1:-1:2, 0], x[:, 5:1:-2]
    ],
    "Transpose": lambda o, x: o.transpose(x, (0, 2, 3, 1)),
    "Reshape": lambda o, x: [o.reshape(x, (-1, 6, 7, 4)), o.reshape(x, (-1, 42, 2, 2))],
    "ExpandDims": lambda o, x: o.concatenate([o.expand_dims(x, 2)] * 2, axis=2),
    "Squeeze": lambda o, x: [o.squeeze(x[:, :1], 1), o.squeeze(x[:, :1, :1])],
    "Concatenate": lambda o, x: [o.concatenate([x, x * 2.0], axis=n) for n in (1, 2, 3, -1)],
    "Stack": lambda o, x: [o.stack([x, x * 2.0], axis=n) for n in (1, 3, -1)],
    "Unstack": lambda o, x: o.unstack(x, axis=2)[2] * o.unstack(x, axis=2)[0],
    "Split": lambda o, x: [*o.split(x, 2, axis=-1), *o.split(x, [2, 5], axis=1)],
    "Tile": lambda o, x: o.tile(x, (1, 2, 1, 3)),
    "Repeat": lambda o, x: o.repeat(x, 3, axis=2),
    "Flip": lambda o, x: [o.flip(x, axis=1), o.flip(x, axis=(1, 2))],
    "Fliplr": lambda o, x: x,
    "Roll": lambda o, x: o.roll(x, 2, axis=1),
    "Moveaxis": lambda o, x: [o.moveaxis(x, -1, 1), o.moveaxis(x, (1, 2), (2, 3))],
    "Swapaxes": lambda o, x: o.swapaxes(x, 1, 3),
    "Pad": lambda o, x: [
        o.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0))),
        o.pad(x, ((0, 0), (1, 2), (2, 0), (0, 0)), constant_values=0.3),
        o.pad(x, ((0, 0), (1, 2), (2, 0), (0, 1)), mode="reflect"),
        o.pad(x, ((0, 0), (1, 2), (2, 0), (0, 1)), mode="symmetric"),
    ],
    "Take": lambda o, x: o.take(x, [0, 3, 1], axis=2),
    "TakeAlongAxis": lambda o, x: o.take_along_axis(x, o.argmax(x, axis=1, keepdims=True), axis=1),
    "OneHot": lambda o, x: o.one_hot(o.argmax(x, axis=-1), 5),
    "Tril": lambda o, x: o.tril(x, k=-1),
    "Triu": lambda o, x: o.triu(x),
    "BroadcastTo": lambda o, x: x,
    "DepthToSpace": lambda o, x: o.depth_to_space(x, 2),
    "SpaceToDepth": lambda o, x: o.space_to_depth(x[:, :6], 2),
    "Matmul": lambda o, x: [
        o.matmul(x, o.transpose(x, (0, 1, 3, 2))),
        o.matmul(x, np.arange(12, dtype="float32").reshape(4, 3)),
    ],
    "TopK": lambda o, x: [
        o.top_k(x, 2)[0], o.cast(o.top_k(o.transpose(x, (0, 3, 2, 1)), 3)[1], "float32")
    ],
    "Sort": lambda o, x: o.sort(x, axis=1),
    "Resize": lambda o, x: [
        o.image.resize(x, (5, 9)),
        o.image.resize(x, (5, 9), interpolation="nearest"),
        o.image.resize(x, (5, 4), interpolation="bicubic", antialias=True),
        o.image.resize(x, (9, 4), interpolation="lanczos3"),
        o.image.resize(x, (9, 4), crop_to_aspect_ratio=True),
        o.image.resize(x, (4, 9), pad_to_aspect_ratio=True, fill_value=0.5),
    ],
    "CropImages": lambda o, x: o.image.crop_images(
        x, top_cropping=1, left_cropping=2, target_height=4, target_width=3
    ),
    "PadImages": lambda o, x: o.image.pad_images(x, 1, 2, target_height=9, target_width=10),
    "RGBToGrayscale": lambda o, x: o.image.rgb_to_grayscale(x[..., :3]),
    "MaxPool": lambda o, x: [o.max_pool(x, 2), o.max_pool(x, (3, 2), strides=2, padding="same")],
    "AveragePool": lambda o, x: o.average_pool(x, 3, strides=1, padding="same"),
}  # fmt: skip

_SAME_AS_ANOTHER = {"Fliplr", "BroadcastTo", "Identity"}
"""No functional model of Keras 3 can hold them with a free batch axis."""

TENSORFLOW: dict[str, Function] = {
    "arithmetic": lambda tf, x: tf.math.subtract(x / 127.5, 1.0) * [1.0, 2.0, 3.0, 4.0] + 0.5,
    "from-a-number": lambda tf, x: 1.0 - 2.0 / (x + 3.0),
    "two-tensors": lambda tf, x: tf.maximum(x, -x) + tf.math.squared_difference(x, 0.3),
    "power": lambda tf, x: (x + 2.0) ** 2 + tf.pow(x + 2.0, 0.5),
    "floor": lambda tf, x: (x * 7.0) // 2.0 + (x * 7.0) % 2.0,
    "compare": lambda tf, x: tf.where(x > 0.1, x, tf.zeros_like(x)) + tf.cast(x <= 0, "float32"),
    "clip": lambda tf, x: tf.clip_by_value(x, -0.1, 0.2),
    "cast": lambda tf, x: tf.cast(tf.cast(x * 5.0, tf.int32), tf.float32),
    "unary": lambda tf, x: tf.sqrt(x + 2.0) + tf.exp(x) + tf.math.log(x + 3.0),
    "rsqrt": lambda tf, x: tf.math.rsqrt(x + 9.0) - tf.math.reciprocal(x + 9.0),
    "activations": lambda tf, x: tf.nn.relu6(x * 8.0) + tf.nn.swish(x) + tf.sigmoid(x) - tf.tanh(x),
    "leaky": lambda tf, x: tf.nn.leaky_relu(x, alpha=0.3) + tf.nn.leaky_relu(x) + tf.nn.elu(x),
    "gelu": lambda tf, x: tf.nn.gelu(x) + tf.nn.gelu(x, approximate=True),
    "softmax": lambda tf, x: tf.nn.softmax(x, axis=1) + tf.nn.log_softmax(x),
    "reductions": lambda tf, x: [
        tf.reduce_mean(x, axis=[1, 2]), tf.reduce_max(x, 1), tf.reduce_min(x, axis=-1),
        tf.reduce_sum(x, axis=[1, 2], keepdims=True), tf.math.reduce_std(x, axis=3),
    ],
    "l2-normalize": lambda tf, x: tf.math.l2_normalize(x, axis=-1),
    "concat": lambda tf, x: tf.concat([x, x * 2.0], axis=-1),
    "stack": lambda tf, x: tf.stack([x, x * 2.0], axis=2),
    "split": lambda tf, x: [*tf.split(x, 2, axis=3), *tf.split(x, [1, 4, -1], axis=1)],
    "unstack": lambda tf, x: tf.unstack(x, axis=3)[1],
    "transpose": lambda tf, x: tf.transpose(x, [0, 3, 1, 2]),
    "reshape": lambda tf, x: [tf.reshape(x, [-1, 42, 4]), tf.reshape(x, (-1, 6, 28))],
    "squeeze": lambda tf, x: tf.squeeze(tf.expand_dims(tf.expand_dims(x, 1), -1), axis=[1]),
    "pad": lambda tf, x: [
        tf.pad(x, [[0, 0], [1, 2], [2, 0], [0, 0]]),
        tf.pad(x, [[0, 0], [1, 2], [2, 0], [0, 0]], "REFLECT"),
        tf.pad(x, [[0, 0], [1, 2], [2, 0], [0, 0]], constant_values=0.5),
    ],
    "index": lambda tf, x: [x[..., ::-1], x[:, 2], x[:, :, 1:4, tf.newaxis], x[:, -1, -1]],
    "gather": lambda tf, x: tf.gather(x, [2, 0, 1], axis=3),
    "tile": lambda tf, x: tf.tile(x, [1, 1, 2, 1]),
    "repeat": lambda tf, x: tf.repeat(x, 2, axis=1),
    "reverse": lambda tf, x: tf.reverse(x, axis=[-1]),
    "one-hot": lambda tf, x: tf.one_hot(tf.argmax(x, axis=-1), 4),
    "blocks": lambda tf, x: [tf.nn.depth_to_space(x, 2), tf.nn.space_to_depth(x[:, :6], 2)],
    "matmul": lambda tf, x: tf.matmul(x, x, transpose_b=True),
    "resize": lambda tf, x: [
        tf.image.resize(x, (5, 9)), tf.image.resize(x, [9, 5], method="nearest"),
        tf.image.resize(x, [9, 5], "bicubic"), tf.image.resize(x, [3, 4], "area"),
        tf.image.resize(x, [4, 5], antialias=True), tf.image.resize(x, [4, 5], "lanczos5"),
        tf.image.resize(x, [4, 9], "gaussian"), tf.image.resize(x, [9, 4], "mitchellcubic"),
    ],
    "boxes": lambda tf, x: [
        tf.image.crop_to_bounding_box(x, 1, 2, 4, 3), tf.image.pad_to_bounding_box(x, 1, 2, 9, 11)
    ],
    "grey": lambda tf, x: tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(x[..., :3])),
    "flips": lambda tf, x: tf.image.flip_left_right(x) + tf.image.flip_up_down(x),
    "standardize": lambda tf, x: tf.image.per_image_standardization(x),
    "lrn": lambda tf, x: tf.nn.local_response_normalization(x, 1, 2.0, 0.3, 0.75),
    "pools": lambda tf, x: [
        tf.nn.max_pool2d(x, 2, 2, "VALID"), tf.nn.avg_pool2d(x, [3, 2], [1, 2], "SAME")
    ],
    "bias-add": lambda tf, x: tf.nn.bias_add(x, [0.1, 0.2, 0.3, 0.4]),
    "moments": lambda tf, x: tf.nn.moments(x, axes=[1, 2]),
    "cumsum": lambda tf, x: tf.cumsum(x, axis=1),
    "top-k": lambda tf, x: tf.math.top_k(x, k=2)[0],
}  # fmt: skip


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("name", [name for name in KERAS if name not in _SAME_AS_ANOTHER])
def test_function_of_keras_3(name, ending, keras3, prove_function) -> None:
    """A function of keras.ops read from a file answers as Keras' own."""
    prove_function(keras3, ending, lambda x: KERAS[name](keras3.ops, x))


@pytest.mark.parametrize("name", TENSORFLOW)
def test_function_of_tensorflow(name, keras2, prove_function) -> None:
    """A TensorFlow function in a file of Keras 2 answers as TensorFlow's own."""
    tensorflow = pytest.importorskip("tensorflow")
    prove_function(keras2, ".h5", lambda x: TENSORFLOW[name](tensorflow, x))


def test_every_operation_is_proved() -> None:
    """Whatever stands in the table of operations has a test here."""
    elsewhere = {"ExtractPatches"}  # in test_attention.py, with what it is for
    assert {name for row in ROWS for name in row.keras.split()} == set(KERAS) | elsewhere
