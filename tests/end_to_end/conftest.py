"""Models of every format, built with the real frameworks, each with the framework's own answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

SIDE, CLASSES = 32, 5

APPLICATIONS = {"mobilenetv2": ("MobileNetV2", 100.0), "resnet50": ("ResNet50", 25.0)}
"""File -> architecture, and the factor of its last layer's weights that spreads logits by about 8.

Wider logits sharpen softmax until it shows what is only the order of float32 sums."""

Reference = Callable[[np.ndarray], np.ndarray]
"""A batch N x H x W x C as the framework takes it -> N x classes, as real numbers."""


@dataclass(frozen=True)
class Built:
    """A model file and how its own framework answers."""

    path: Path
    engine: str
    answer: Reference
    scale: float = 255.0
    """Random inputs are 0..scale."""


def _cnn(keras):
    """A small CNN with batch norm that has seen data, as a course would build it."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, padding="same", strides=2),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    rng = np.random.default_rng(1)
    model.set_weights(
        [
            np.abs(w) + rng.random(w.shape)
            if "variance" in v.name
            else w + 0.1 * rng.random(w.shape)
            for w, v in zip(model.get_weights(), model.weights, strict=True)
        ]
    )
    return model


def _keras(keras, folder: Path, name: str) -> Built:
    model = _cnn(keras)
    model.save(folder / name)
    return Built(folder / name, f"Keras {keras.__version__}", lambda x: model.predict(x, verbose=0))


def _application(keras, folder: Path, name: str) -> Built:
    build, voice = APPLICATIONS[name.split(".", maxsplit=1)[0]]
    model = getattr(keras.applications, build)(weights=None)
    _unsettle(model, voice)
    model.save(folder / name)
    return Built(
        folder / name, f"Keras {keras.__version__}", lambda x: model.predict(x, verbose=0), 1.0
    )


def _unsettle(model, voice: float) -> None:
    """Give batch norms a past and the last layer a voice: fresh networks answer 1/1000 for all."""
    rng = np.random.default_rng(5)
    model.set_weights(
        [
            _unsettled(
                variable.path if hasattr(variable, "path") else variable.name, value, rng, voice
            )
            for variable, value in zip(model.weights, model.get_weights(), strict=True)
        ]
    )


def _unsettled(name: str, value: np.ndarray, rng: np.random.Generator, voice: float) -> np.ndarray:
    if "moving_variance" in name or "gamma" in name:
        return rng.uniform(0.8, 1.2, value.shape)
    if "moving_mean" in name or "beta" in name:
        return rng.uniform(-0.1, 0.1, value.shape)
    return value * voice if value.ndim == 2 else value


def _frozen_tf2(tf, keras, folder: Path) -> Built:
    from tensorflow.python.framework import convert_to_constants

    model = _cnn(keras)
    function = tf.function(lambda x: model(x, training=False)).get_concrete_function(
        tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32)
    )
    frozen = convert_to_constants.convert_variables_to_constants_v2(function)
    path = folder / "frozen_tf2.pb"
    path.write_bytes(frozen.graph.as_graph_def().SerializeToString())
    return Built(path, f"TensorFlow {tf.__version__}", lambda x: model.predict(x, verbose=0))


def _tf1(tf):
    """A TF 1 graph: placeholder, convolution, fused batch norm, softmax."""
    v1 = tf.compat.v1
    rng = np.random.default_rng(2)
    graph = tf.Graph()
    with graph.as_default():
        x = v1.placeholder(tf.float32, (None, SIDE, SIDE, 3), name="input")
        kernel = v1.get_variable("kernel", initializer=rng.normal(0, 0.1, (3, 3, 3, 8)).astype("f"))
        y = tf.nn.conv2d(x / 127.5 - 1.0, kernel, 2, "SAME")
        stats = [tf.constant(rng.uniform(0.5, 1.5, 8).astype("f")) for _ in range(4)]
        y = tf.nn.relu(v1.nn.fused_batch_norm(y, *stats, is_training=False)[0])
        dense = v1.get_variable("dense", initializer=rng.normal(0, 1, (8, CLASSES)).astype("f"))
        y = tf.nn.softmax(tf.matmul(tf.reduce_mean(y, (1, 2)), dense), name="final_result")
    return graph, x, y


def _frozen_tf1(tf, folder: Path) -> Built:
    v1 = tf.compat.v1
    graph, x, y = _tf1(tf)
    with v1.Session(graph=graph) as session:
        session.run([v.initializer for v in graph.get_collection("variables")])
        frozen = v1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), ["final_result"]
        )
    path = folder / "retrained_graph.pb"
    path.write_bytes(frozen.SerializeToString())
    return Built(path, f"TensorFlow {tf.__version__}", _session(tf, frozen, x.name, y.name))


def _session(tf, graph_def, x: str, y: str) -> Reference:
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")

    def answer(batch: np.ndarray) -> np.ndarray:
        with tf.compat.v1.Session(graph=graph) as session:
            return session.run(y, {x: batch})

    return answer


def _saved_tf1(tf, folder: Path) -> Built:
    v1 = tf.compat.v1
    graph, x, y = _tf1(tf)
    path = folder / "saved_tf1"
    with v1.Session(graph=graph) as session:
        session.run([v.initializer for v in graph.get_collection("variables")])
        v1.saved_model.simple_save(session, str(path), {"image": x}, {"scores": y})
    return Built(path, f"TensorFlow {tf.__version__}", _signature(tf, path))


def _signature(tf, path: Path) -> Reference:
    loaded = tf.saved_model.load(str(path))
    function = loaded.signatures["serving_default"]
    name = next(iter(function.structured_input_signature[1]))

    def answer(batch: np.ndarray) -> np.ndarray:
        assert loaded is not None
        return next(iter(function(**{name: tf.constant(batch)}).values())).numpy()

    return answer


def _exported(tf, keras, folder: Path, name: str) -> Built:
    path = folder / name
    model = _cnn(keras)
    if hasattr(model, "export"):
        model.export(str(path), verbose=False)
    else:
        model.save(str(path))
    return Built(path, f"TensorFlow {tf.__version__}", _signature(tf, path))


def _saved_keras2(tf, tf_keras, folder: Path) -> Built:
    path = folder / "saved_keras2"
    _cnn(tf_keras).save(str(path), save_format="tf")
    return Built(path, f"TensorFlow {tf.__version__}", _signature(tf, path))


def _tflite(tf, keras, folder: Path, kind: str) -> Built:
    exported = _exported(tf, keras, folder, f"for_tflite_{kind}").path
    converter = tf.lite.TFLiteConverter.from_saved_model(str(exported))
    if kind != "float":
        rng = np.random.default_rng(3)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [rng.uniform(0, 255, (1, SIDE, SIDE, 3)).astype(np.float32)] for _ in range(20)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.dtypes.as_dtype(kind)
    path = folder / f"{kind}.tflite"
    path.write_bytes(converter.convert())
    return Built(path, "LiteRT", _interpreter(path))


def _interpreter(path: Path) -> Reference:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    given, taken = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def one(row: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(given["index"], row[None].astype(given["dtype"]))
        interpreter.invoke()
        raw = interpreter.get_tensor(taken["index"])[0]
        scale, zero = taken["quantization"]
        return (raw.astype(np.float32) - zero) * scale if scale else raw

    return lambda batch: np.stack([one(row) for row in batch])


def _onnx_model(layout: str, batch: int | str):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(4)
    weights = {
        "kernel": rng.normal(0, 0.1, (8, 3, 3, 3)),
        "dense": rng.normal(0, 1, (8, CLASSES)),
    }
    nodes = [
        helper.make_node("Conv", ["nchw", "kernel"], ["conv"], strides=[2, 2]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("MatMul", ["flat", "dense"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=-1),
    ]
    if layout == "NHWC":
        shape = [batch, SIDE, SIDE, 3]
        nodes.insert(0, helper.make_node("Transpose", ["x"], ["nchw"], perm=[0, 3, 1, 2]))
    else:
        shape = [batch, 3, SIDE, SIDE]
        nodes.insert(0, helper.make_node("Identity", ["x"], ["nchw"]))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, CLASSES])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def _onnx(folder: Path, layout: str, batch: int | str) -> Built:
    import onnx
    import onnxruntime

    path = folder / f"{layout}-{batch}.onnx"
    onnx.save(_onnx_model(layout, batch), path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def one(row: np.ndarray) -> np.ndarray:
        fed = row.transpose(2, 0, 1) if layout == "NCHW" else row
        rows = np.repeat(fed[None], batch if isinstance(batch, int) else 1, axis=0)
        return session.run(None, {"x": np.ascontiguousarray(rows)})[0][0]

    return Built(path, "ONNX Runtime", lambda x: np.stack([one(row) for row in x]), 1.0)


def _openvino_ir(folder: Path) -> Built:
    import openvino

    source = _onnx(folder, "NCHW", "n")
    path = folder / "model.xml"
    openvino.save_model(openvino.Core().read_model(source.path), path, compress_to_fp16=False)
    return Built(path, source.engine, source.answer, source.scale)


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Built]:
    """Builds one named model of ``MODELS``; each only once."""
    tf = pytest.importorskip("tensorflow", reason="the reference framework is not installed")
    keras = pytest.importorskip("keras", reason="the reference framework is not installed")
    tf_keras = pytest.importorskip("tf_keras", reason="the reference framework is not installed")
    folder = tmp_path_factory.mktemp("models")
    recipes: dict[str, Callable[[], Built]] = {
        "keras2.h5": lambda: _keras(tf_keras, folder, "keras2.h5"),
        "keras3.h5": lambda: _keras(keras, folder, "keras3.h5"),
        "keras2.keras": lambda: _keras(tf_keras, folder, "keras2.keras"),
        "keras3.keras": lambda: _keras(keras, folder, "keras3.keras"),
        "mobilenetv2.h5": lambda: _application(tf_keras, folder, "mobilenetv2.h5"),
        "mobilenetv2.keras": lambda: _application(keras, folder, "mobilenetv2.keras"),
        "resnet50.keras": lambda: _application(keras, folder, "resnet50.keras"),
        "frozen-tf1": lambda: _frozen_tf1(tf, folder),
        "frozen-tf2": lambda: _frozen_tf2(tf, keras, folder),
        "saved-tf1": lambda: _saved_tf1(tf, folder),
        "saved-keras2": lambda: _saved_keras2(tf, tf_keras, folder),
        "saved-keras3": lambda: _exported(tf, keras, folder, "saved_keras3"),
        "float.tflite": lambda: _tflite(tf, keras, folder, "float"),
        "uint8.tflite": lambda: _tflite(tf, keras, folder, "uint8"),
        "int8.tflite": lambda: _tflite(tf, keras, folder, "int8"),
        "nchw-free.onnx": lambda: _onnx(folder, "NCHW", "n"),
        "nchw-fixed.onnx": lambda: _onnx(folder, "NCHW", 1),
        "nhwc-free.onnx": lambda: _onnx(folder, "NHWC", "n"),
        "nhwc-fixed.onnx": lambda: _onnx(folder, "NHWC", 4),
        "openvino.xml": lambda: _openvino_ir(folder),
    }

    def seeded(name: str) -> Built:
        keras.utils.set_random_seed(0)
        tf_keras.utils.set_random_seed(0)
        return recipes[name]()

    return seeded
