"""Files that are refused: code, unknown classes, weights alone, damage, and greed."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tintype.errors import (
    ModelFileDamaged,
    ModelFileError,
    ModelFileTooLarge,
    UnsafeModel,
    UnsupportedModel,
)

INPUT = {
    "class_name": "InputLayer",
    "config": {"batch_shape": [None, 8, 8, 3], "name": "picture", "dtype": "float32"},
}
FLATTEN = {"class_name": "Flatten", "config": {"name": "flatten"}}
DENSE = {"class_name": "Dense", "config": {"name": "dense", "units": 2, "activation": "softmax"}}


def model_config(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "model", "layers": list(layers)}}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write an HDF5 model by hand: its configuration, and weights put in by ``fill``."""

    def file(config: Any, fill: Callable[[h5py.Group], None] | None = None) -> Path:
        path = tmp_path / "model.h5"
        with h5py.File(path, "w") as root:
            text = config if isinstance(config, str) else json.dumps(config)
            root.attrs["model_config"] = text
            root.attrs["keras_version"] = "2.15.0"
            group = root.create_group("model_weights")
            group.attrs["layer_names"] = [b"flatten", b"dense"]
            dense = group.create_group("dense")
            dense.attrs["weight_names"] = [b"dense/kernel:0", b"dense/bias:0"]
            (fill or good_weights)(dense)
        return path

    return file


def good_weights(group: h5py.Group) -> None:
    group["dense/kernel:0"] = np.ones((192, 2), np.float32)
    group["dense/bias:0"] = np.zeros(2, np.float32)


GOOD = model_config(INPUT, FLATTEN, DENSE)


def test_the_file_by_hand_is_good(write, describe) -> None:
    """The base of the cases below is read without complaint."""
    assert 2 == describe(write(GOOD)).output.classes


def test_lambda_layer(keras3, tmp_path: Path, save, describe) -> None:
    """A Lambda layer is named and refused; its bytecode is never decoded."""
    layers = keras3.layers
    stack = [layers.Lambda(lambda x: x / 255, name="divide"), layers.Flatten(), layers.Dense(2)]
    model = keras3.Sequential([keras3.Input((8, 8, 3)), *stack])
    for ending in (".keras", ".h5"):
        with pytest.raises(UnsafeModel, match="'divide' is a Lambda") as caught:
            describe(save(model, tmp_path / f"model{ending}"))
        assert "Rescaling" in caught.value.hint


def test_code_hidden_in_a_setting(write, describe) -> None:
    """Bytecode in a layer's settings is found wherever it is."""
    code = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}
    layer = {"class_name": "Dense", "config": {"name": "sly", "units": 2, "activation": code}}
    with pytest.raises(UnsafeModel, match="'sly' holds Python code in 'activation'"):
        describe(write(model_config(INPUT, FLATTEN, layer)))


def test_unknown_class(write, describe) -> None:
    """A class of the author's own is named together with its layer."""
    layer = {"class_name": "Custom>Fancy", "config": {"name": "fancy_1"}}
    with pytest.raises(UnsupportedModel, match=r"Custom>Fancy \(layer 'fancy_1'\)") as caught:
        describe(write(model_config(INPUT, layer, FLATTEN, DENSE)))
    assert "ONNX" in caught.value.hint


def test_unknown_activation(write, describe) -> None:
    """So is an activation of the author's own."""
    layer = {"class_name": "Dense", "config": {"name": "dense", "units": 2, "activation": "mine"}}
    with pytest.raises(UnsupportedModel, match="'dense' uses the activation 'mine'"):
        describe(write(model_config(INPUT, FLATTEN, layer)))


def test_unknown_tensorflow_function(write, describe) -> None:
    """TFOpLambda names a function of a fixed list; others are refused."""
    layer = {"class_name": "TFOpLambda", "config": {"name": "op", "function": "io.read_file"}}
    with pytest.raises(UnsupportedModel, match=r"io\.read_file"):
        describe(write(model_config(INPUT, layer, FLATTEN, DENSE)))


def test_weights_alone(keras3, keras2, tmp_path: Path, describe) -> None:
    """A file of weights says what to do."""
    for keras, name in ((keras3, "a.weights.h5"), (keras2, "b.h5")):
        model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])
        model.save_weights(tmp_path / name)
        with pytest.raises(UnsupportedModel, match="weights only") as caught:
            describe(tmp_path / name)
        assert "model.save" in caught.value.hint


def test_subclassed_model(keras3, tmp_path: Path, describe) -> None:
    """A model whose connections are Python code cannot be read from its file."""

    class Own(keras3.Model):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.dense = keras3.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = Own()
    model(np.zeros((1, 8, 8, 3), np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(tmp_path / "model.keras")
    with pytest.raises(UnsupportedModel, match="'Own'"):
        describe(tmp_path / "model.keras")


def test_unbuilt_model(write, describe) -> None:
    """A Sequential saved before it knew its input."""
    with pytest.raises(UnsupportedModel, match="before it was built"):
        describe(write(model_config(FLATTEN, DENSE)))


def test_no_keras_file(tmp_path: Path, describe) -> None:
    """HDF5 of something else."""
    with h5py.File(tmp_path / "data.h5", "w") as root:
        root["table"] = np.zeros(3)
    with pytest.raises(UnsupportedModel, match="no Keras model"):
        describe(tmp_path / "data.h5")


def test_wrong_weight_shape(write, describe) -> None:
    """Both shapes are told."""

    def fill(group: h5py.Group) -> None:
        group["dense/kernel:0"] = np.ones((191, 2), np.float32)
        group["dense/bias:0"] = np.zeros(2, np.float32)

    with pytest.raises(ModelFileDamaged, match=r"\(191, 2\).*\(192, 2\)"):
        describe(write(GOOD, fill))


def test_missing_weight(write, describe) -> None:
    """The layer and the weight are named."""

    def fill(group: h5py.Group) -> None:
        group["dense/kernel:0"] = np.ones((192, 2), np.float32)

    with pytest.raises(ModelFileDamaged, match="'bias' of layer 'dense'"):
        describe(write(GOOD, fill))


def greedy(group: h5py.Group) -> None:
    group.create_dataset(
        "dense/kernel:0", (1 << 20, 1 << 16), np.float32, chunks=(1024, 1024), compression="gzip"
    )
    group["dense/bias:0"] = np.zeros(2, np.float32)


def empty(group: h5py.Group) -> None:
    group.create_dataset("dense/kernel:0", (192, 2), np.float32)
    group["dense/bias:0"] = np.zeros(2, np.float32)


def soft_link(group: h5py.Group) -> None:
    group["dense/kernel:0"] = h5py.SoftLink("/elsewhere")


def external_link(group: h5py.Group) -> None:
    group["dense/kernel:0"] = h5py.ExternalLink("other.h5", "/kernel")


def external_storage(group: h5py.Group) -> None:
    group.create_dataset(
        "dense/kernel:0", (192, 2), np.float32, external=[("/etc/passwd", 0, 1536)]
    )


def virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((192, 2), np.float32)
    layout[:] = h5py.VirtualSource("/etc/passwd", "kernel", (192, 2))
    group.create_virtual_dataset("dense/kernel:0", layout)


def pickled(group: h5py.Group) -> None:
    kind = h5py.vlen_dtype(np.uint8)
    group.create_dataset("dense/kernel:0", (1,), kind)


@pytest.mark.parametrize(
    ("fill", "error"),
    [
        (greedy, ModelFileTooLarge),
        (empty, ModelFileDamaged),
        (soft_link, UnsafeModel),
        (external_link, UnsafeModel),
        (external_storage, UnsafeModel),
        (virtual, UnsafeModel),
        (pickled, UnsafeModel),
    ],
)
def test_weights_that_are_none(write, describe, fill, error) -> None:
    """Nothing is allocated for, and nothing read from, weights that lie elsewhere or nowhere."""
    with pytest.raises(error):
        describe(write(GOOD, fill))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        "{}",
        '{"class_name": 3}',
        '{"class_name": "Sequential", "config": 1}',
        '{"class_name": "Sequential", "config": []}',
        '{"class_name": "Sequential", "config": {"layers": [1]}}',
        "[" * 100_000,
        '{"a":' * 20_000,
        json.dumps(model_config(INPUT, FLATTEN, {**DENSE, "config": {"name": "dense"}})),
        json.dumps(
            model_config(INPUT, FLATTEN, {**DENSE, "config": {"name": "dense", "units": "two"}})
        ),
        json.dumps(model_config(INPUT, FLATTEN, FLATTEN)),
        json.dumps(
            model_config({**INPUT, "config": {"name": "x", "batch_shape": [None, -4, 9, 3]}})
        ),
        json.dumps(
            model_config({**INPUT, "config": {"name": "x", "batch_shape": [None, 1e9, 1e9, 3]}})
        ),
    ],
)
def test_nonsense_configuration(write, describe, text) -> None:
    """Whatever stands in the configuration, the error is one of a model file."""
    with pytest.raises(ModelFileError):
        describe(write(text))


def test_models_nested_without_end(write, describe) -> None:
    """Depth is limited before Python's is."""
    config: dict[str, Any] = DENSE
    for number in range(200):
        config = {"class_name": "Sequential", "config": {"name": f"m{number}", "layers": [config]}}
    with pytest.raises(ModelFileError):
        describe(write(config))


def test_models_that_multiply(write, describe) -> None:
    """A nested model called eight times, eight deep: 16 million layers from 6 kB."""
    inner: dict[str, Any] = {"class_name": "ReLU", "config": {"name": "relu"}}
    for depth in range(8):
        picture = {**INPUT, "name": "in", "inbound_nodes": []}
        picture["config"] = {**INPUT["config"], "name": "in"}
        nodes = [[["in", 0, 0, {}]], *([["m", number, 0, {}]] for number in range(7))]
        body = {
            "name": f"m{depth}",
            "layers": [picture, {**inner, "name": "m", "inbound_nodes": nodes}],
            "input_layers": [["in", 0, 0]],
            "output_layers": [["m", 7, 0]],
        }
        inner = {"class_name": "Functional", "config": body}
    with pytest.raises(ModelFileTooLarge, match="unfolds"):
        describe(write(inner))


def test_layers_in_a_circle(write, describe) -> None:
    """A layer that needs its own answer."""
    node = [[["b", 0, 0, {}]]]
    layers = [
        {**INPUT, "name": "picture", "inbound_nodes": []},
        {"class_name": "ReLU", "name": "a", "config": {"name": "a"}, "inbound_nodes": node},
        {
            "class_name": "ReLU",
            "name": "b",
            "config": {"name": "b"},
            "inbound_nodes": [[["a", 0, 0, {}]]],
        },
    ]
    body = {
        "name": "m",
        "layers": layers,
        "input_layers": [["picture", 0, 0]],
        "output_layers": [["b", 0, 0]],
    }
    with pytest.raises(ModelFileDamaged, match="circle"):
        describe(write({"class_name": "Functional", "config": body}))


def test_quantised_layers(write, describe) -> None:
    """Keras 3 can store int8 kernels with scales of their own: not read yet."""
    policy = {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8"}}
    layer = {"class_name": "Dense", "config": {**DENSE["config"], "dtype": policy}}
    with pytest.raises(UnsupportedModel, match="'dense' is quantised"):
        describe(write(model_config(INPUT, FLATTEN, layer)))


def test_no_file(tmp_path: Path, describe) -> None:
    """A path that leads nowhere."""
    with pytest.raises(ModelFileDamaged, match="cannot be read"):
        describe(tmp_path / "none.h5")


def test_larger_than_allowed(write, describe) -> None:
    """max_bytes is held against the file itself."""
    with pytest.raises(ModelFileTooLarge, match="at most 100"):
        describe(write(GOOD), max_bytes=100)


def zipped(tmp_path: Path, members: dict[str, bytes]) -> Path:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_zip_without_configuration(tmp_path: Path, describe) -> None:
    """A zip of anything else."""
    with pytest.raises(UnsupportedModel, match=r"no config\.json"):
        describe(zipped(tmp_path, {"readme.txt": b"hello"}))


def test_zip_without_weights(tmp_path: Path, describe) -> None:
    """Configuration alone, and weights in pieces."""
    config = json.dumps(GOOD).encode()
    with pytest.raises(ModelFileDamaged, match=r"no model\.weights\.h5"):
        describe(zipped(tmp_path, {"config.json": config}))
    with pytest.raises(UnsupportedModel, match=r"lie in model\.weights\.json"):
        describe(zipped(tmp_path, {"config.json": config, "model.weights.json": b"{}"}))


def test_zip_bomb(tmp_path: Path, describe) -> None:
    """A member that unpacks to a thousandfold is refused before it is unpacked."""
    members = {"config.json": b"{}", "model.weights.h5": b"\0" * (80 << 20)}
    with pytest.raises(ModelFileTooLarge, match=r"model\.weights\.h5"):
        describe(zipped(tmp_path, members))


def test_labels_in_the_file(write, describe) -> None:
    """Names of classes that somebody stored as an attribute."""
    path = write(GOOD)
    with h5py.File(path, "a") as root:
        root.attrs["class_names"] = ["cat", "dog"]
    assert ("cat", "dog") == describe(path).labels_in_file
    with h5py.File(path, "a") as root:
        root.attrs["class_names"] = '["cat", "owl"]'
    assert ("cat", "owl") == describe(path).labels_in_file


def test_labels_in_the_metadata(tmp_path: Path, describe) -> None:
    """The same in the metadata of a zip."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as root:
        root["layers/dense/vars/0"] = np.ones((192, 2), np.float32)
        root["layers/dense/vars/1"] = np.ones(2, np.float32)
    metadata = {"keras_version": "3.4.1", "class_names": ["cat", "dog"]}
    members = {
        "config.json": json.dumps(GOOD).encode(),
        "metadata.json": json.dumps(metadata).encode(),
        "model.weights.h5": weights.getvalue(),
    }
    assert ("cat", "dog") == describe(zipped(tmp_path, members)).labels_in_file
