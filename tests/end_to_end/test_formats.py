"""Every format and every real file: it loads, and answers as its own framework does.

``make formats`` runs this module and writes ``docs/reference/formats.md`` from what it measured.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tintype.cli.app import build_app
from tintype.engines.catalog import load
from tintype.models.card import bare_card
from tintype.models.plan import ModelPlan, plan_model
from tintype.types import Layout

pytestmark = [
    # the reference frameworks warn about their own formats and their own age
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated"),
    pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected"),
]

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/formats.md"

MODELS = {
    "keras2.h5": ("Keras 2 `.h5`, Sequential CNN", 1e-5),
    "keras3.h5": ("Keras 3 `.h5`, Sequential CNN", 1e-5),
    "keras2.keras": ("Keras 2 `.keras`, Sequential CNN", 1e-5),
    "keras3.keras": ("Keras 3 `.keras`, Sequential CNN", 1e-5),
    "mobilenetv2.h5": ("Keras 2 `.h5`, MobileNetV2", 1e-5),
    "mobilenetv2.keras": ("Keras 3 `.keras`, MobileNetV2", 1e-5),
    "resnet50.keras": ("Keras 3 `.keras`, ResNet50", 1e-5),
    "frozen-tf1": ("Frozen graph, TF 1", 1e-5),
    "frozen-tf2": ("Frozen graph, TF 2", 1e-5),
    "saved-tf1": ("SavedModel, TF 1", 1e-5),
    "saved-keras2": ("SavedModel, TF 2 by Keras 2", 1e-5),
    "saved-keras3": ("SavedModel, TF 2 by Keras 3", 1e-5),
    "float.tflite": ("TFLite, float32", 1e-5),
    "uint8.tflite": ("TFLite, uint8 in and out", 1.01 / 256),
    "int8.tflite": ("TFLite, int8 in and out", 1.01 / 256),
    "nchw-free.onnx": ("ONNX, NCHW, free batch", 1e-5),
    "nchw-fixed.onnx": ("ONNX, NCHW, batch of 1", 1e-5),
    "nhwc-free.onnx": ("ONNX, NHWC, free batch", 1e-5),
    "nhwc-fixed.onnx": ("ONNX, NHWC, batch of 4", 1e-5),
    "openvino.xml": ("OpenVINO IR", 1e-5),
}
"""Model -> how the page calls it, and the largest difference of a score that is right."""


@dataclass(frozen=True)
class Row:
    """One line of the page."""

    file: str
    format: str
    engine: str
    reference: str
    difference: float
    allowed: float
    first_labels: str

    def markdown(self) -> str:
        """The line as a row of the page's table."""
        return (
            f"| {self.file} | {self.format} | {self.engine} | {self.reference} | "
            f"{self.difference:.1e} | {self.allowed:.0e} | {self.first_labels} |"
        )


@pytest.fixture(scope="module")
def page() -> Iterator[list[Row]]:
    """Collects rows, and writes the page when asked to."""
    rows: list[Row] = []
    yield rows
    if os.environ.get("TINTYPE_WRITE_FORMATS"):
        PAGE.write_text(_page(rows))


def _page(rows: list[Row]) -> str:
    return "\n".join(
        [
            "# Model formats",
            "",
            "What Tintype reads, and how its answers compare with the file's own framework.",
            "Made by a test run: `make formats`. The same test fails where a difference grows past",
            "the one allowed. The difference is the largest of any score over a batch of three.",
            "",
            "| model | format | engine | compared with | difference | allowed | first label |",
            "| --- | --- | --- | --- | --: | --: | --- |",
            *(row.markdown() for row in rows),
            "",
        ]
    )


def ours(plan: ModelPlan, batch: np.ndarray) -> np.ndarray:
    """The engine's answer to N x H x W x C."""
    fed = batch.transpose(0, 3, 1, 2) if plan.target.layout is Layout.NCHW else batch
    engine = load(plan.description.graph, engine=plan.engine)
    try:
        return engine.run(np.ascontiguousarray(fed.astype(plan.target.tensor.dtype)))[0]
    finally:
        engine.close()


def random_pictures(plan: ModelPlan, scale: float) -> np.ndarray:
    shape = (3, plan.target.height, plan.target.width, plan.target.channels)
    pictures = np.random.default_rng(0).uniform(0, scale, shape)
    if plan.target.tensor.dtype != "float32":
        low = np.iinfo(plan.target.tensor.dtype).min
        return (pictures + low).astype(plan.target.tensor.dtype)
    return pictures.astype(np.float32)


@pytest.mark.parametrize("name", [*MODELS])
def test_a_built_model_answers_as_its_framework(name: str, build: Callable, page: list[Row]):
    """Loaded without the framework, every score is as the framework's own."""
    title, allowed = MODELS[name]
    built = build(name)
    plan = plan_model(bare_card(built.path))
    batch = random_pictures(plan, built.scale)
    expected = built.answer(batch)
    assert np.ptp(expected) > 0.05, "the model answers the same for all classes: nothing to compare"
    difference = float(np.abs(ours(plan, batch) - expected).max())
    page.append(
        Row(
            file=title,
            format=plan.description.format.value,
            engine=plan.engine,
            reference=built.engine,
            difference=difference,
            allowed=allowed,
            first_labels="random weights",
        )
    )
    assert difference <= allowed


def _tensorflow_graph(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef()
    definition.ParseFromString(path.read_bytes())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")

    def answer(batch: np.ndarray) -> np.ndarray:
        with tf.compat.v1.Session(graph=graph) as session:
            return np.concatenate(
                [session.run("final_result:0", {"input:0": row[None]}) for row in batch]
            )

    return answer


def _keras_2(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    import tf_keras

    model = tf_keras.models.load_model(path, compile=False)
    return lambda batch: model.predict(batch, verbose=0)


def _litert(path: Path, output: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    taken = interpreter.get_output_details()[output]

    def one(row: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], row[None])
        interpreter.invoke()
        raw = interpreter.get_tensor(taken["index"])[0].astype(np.float32)
        scale, zero = taken["quantization"]
        return (raw - zero) * scale if scale else raw

    return lambda batch: np.stack([one(row) for row in batch])


REAL = {
    "teachable-machine/keras_model.h5": (_keras_2, "Keras 2", 1e-5, ["burger.jpg"]),
    "glasses-frozen-graph/retrained_graph.pb": (
        _tensorflow_graph,
        "TensorFlow",
        1e-5,
        ["cat_720p.jpg"],
    ),
    "imagenet-mobilenet-v1-float/model.tflite": (
        _litert,
        "LiteRT",
        1e-5,
        ["burger.jpg", "parrot.jpg", "cat_720p.jpg"],
    ),
    "imagenet-mobilenet-v2-quant/model.tflite": (
        _litert,
        "LiteRT",
        1.01 / 255,
        ["burger.jpg", "parrot.jpg", "cat_720p.jpg"],
    ),
    "coco-ssd/model.tflite": (_litert, "LiteRT", 1e-5, ["cats_and_dogs.jpg"]),
}


@pytest.mark.parametrize("name", [*REAL])
def test_a_real_file_answers_as_its_framework(name: str, data_folder: Path, page: list[Row]):
    """The files of strangers, on pictures made of noise, and on known pictures."""
    pytest.importorskip("tf_keras", reason="the reference framework is not installed")
    reference, reference_name, allowed, pictures = REAL[name]
    path = data_folder / "models" / name
    plan = plan_model(bare_card(path))
    batch = random_pictures(plan, 255.0 if plan.target.tensor.dtype == "uint8" else 1.0)
    difference = float(np.abs(ours(plan, batch) - reference(path)(batch)).max())
    page.append(
        Row(
            file=f"`{name}`",
            format=plan.description.format.value,
            engine=plan.engine,
            reference=reference_name,
            difference=difference,
            allowed=allowed,
            first_labels="; ".join(
                _first_label(path, data_folder / "images" / picture) for picture in pictures
            ),
        )
    )
    assert difference <= allowed


def _first_label(model: Path, picture: Path) -> str:
    run = CliRunner().invoke(build_app("predict"), ["predict", str(model), str(picture), "--json"])
    assert 0 == run.exit_code, run.stderr
    result = json.loads(run.stdout)["results"][0]
    best = (result["labels"] or result["boxes"])[0]
    return f"{picture.name}: {best['label']} {best['score']:.2f}"


def test_every_model_is_on_the_page():
    """The committed page names every model tested here."""
    text = PAGE.read_text()
    missing = [t for t in [*REAL, *(title for title, _ in MODELS.values())] if t not in text]
    assert [] == missing
