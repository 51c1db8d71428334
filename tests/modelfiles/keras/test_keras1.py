"""Files of Keras 1, written here as Keras 1.0 to 1.2 wrote them; tf_keras computes the answers.

Formats: keras 1.2 ``engine/topology.py`` (save_weights_to_hdf5_group) and ``models.py``
(save_model, Sequential.get_config). Kernels of 'th' lie as filters, channels, rows, columns.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tintype.errors import ModelFileError, UnsafeModel, UnsupportedModel
from tintype.modelfiles.keras.config import parse_model
from tintype.modelfiles.keras.keras1 import is_keras1, named, translate
from tintype.modelfiles.keras.layers.table import LAYER_KINDS

Weights = Mapping[str, Mapping[str, np.ndarray]]


@pytest.fixture
def write_keras1(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of Keras 1: no version and no backend before 1.2, no slash in names."""

    def write(config: Any, weights: Weights, **attributes: str) -> Path:
        path = tmp_path / "model.h5"
        with h5py.File(path, "w") as root:
            root.attrs["model_config"] = json.dumps(config).encode()
            for name, value in attributes.items():
                root.attrs[name] = value.encode()
            group = root.create_group("model_weights")
            group.attrs["layer_names"] = [name.encode() for name in weights]
            for layer, arrays in weights.items():
                held = group.create_group(layer)
                held.attrs["weight_names"] = [name.encode() for name in arrays]
                for name, array in arrays.items():
                    held[name] = array
        return path

    return write


def entry(kind: str, name: str, **settings: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, "trainable": True, **settings}}


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": list(layers)}


def convolution(name: str, filters: int, *, ordering: str, **more: Any) -> dict[str, Any]:
    """The settings of a Convolution2D, all of them, as Keras 1.2 wrote them."""
    settings = {
        "nb_filter": filters,
        "nb_row": 3,
        "nb_col": 2,
        "init": "glorot_uniform",
        "activation": "relu",
        "border_mode": "same",
        "subsample": [1, 1],
        "dim_ordering": ordering,
        "W_regularizer": None,
        "b_regularizer": None,
        "activity_regularizer": None,
        "W_constraint": None,
        "b_constraint": None,
        "bias": True,
    }
    return entry("Convolution2D", name, **settings | more)


def normalisation(name: str, axis: int, mode: int = 0) -> dict[str, Any]:
    settings = {"epsilon": 0.01, "mode": mode, "axis": axis, "momentum": 0.99}
    return entry("BatchNormalization", name, **settings, gamma_init="one", beta_init="zero")


def dense(name: str, units: int) -> dict[str, Any]:
    more = {"init": "glorot_uniform", "bias": True, "input_dim": None}
    return entry("Dense", name, output_dim=units, activation="softmax", **more)


def reference(keras: Any) -> tuple[Any, list[np.ndarray]]:
    """The same network for channels last in tf_keras, and its random weights in order."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((9, 7, 3)),
            layers.Conv2D(4, (3, 2), padding="same", activation="relu"),
            layers.BatchNormalization(epsilon=0.01),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ]
    )
    random = np.random.default_rng(5)
    values = [random.uniform(0.2, 1, weight.shape).astype(np.float32) for weight in model.weights]
    values[0] -= 0.6
    values[-2] -= 0.6
    model.set_weights(values)
    return model, values


def small(ordering: str) -> dict[str, Any]:
    shape = [None, 3, 9, 7] if ordering == "th" else [None, 9, 7, 3]
    first = convolution("convolution2d_1", 4, ordering=ordering)
    first["config"] |= {"batch_input_shape": shape, "input_dtype": "float32"}
    pool = {"strides": [2, 2], "pool_size": [2, 2], "border_mode": "valid"}
    return sequential(
        first,
        normalisation("batchnormalization_1", 1 if ordering == "th" else -1),
        entry("MaxPooling2D", "maxpooling2d_1", **pool, dim_ordering=ordering),
        entry("Dropout", "dropout_1", p=0.5),
        entry("Flatten", "flatten_1"),
        dense("dense_1", 5),
    )


def stored(values: list[np.ndarray], ordering: str, *, mirrored: bool) -> Weights:
    kernel, rows = values[0], values[6]
    if mirrored:
        kernel = kernel[::-1, ::-1]
    if ordering == "th":
        kernel = kernel.transpose(3, 2, 0, 1)
        # Flatten went over channels, rows, columns.
        rows = rows.reshape(4, 3, 4, 5).transpose(2, 0, 1, 3).reshape(48, 5)
    names = ("gamma", "beta", "running_mean", "running_std")
    return {
        "convolution2d_1": {"convolution2d_1_W": kernel, "convolution2d_1_b": values[1]},
        "batchnormalization_1": {
            f"batchnormalization_1_{name}": value
            for name, value in zip(names, values[2:6], strict=True)
        },
        "maxpooling2d_1": {},
        "dropout_1": {},
        "flatten_1": {},
        "dense_1": {"dense_1_W": rows, "dense_1_b": values[7]},
    }


@pytest.mark.parametrize(
    ("ordering", "attributes", "mirrored", "note"),
    [
        ("tf", {}, False, "TensorFlow was assumed"),
        ("tf", {"keras_version": "1.2.2"}, False, "version 1.2.2"),
        ("th", {}, True, "Theano was assumed"),
        ("th", {"keras_version": "1.2.2", "backend": "tensorflow"}, False, "version 1.2.2"),
        ("th", {"keras_version": "1.2.2", "backend": "theano"}, True, "on Theano"),
        ("tf", {"keras_version": "1.2.2", "backend": "theano"}, True, "on Theano"),
    ],
)
def test_a_network_of_keras_1(
    ordering, attributes, mirrored, note, keras2, write_keras1, describe, run_openvino
) -> None:
    """Layout, names, order and mirroring of every weight come out as they were meant."""
    model, values = reference(keras2)
    path = write_keras1(small(ordering), stored(values, ordering, mirrored=mirrored), **attributes)
    description = describe(path)
    batch = np.random.default_rng(1).normal(size=(2, 9, 7, 3)).astype(np.float32)
    given = batch.transpose(0, 3, 1, 2) if ordering == "th" else batch
    np.testing.assert_allclose(
        run_openvino(description, np.ascontiguousarray(given)),
        np.asarray(model(batch)),
        rtol=1e-5,
        atol=1e-6,
    )
    assert any(note in text for text in description.notes)
    assert any("written by Keras 1" in text for text in description.notes)


def test_theano_of_keras_2(keras2, write_keras1, describe, run_openvino) -> None:
    """Keras 2 on Theano: today's layout of kernels, mirrored."""
    model, values = reference(keras2)
    config = translate(small("tf"))
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    weights = {
        "convolution2d_1": {"c/kernel:0": values[0][::-1, ::-1], "c/bias:0": values[1]},
        "batchnormalization_1": {
            f"n/{name}:0": value for name, value in zip(names, values[2:6], strict=True)
        },
        "dense_1": {"d/kernel:0": values[6], "d/bias:0": values[7]},
    }
    description = describe(write_keras1(config, weights, keras_version="2.0.8", backend="theano"))
    batch = np.random.default_rng(1).normal(size=(2, 9, 7, 3)).astype(np.float32)
    np.testing.assert_allclose(
        run_openvino(description, batch), np.asarray(model(batch)), rtol=1e-5, atol=1e-6
    )


def picture_input(**more: Any) -> dict[str, Any]:
    return {"batch_input_shape": [None, 8, 8, 3], "input_dtype": "float32", **more}


def compare(description: Any, run: Any, model: Any, shape: tuple[int, ...] = (2, 8, 8, 3)) -> None:
    batch = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    expected = np.asarray(model(batch))
    actual = run(description, batch)
    np.testing.assert_allclose(actual, expected.reshape(actual.shape), rtol=1e-5, atol=1e-6)


ONE_LAYER = {
    "atrous": (
        entry("AtrousConvolution2D", "layer", nb_filter=4, nb_row=3, nb_col=3, atrous_rate=[2, 2],
              border_mode="valid", subsample=[1, 1], dim_ordering="tf", bias=True),
        lambda k: k.Conv2D(4, 3, dilation_rate=2),
        lambda w: {"layer_W": w[0], "layer_b": w[1]},
    ),
    "deconvolution": (
        entry("Deconvolution2D", "layer", nb_filter=4, nb_row=3, nb_col=3, subsample=[2, 2],
              border_mode="valid", dim_ordering="tf", bias=True, output_shape=[None, 17, 17, 4]),
        lambda k: k.Conv2DTranspose(4, 3, strides=2),
        lambda w: {"layer_W": w[0].transpose(0, 1, 3, 2), "layer_b": w[1]},
    ),
    "separable": (
        entry("SeparableConvolution2D", "layer", nb_filter=4, nb_row=3, nb_col=3, bias=False,
              subsample=[1, 1], border_mode="same", dim_ordering="tf", depth_multiplier=2),
        lambda k: k.SeparableConv2D(4, 3, padding="same", depth_multiplier=2, use_bias=False),
        lambda w: {"layer_depthwise_kernel": w[0], "layer_pointwise_kernel": w[1]},
    ),
    "padding-of-four": (
        entry("ZeroPadding2D", "layer", padding=[1, 2, 0, 3], dim_ordering="tf"),
        lambda k: k.ZeroPadding2D(((1, 2), (0, 3))),
        lambda _w: {},
    ),
    "padding-by-name": (
        entry("ZeroPadding2D", "layer", padding={"top_pad": 1, "right_pad": 2}, dim_ordering="tf"),
        lambda k: k.ZeroPadding2D(((1, 0), (0, 2))),
        lambda _w: {},
    ),
    "upsampling": (
        entry("UpSampling2D", "layer", size=[2, 3], dim_ordering="tf"),
        lambda k: k.UpSampling2D((2, 3)),
        lambda _w: {},
    ),
    "prelu": (
        entry("PReLU", "layer", init="zero", shared_axes=[1, 2]),
        lambda k: k.PReLU(shared_axes=[1, 2]),
        lambda w: {"layer_alphas": w[0]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ONE_LAYER)
def test_one_layer(case, keras2, write_keras1, describe, run_openvino, randomised) -> None:
    """Layers by their old names and settings."""
    layer, build, arrange = ONE_LAYER[case]
    flatten = keras2.layers.Flatten()
    model = randomised(keras2.Sequential([keras2.Input((8, 8, 3)), build(keras2.layers), flatten]))
    first = {**layer, "config": {**layer["config"], **picture_input()}}
    weights = {"layer": arrange(model.get_weights())}
    path = write_keras1(sequential(first, entry("Flatten", "flatten_1")), weights)
    compare(describe(path), run_openvino, model)


@pytest.mark.parametrize("form", ["1.0", "1.1"])
def test_convolution1d(form, keras2, write_keras1, describe, run_openvino, randomised) -> None:
    """Both layouts of the kernel that Keras 1 had."""
    layers = keras2.layers
    stack = [layers.Reshape((64, 3)), layers.Conv1D(4, 3, strides=2), layers.Flatten()]
    model = randomised(keras2.Sequential([keras2.Input((8, 8, 3)), *stack]))
    kernel, bias = model.get_weights()
    kernel = kernel[:, np.newaxis] if form == "1.1" else kernel.transpose(2, 1, 0)[..., np.newaxis]
    old = {"nb_filter": 4, "filter_length": 3, "subsample_length": 2, "border_mode": "valid"}
    config = sequential(
        entry("Reshape", "reshape_1", target_shape=[64, 3], **picture_input()),
        entry("Convolution1D", "layer", **old, bias=True),
        entry("Flatten", "flatten_1"),
    )
    path = write_keras1(config, {"layer": {"layer_W": kernel, "layer_b": bias}})
    compare(describe(path), run_openvino, model)


def graph(*layers: dict[str, Any], output: str) -> dict[str, Any]:
    picture = {**entry("InputLayer", "in", **picture_input()), "name": "in", "inbound_nodes": []}
    body = {
        "name": "model_1",
        "layers": [picture, *layers],
        "input_layers": [["in", 0, 0]],
        "output_layers": [[output, 0, 0]],
    }
    return {"class_name": "Model", "config": body}


def node(layer: dict[str, Any], *sources: str) -> dict[str, Any]:
    """Connections of Keras 1 have three parts, without arguments."""
    inbound = [[[source, 0, 0] for source in sources]]
    return {**layer, "name": layer["config"]["name"], "inbound_nodes": inbound}


def merge(mode: str, **more: Any) -> dict[str, Any]:
    settings = {"concat_axis": -1, "dot_axes": -1, "output_shape": None, "arguments": {}}
    return entry("Merge", "merge_1", **settings | {"mode": mode, "mode_type": "raw"} | more)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("sum", "Add"),
        ("mul", "Multiply"),
        ("ave", "Average"),
        ("max", "Maximum"),
        ("concat", "Concatenate"),
        ("dot", "Dot"),
        ("cos", "Dot"),
    ],
)
def test_merge(mode, kind, keras2, write_keras1, describe, run_openvino) -> None:
    """Every mode of Merge."""
    if kind not in LAYER_KINDS:
        pytest.skip(f"{kind} is not in the layer table")
    layers = keras2.layers
    picture = keras2.Input((8, 8, 3))
    rows = [layers.GlobalMaxPooling2D()(picture), layers.GlobalAveragePooling2D()(picture)]
    more = {"axes": -1, "normalize": mode == "cos"} if kind == "Dot" else {}
    model = keras2.Model(picture, getattr(layers, kind)(**more)(rows))
    config = graph(
        node(entry("GlobalMaxPooling2D", "a", dim_ordering="tf"), "in"),
        node(entry("GlobalAveragePooling2D", "b", dim_ordering="tf"), "in"),
        node(merge(mode), "a", "b"),
        output="merge_1",
    )
    compare(describe(write_keras1(config, {})), run_openvino, model)


def test_merge_by_code(write_keras1, describe) -> None:
    """A Merge by a function of the author's is code."""
    layer = node(merge("4wEAAAA=", mode_type="lambda"), "in")
    with pytest.raises(UnsafeModel, match="'merge_1' is a Merge by Python code"):
        describe(write_keras1(graph(layer, output="merge_1"), {}))


def test_merge_of_models(write_keras1, describe) -> None:
    """A Sequential that begins with several models has several inputs."""
    first = entry("Merge", "merge_1", mode="sum", mode_type="raw", layers=[small("tf")] * 2)
    with pytest.raises(UnsupportedModel, match="merges 2 models with inputs of their own"):
        describe(write_keras1(sequential(first, dense("dense_1", 2)), {}))


@pytest.mark.parametrize("mode", [1, 2])
def test_normalisation_by_the_batch(mode, write_keras1, describe) -> None:
    """Modes 1 and 2 of BatchNormalization are refused in words."""
    config = small("tf")
    config["config"][1] = normalisation("odd", -1, mode=mode)
    with pytest.raises(UnsupportedModel, match=f"'odd' is a BatchNormalization of mode {mode}"):
        describe(write_keras1(config, {}))


def test_recurrent_layers(write_keras1, describe) -> None:
    """LSTM of Keras 1 keeps twelve arrays: refused by name."""
    config = sequential(entry("LSTM", "lstm_1", output_dim=3, init="glorot_uniform"))
    with pytest.raises(UnsupportedModel, match="'lstm_1' is a LSTM of Keras 1"):
        describe(write_keras1(config, {}))


def test_another_output_of_a_deconvolution(write_keras1, describe) -> None:
    """An output_shape that does not follow from the input is not guessed at."""
    layer = entry("Deconvolution2D", "up", nb_filter=2, nb_row=3, nb_col=3, subsample=[2, 2],
                  border_mode="valid", dim_ordering="tf", bias=False,
                  output_shape=[None, 18, 18, 2], **picture_input())  # fmt: skip
    weights = {"up": {"up_W": np.ones((3, 3, 3, 2), np.float32)}}
    with pytest.raises(UnsupportedModel, match=r"'up' .* declares the output .*18, 18"):
        describe(write_keras1(sequential(layer, entry("Flatten", "f")), weights))


def test_separable_on_theano(write_keras1, describe) -> None:
    """How Theano stored depthwise kernels is not known."""
    layer = entry("SeparableConv2D", "sep", filters=2, kernel_size=[1, 1], **picture_input())
    names = {"sep/depthwise_kernel:0": np.ones((1, 1, 3, 1)), "sep/pointwise_kernel:0": np.ones(6)}
    path = write_keras1(sequential(layer), {"sep": names}, keras_version="2.1.0", backend="theano")
    with pytest.raises(UnsupportedModel, match=r"'sep' \(SeparableConv2D\) .* Theano"):
        describe(path)


def test_maxout_dense(write_keras1, describe, run_openvino) -> None:
    """The largest of several dense layers."""
    random = np.random.default_rng(2)
    kernel = random.normal(size=(4, 3, 5)).astype(np.float32)
    bias = random.normal(size=(4, 5)).astype(np.float32)
    config = sequential(
        entry("GlobalMaxPooling2D", "pool", dim_ordering="tf", **picture_input()),
        entry("MaxoutDense", "m", output_dim=5, nb_feature=4, init="uniform", bias=True),
    )
    path = write_keras1(config, {"m": {"m_W": kernel, "m_b": bias}})
    batch = random.normal(size=(2, 8, 8, 3)).astype(np.float32)
    expected = (np.einsum("ni,fio->nfo", batch.max((1, 2)), kernel) + bias).max(1)
    np.testing.assert_allclose(run_openvino(describe(path), batch), expected, rtol=1e-5, atol=1e-6)


def test_highway(write_keras1, describe, run_openvino) -> None:
    """A gate between a dense layer and its input."""
    random = np.random.default_rng(2)
    names = ("h_W", "h_W_carry", "h_b", "h_b_carry")
    shapes = ((3, 3), (3, 3), (3,), (3,))
    w, wc, b, bc = (random.normal(size=shape).astype(np.float32) for shape in shapes)
    config = sequential(
        entry("GlobalMaxPooling2D", "pool", dim_ordering="tf", **picture_input()),
        entry("Highway", "h", activation="relu", init="uniform", bias=True, input_dim=3),
    )
    path = write_keras1(config, {"h": dict(zip(names, (w, wc, b, bc), strict=True))})
    batch = random.normal(size=(2, 8, 8, 3)).astype(np.float32)
    x = batch.max((1, 2))
    gate = 1 / (1 + np.exp(-(x @ wc + bc)))
    expected = gate * np.maximum(x @ w + b, 0) + (1 - gate) * x
    np.testing.assert_allclose(run_openvino(describe(path), batch), expected, rtol=1e-5, atol=1e-6)


def test_models_without_a_name(keras2, write_keras1, describe, run_openvino) -> None:
    """A Sequential within a Sequential is known by the groups of the weights alone."""
    model, values = reference(keras2)
    layers = small("tf")["config"]
    weights = stored(values, "tf", mirrored=False)
    groups = {
        "sequential_3": weights["convolution2d_1"],
        "sequential_7": {
            **{k: v for k, v in weights["batchnormalization_1"].items() if "running" not in k},
            **weights["dense_1"],
            **{k: v for k, v in weights["batchnormalization_1"].items() if "running" in k},
        },
    }
    config = sequential(sequential(layers[0]), sequential(*layers[1:]))
    compare(describe(write_keras1(config, groups)), run_openvino, model, (2, 9, 7, 3))


def test_names_are_given_only_where_they_fit() -> None:
    """Another count of groups than of layers says nothing."""
    config = sequential(sequential(), entry("Flatten", "f"))
    assert config == named(config, ["a", "b", "c"])
    assert "a" == named(config, ["a", "b"])["config"][0]["name"]


def test_new_configurations_stay_as_they_are() -> None:
    """Translating twice changes nothing more."""
    once = translate(small("th"))
    assert once == translate(once)


JUNK = [None, [], {}, -1, 1e99, "x", True, [[1]], {"a": 1}, ["a", 0, 0], 0, "th"]


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    return [place, *(found for key in keys for found in _places(value[key], (*place, key)))]


@pytest.mark.parametrize("seed", range(4))
def test_nonsense_is_an_error_of_the_file(seed) -> None:
    """Whatever stands where, translating and parsing raise a ModelFileError or nothing."""
    random = np.random.default_rng(seed)
    bases = [
        small("th"),
        graph(node(merge("cos"), "in", "in"), output="merge_1"),
        graph(node(merge("concat"), "in", "in"), output="merge_1"),
        *(sequential(layer) for layer, _, _ in ONE_LAYER.values()),
    ]
    for _ in range(300):
        config = copy.deepcopy(bases[random.integers(len(bases))])
        places = _places(config)[1:]
        *way, last = places[random.integers(len(places))]
        functools.reduce(lambda held, key: held[key], way, config)[last] = copy.deepcopy(
            JUNK[random.integers(len(JUNK))]
        )
        is_keras1(config, None)
        with contextlib.suppress(ModelFileError):
            parse_model(translate(named(config, ["a"])))
