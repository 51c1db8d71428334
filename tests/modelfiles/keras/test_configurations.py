"""Configurations and containers that Keras 2 and 3 wrote in the course of time."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tintype.errors import ModelFileDamaged, NotAnImageModel, UnsupportedModel
from tintype.modelfiles.description import ReadOptions
from tintype.modelfiles.keras.keras2 import nodes_as_json
from tintype.modelfiles.keras.read import describe_keras
from tintype.modelfiles.open import describe as open_any
from tintype.types import Format


def small(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ]
    )


@pytest.fixture
def same(run_openvino) -> Callable[..., None]:
    """Hold a description to what the framework answers."""

    def check(description: Any, model: Any, *, tolerance: float = 1e-5) -> None:
        batch = np.random.default_rng(3).normal(size=(2, 8, 8, 3)).astype(np.float32)
        expected = np.asarray(model(batch, training=False)).astype(np.float32)
        actual = run_openvino(description, batch)
        np.testing.assert_allclose(
            actual, expected.reshape(actual.shape), rtol=tolerance, atol=tolerance
        )

    return check


@pytest.fixture
def policy(keras3) -> Iterator[Callable[[str], None]]:
    """Set Keras' precision for one test."""
    yield keras3.config.set_dtype_policy
    keras3.config.set_dtype_policy("float32")


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("name", ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16"])
def test_precision(name, ending, keras3, policy, tmp_path, save, describe, randomised, same):
    """Weights stored as float16 and bfloat16, and layers that compute in them."""
    policy(name)
    model = randomised(small(keras3))
    description = describe(save(model, tmp_path / f"model{ending}"))
    policy("float32")
    exact = small(keras3)
    exact.set_weights([np.asarray(weight).astype(np.float32) for weight in model.get_weights()])
    same(description, exact)
    assert "float32" == description.image.tensor.dtype


def test_mixed_precision_of_keras_2(keras2, tmp_path, save, describe, randomised, same):
    """The policies of Keras 2 are dictionaries of another form."""
    keras2.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = randomised(small(keras2))
    finally:
        keras2.mixed_precision.set_global_policy("float32")
    exact = small(keras2)
    exact.set_weights(model.get_weights())
    for ending in (".h5", ".keras"):
        same(describe(save(model, tmp_path / f"model{ending}")), exact)


def test_other_opaque_bytes(keras3, tmp_path, save, describe):
    """Two opaque bytes that are told to be something else are no numbers."""
    path = save(small(keras3), tmp_path / "model.h5")
    with h5py.File(path, "a") as root:
        names: list[str] = []
        root["model_weights"].visit(names.append)
        name = next(name for name in names if name.count("/bias"))
        del root["model_weights"][name]
        data = root["model_weights"].create_dataset(name, data=np.zeros(5, "V2"))
        data.attrs["dtype"] = "secret"
    with pytest.raises(Exception, match="not numbers"):
        describe(path)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_saved_optimiser_state(ending, keras3, keras2, tmp_path, save, describe, same):
    """A trained model carries its optimiser; nothing of it is read."""
    for keras in (keras3, keras2):
        model = small(keras)
        model.compile("adam", "mse")
        model.train_on_batch(np.zeros((2, 8, 8, 3)), np.zeros((2, 5)))
        same(describe(save(model, tmp_path / f"{keras.__name__}{ending}")), model)


@pytest.mark.parametrize("unpack", ["by keras", "by hand"])
def test_unpacked_folder(unpack, keras3, tmp_path, save, randomised, same):
    """A folder of the three files of a .keras zip."""
    model = randomised(small(keras3))
    folder = tmp_path / "model"
    if unpack == "by keras":
        model.save(folder, zipped=False)
    else:
        zipfile.ZipFile(save(model, tmp_path / "model.keras")).extractall(folder)
    description = open_any(folder)
    assert Format.KERAS_ZIP == description.format
    same(description, model)


def test_unpacked_folder_without_weights(tmp_path):
    """What is missing is named."""
    for name in ("config.json", "metadata.json", "model.weights.npz"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(UnsupportedModel, match=r"lie in model\.weights\.npz"):
        open_any(tmp_path)


PAIRS = [
    ("model.json", "model.h5"),
    ("model.json", "model.weights.h5"),
    ("net_architecture.json", "net_weights.hdf5"),
    ("config.json", "weights.h5"),
    ("architecture.json", "best-17.weights.h5"),
]


@pytest.mark.parametrize("given", [0, 1])
@pytest.mark.parametrize("names", PAIRS)
def test_two_halves(names, given, keras3, keras2, tmp_path, randomised, same):
    """An architecture beside its weights, whichever is given."""
    keras3_form = names[1].endswith(".weights.h5")
    model = randomised(small(keras3 if keras3_form else keras2))
    (tmp_path / names[0]).write_text(model.to_json())
    model.save_weights(tmp_path / names[1])
    description = open_any(tmp_path / names[given])
    same(description, model)
    other = names[1 - given]
    assert any(f"come from {other} beside {names[given]}" in note for note in description.notes)


def test_architecture_written_twice(keras2, tmp_path, randomised, same):
    """json.dump of model.to_json() makes a text of a text."""
    model = randomised(small(keras2))
    (tmp_path / "model.json").write_text(json.dumps(model.to_json()))
    model.save_weights(tmp_path / "model.h5")
    same(open_any(tmp_path / "model.json"), model)


def test_the_half_of_the_same_name_is_taken(keras2, tmp_path, randomised, same):
    """Among several the names decide."""
    models = {name: randomised(small(keras2)) for name in ("cats", "dogs")}
    models["dogs"].set_weights([weight * 0.5 for weight in models["dogs"].get_weights()])
    for name, model in models.items():
        (tmp_path / f"{name}.json").write_text(model.to_json())
        model.save_weights(tmp_path / f"{name}_weights.h5")
    same(open_any(tmp_path / "dogs_weights.h5"), models["dogs"])
    same(open_any(tmp_path / "cats.json"), models["cats"])


def test_halves_that_do_not_fit(keras2, tmp_path):
    """With several and no name alike, they are listed and none is taken."""
    model = small(keras2)
    for name in ("cats", "dogs"):
        (tmp_path / f"{name}.json").write_text(model.to_json())
    model.save_weights(tmp_path / "birds.h5")
    with pytest.raises(UnsupportedModel, match=r"not clear: cats\.json, dogs\.json") as caught:
        open_any(tmp_path / "birds.h5")
    assert "birds.json" in caught.value.hint


def test_an_architecture_alone(keras2, tmp_path):
    """It is called what it is, and what to put beside it is said."""
    (tmp_path / "net.json").write_text(small(keras2).to_json())
    with pytest.raises(UnsupportedModel, match="architecture of a Keras model, without") as caught:
        open_any(tmp_path / "net.json")
    assert "net.weights.h5" in caught.value.hint


@pytest.mark.parametrize("text", ['{"class_name": 1, "config": {}}', '{"class_name": "M", "config'])
def test_a_damaged_architecture(text, keras2, tmp_path):
    """A half that makes no sense is an error of the file."""
    small(keras2).save_weights(tmp_path / "net.h5")
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(ModelFileDamaged):
        open_any(tmp_path / "net.json")


def node_layer(name: str, op: str, inbound: list[Any], constants: dict[str, Any], **attr: Any):
    """A TensorFlowOpLayer as TensorFlow 2.2 wrote it."""
    node = {"name": name, "op": op, "input": ["a", "b"], "attr": attr}
    return {
        "class_name": "TensorFlowOpLayer",
        "name": f"tf_op_layer_{name}",
        "config": {
            "name": name,
            "trainable": True,
            "dtype": "float32",
            "node_def": json.dumps(node),
            "constants": constants,
        },
        "inbound_nodes": [inbound],
    }


def graph_of(*nodes: dict[str, Any]) -> dict[str, Any]:
    picture = {
        "class_name": "InputLayer",
        "name": "in",
        "config": {"batch_input_shape": [None, 8, 8, 3], "name": "in", "dtype": "float32"},
        "inbound_nodes": [],
    }
    pool = {
        "class_name": "Flatten",
        "name": "flat",
        "config": {"name": "flat"},
        "inbound_nodes": [[[nodes[-1]["name"], 0, 0, {}]]],
    }
    body = {
        "name": "model",
        "layers": [picture, *nodes, pool],
        "input_layers": [["in", 0, 0]],
        "output_layers": [["flat", 0, 0]],
    }
    return {"class_name": "Model", "config": body}


@pytest.fixture
def write_config(tmp_path) -> Callable[..., Path]:
    """An HDF5 model without weights."""

    def write(config: Any, version: str = "2.2.4-tf") -> Path:
        with h5py.File(tmp_path / "model.h5", "w") as root:
            root.attrs["model_config"] = json.dumps(config)
            root.attrs["keras_version"] = version
            root.create_group("model_weights")
        return tmp_path / "model.h5"

    return write


def test_graph_nodes(write_config, describe, run_openvino):
    """Arithmetic that TensorFlow 2.0 to 2.3 wrote as nodes of a graph."""
    means = {"class_name": "__numpy__", "type": "ndarray", "value": [0.1, 0.2, 0.3]}
    config = graph_of(
        node_layer("truediv", "RealDiv", [["in", 0, 0, {}]], {"1": 127.5}),
        node_layer("sub", "Sub", [["tf_op_layer_truediv", 0, 0, {}]], {"0": 1.0}),
        node_layer("add", "AddV2", [["tf_op_layer_sub", 0, 0, {}]], {"1": means}),
        node_layer("mul", "Mul", [["tf_op_layer_add", 0, 0, {}], ["in", 0, 0, {}]], {}),
        node_layer("Relu6", "Relu6", [["tf_op_layer_mul", 0, 0, {}]], {}),
        node_layer(
            "Mean", "Mean", [["tf_op_layer_Relu6", 0, 0, {}]], {"1": [1, 2]}, keep_dims={"b": True}
        ),
    )
    batch = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    made = np.clip((1 - batch / 127.5 + [0.1, 0.2, 0.3]) * batch, 0, 6).mean((1, 2))
    answer = run_openvino(describe(write_config(config)), batch)
    np.testing.assert_allclose(answer, made, rtol=1e-5, atol=1e-5)


def test_graph_nodes_as_bytes():
    """TensorFlow 2.0 and 2.1 wrote the node's bytes as text."""
    pytest.importorskip("tensorflow", reason="the reference framework is not installed")
    from tensorflow.core.framework.node_def_pb2 import NodeDef

    node = NodeDef(name="Mean", op="Mean", input=["x", "axes"])
    node.attr["keep_dims"].b = True
    node.attr["T"].type = 1
    layer = node_layer("Mean", "Mean", [["in", 0, 0, {}]], {"1": [1, 2]})
    layer["config"]["node_def"] = node.SerializeToString().decode("utf-8")
    written = nodes_as_json(graph_of(layer))["config"]["layers"][1]
    expected = {"op": "Mean", "attr": {"T": {"type": "DT_FLOAT"}, "keep_dims": {"b": True}}}
    assert expected == written["config"]["node_def"]


def test_unknown_graph_nodes(write_config, describe):
    """The layer and its operation are named."""
    config = graph_of(node_layer("Fft", "FFT2D", [["in", 0, 0, {}]], {}))
    with pytest.raises(UnsupportedModel, match=r"'tf_op_layer_Fft' .* 'FFT2D'"):
        describe(write_config(config))


def test_added_losses_and_metrics(keras2, tmp_path, save, describe, randomised, same):
    """model.add_loss and add_metric leave layers behind that hand their tensor on."""
    layers = keras2.layers
    picture = keras2.Input((8, 8, 3))
    row = layers.Flatten()(layers.Conv2D(2, 3)(picture))
    answer = layers.Dense(3)(row)
    model = keras2.Model(picture, answer)
    model.add_loss(keras2.backend.mean(row))
    model.add_metric(keras2.backend.mean(answer), name="mean")
    same(describe(save(randomised(model), tmp_path / "model.h5")), model)


@pytest.mark.parametrize("mode", ["int8", "float8"])
def test_quantised(mode, keras3, tmp_path, save, describe):
    """Quantised kernels are refused, in both containers."""
    model = keras3.Sequential(
        [keras3.Input((8, 8, 3)), keras3.layers.Flatten(), keras3.layers.Dense(4, name="sums")]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.quantize(mode)
    for ending in (".keras", ".h5"):
        with pytest.raises(UnsupportedModel, match="'sums' is quantised"):
            describe(save(model, tmp_path / f"model{ending}"))


def test_adapters(keras3, tmp_path, save, describe, randomised, same):
    """LoRA: the zip form holds kernel and adapter joined; the .h5 form is refused."""
    layers = keras3.layers
    model = keras3.Sequential([keras3.Input((8, 8, 3)), layers.Flatten(), layers.Dense(4)])
    model.layers[-1].enable_lora(2)
    randomised(model)
    same(describe(save(model, tmp_path / "model.keras")), model)
    with pytest.raises(UnsupportedModel, match="LoRA"):
        describe(save(model, tmp_path / "model.h5"))


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_sequential_without_a_shape(ending, keras3, tmp_path, save, describe, randomised, same):
    """Built by its first picture: the shape is in the build_config or the first layer."""
    layers = keras3.layers
    model = keras3.Sequential([layers.Rescaling(0.1), layers.Conv2D(3, 3), layers.Flatten()])
    model(np.zeros((1, 8, 8, 3), np.float32))
    same(describe(save(randomised(model), tmp_path / f"model{ending}")), model)


def test_sequential_of_keras_2_without_a_shape(keras2, tmp_path, save, describe, same):
    """The same in Keras 2."""
    layers = keras2.layers
    model = keras2.Sequential([layers.Rescaling(0.1), layers.Conv2D(3, 3), layers.Flatten()])
    model.build((None, 8, 8, 3))
    for ending in (".h5", ".keras"):
        same(describe(save(model, tmp_path / f"model{ending}")), model)


def test_build_config_beside_the_configuration(keras3, tmp_path, save, describe, same):
    """Keras 3.0 told the shape of a Sequential only in build_config."""
    model = small(keras3)
    path = save(model, tmp_path / "model.keras")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    assert "InputLayer" == config["config"]["layers"].pop(0)["class_name"]
    config["config"].pop("build_input_shape", None)
    assert [None, 8, 8, 3] == config["build_config"]["input_shape"]
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    same(describe(path), model)


def shared(keras: Any) -> Any:
    """A layer called twice, and a model of that called twice, inside and outside."""
    layers = keras.layers
    part = keras.Input((8, 8, 3))
    twice = layers.Conv2D(3, 3, padding="same", activation="tanh", name="twice")
    tower = keras.Model(part, layers.Add()([twice(twice(part)), part]), name="tower")
    picture = keras.Input((8, 8, 3))
    one = tower(picture)
    other = tower(layers.Rescaling(0.5)(one))
    last = layers.Dense(3, name="last")
    rows = [last(layers.GlobalAveragePooling2D()(x)) for x in (one, other, picture)]
    return keras.Model(picture, layers.Concatenate()(rows))


def test_shared_layers_and_models(flavour, tmp_path, assert_same, randomised):
    """Layers and models called several times, in both containers."""
    keras, ending = flavour
    assert_same(randomised(shared(keras)), tmp_path / f"model{ending}")


@pytest.fixture
def two_inputs(flavour, tmp_path, save) -> tuple[Any, Path]:
    """One answer of the picture alone, and one that needs a number besides."""
    keras, ending = flavour
    layers = keras.layers
    picture = keras.Input((8, 8, 3), name="picture")
    age = keras.Input((4,), name="age")
    row = layers.Flatten()(layers.Conv2D(2, 3)(picture))
    kind = layers.Dense(3, activation="softmax", name="kind")(row)
    price = layers.Dense(1, name="price")(layers.Concatenate()([row, age]))
    model = keras.Model([picture, age], [price, kind])
    return keras.Model(picture, kind), save(model, tmp_path / f"model{ending}")


def test_an_input_that_is_not_needed(two_inputs, describe, same):
    """The answer that follows from the picture alone is served, and that is said."""
    model, path = two_inputs
    description = describe(path)
    same(description, model)
    assert any("only the input 'picture' is used" in note for note in description.notes)
    same(describe(path, input="picture", output="kind"), model)


def test_an_input_besides_the_picture(two_inputs, describe):
    """An answer that needs more is refused, naming what is no picture."""
    with pytest.raises(NotAnImageModel, match="'age' is no picture"):
        describe(two_inputs[1], output="price")


def test_zip_of_weights_in_pieces(tmp_path):
    """Sharded weights are refused in words."""
    config = json.dumps({"class_name": "Sequential", "config": {"layers": []}})
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in (
            "config.json",
            "metadata.json",
            "model.weights.json",
            "model_00000.weights.h5",
        ):
            archive.writestr(name, config)
    (tmp_path / "model.keras").write_bytes(held.getvalue())
    with pytest.raises(UnsupportedModel, match=r"lie in model\.weights\.json, which is not read"):
        describe_keras(tmp_path / "model.keras", format=Format.KERAS_ZIP, options=ReadOptions())


def test_weights_of_a_subclassed_model(keras3, tmp_path):
    """They lie by the names of attributes; there is no architecture to go with them."""

    class Own(keras3.Model):
        def __init__(self) -> None:
            super().__init__()
            self.head = keras3.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.head(x)

    model = Own()
    model(np.zeros((1, 8), np.float32))
    model.save_weights(tmp_path / "own.weights.h5")
    with pytest.raises(UnsupportedModel, match="weights only"):
        open_any(tmp_path / "own.weights.h5")


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_pipeline(ending, keras3, tmp_path, assert_same, randomised):
    """Layers one behind the other that are no model; those of training only do nothing."""
    layers = keras3.layers
    adapted = layers.Normalization()
    adapted.adapt(np.random.default_rng(5).uniform(0, 9, (20, 8, 8, 3)).astype(np.float32))
    steps = [
        layers.RandomFlip("horizontal"),
        layers.Rescaling(2.0, offset=-1.0),
        adapted,
        layers.Equalization(),
        layers.Conv2D(3, 3),
    ]
    model = keras3.Sequential(
        [
            keras3.Input((8, 8, 3)),
            layers.Pipeline(steps, name="steps"),
            layers.Conv2D(2, 3),
            layers.Flatten(),
        ]
    )

    description = assert_same(randomised(model), tmp_path / f"model{ending}")
    assert "steps" == description.layers[0].name
