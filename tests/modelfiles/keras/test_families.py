"""The smallest of each family of ``keras.applications``, with weights under which pictures differ.

Small pictures and ten classes keep it short; ``make keras-proof`` runs all of them as they are.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]

FAMILIES = {
    # name: side of the picture
    "MobileNet": 64,
    "MobileNetV2": 64,
    "MobileNetV3Small": 64,
    "EfficientNetB0": 64,
    "EfficientNetV2B0": 64,
    "ResNet50": 64,
    "ResNet50V2": 64,
    "DenseNet121": 64,
    "NASNetMobile": 64,
    "InceptionV3": 80,
    "Xception": 75,
    "VGG16": 32,
    "ConvNeXtTiny": 32,
    "InceptionResNetV2": 80,
}


@pytest.fixture(scope="module")
def lively() -> ModuleType:
    """The weights of the proof in ``bench``."""
    spec = importlib.util.spec_from_file_location("lively", ROOT / "bench/lively.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FORMS = ("keras3.keras", "keras2.h5")
"""One a family, by turns: every form of each is compared in the proof."""


@pytest.mark.parametrize(
    ("name", "form"), [(name, FORMS[turn % 2]) for turn, name in enumerate(FAMILIES)]
)
def test_the_scores_are_the_frameworks_own(
    name, form, request, tmp_path: Path, lively, save, describe, run_openvino, run_onnxruntime
) -> None:
    """Within 1e-5 in both engines, on scores that differ at least a hundred times as much."""
    onnx = pytest.importorskip("onnx")
    framework, _, ending = form.partition(".")
    keras = request.getfixturevalue(framework)
    side = FAMILIES[name]
    build = getattr(keras.applications, name)
    # some random networks stretch rounding errors: against float64, Keras' own are then as large
    keras.utils.set_random_seed(1)
    model = lively.enliven(build(weights=None, classes=10, input_shape=(side, side, 3)))
    pictures = lively.pictures_for(model, 4)
    expected = np.asarray(model(pictures, training=False))

    description = describe(save(model, tmp_path / f"model.{ending}"))

    onnx.checker.check_model(onnx.load_from_string(description.graph.source), full_check=True)
    assert 1e-3 < np.ptp(expected, axis=0).max(), "the pictures must get different scores"
    for run in (run_openvino, run_onnxruntime):
        actual = run(description, pictures)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)
    graph = onnx.load_from_string(description.graph.source).graph
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param, "the batch axis must be free"
    assert not _unfolded(graph.node), "behind a convolution a normalisation is folded"
    moved = [line for line in description.operations if line.endswith("(Transpose)")]
    assert 1 == len(moved), "one transpose, at the picture input"


def _unfolded(nodes) -> list[str]:
    """Batch normalisations that alone read a convolution."""
    readers = Counter(name for node in nodes for name in node.input)
    convolutions = {node.output[0] for node in nodes if node.op_type == "Conv"}
    normalisations = [node for node in nodes if node.op_type == "BatchNormalization"]
    return [
        node.name
        for node in normalisations
        if node.input[0] in convolutions and readers[node.input[0]] == 1
    ]
