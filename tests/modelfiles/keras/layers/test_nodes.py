"""TensorFlowOpLayer of tf.keras 2.0 to 2.3: one TensorFlow operation with its constants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tintype.errors import ModelFileDamaged, UnsupportedModel
from tintype.types import Activation

FLOAT = {"T": {"type": "DT_FLOAT"}}
X = np.random.default_rng(5).uniform(-4, 4, (2, 6, 5, 4)).astype(np.float32)

NODES: dict[str, tuple[dict[str, Any], dict[str, Any], Any]] = {
    "RealDiv": (FLOAT, {"1": 127.5}, lambda x: x / 127.5),
    "Sub": (FLOAT, {"0": 1.0}, lambda x: 1 - x),
    "AddV2": (FLOAT, {"1": [0.1, 0.2, 0.3, 0.4]}, lambda x: np.add(x, [0.1, 0.2, 0.3, 0.4])),
    "Relu6": (FLOAT, {}, lambda x: np.clip(x, 0, 6)),
    "LeakyRelu": ({"alpha": {"f": 0.1}}, {}, lambda x: np.where(x > 0, x, 0.1 * x)),
    "Mean": (
        {"keep_dims": {"b": True}},
        {"1": {"type": "ndarray", "value": [1, 2]}},
        lambda x: x.mean((1, 2), keepdims=True),
    ),
    "Transpose": (FLOAT, {"1": [0, 2, 1, 3]}, lambda x: x.transpose(0, 2, 1, 3)),
    "Reshape": (FLOAT, {"1": [-1, 30, 4]}, lambda x: x.reshape(-1, 30, 4)),
    "Pad": (FLOAT, {"1": [[0, 0], [1, 0], [0, 2], [0, 0]]},
            lambda x: np.pad(x, [[0, 0], [1, 0], [0, 2], [0, 0]])),
    "MirrorPad": ({"mode": {"s": "UkVGTEVDVA=="}}, {"1": [[0, 0], [1, 0], [0, 2], [0, 0]]},
                  lambda x: np.pad(x, [[0, 0], [1, 0], [0, 2], [0, 0]], mode="reflect")),
    "ClipByValue": (FLOAT, {"1": -1.0, "2": 2.0}, lambda x: np.clip(x, -1, 2)),
    "GatherV2": (FLOAT, {"1": [2, 0], "2": 3}, lambda x: x[..., [2, 0]]),
    "ConcatV2": ({"N": {"i": "2"}}, {"1": 3}, lambda x: x),
    "StridedSlice": (
        {"begin_mask": {"i": "9"}, "end_mask": {"i": "9"}, "shrink_axis_mask": {"i": "4"}},
        {"1": [0, 1, 2, 0], "2": [0, 4, 3, 0], "3": [1, 1, 1, 2]},
        lambda x: x[:, 1:4, 2, ::2],
    ),
    "Cast": ({"DstT": {"type": "DT_INT32"}}, {}, np.trunc),
    "ExpandDims": (FLOAT, {"1": 1}, lambda x: x[:, None]),
}  # fmt: skip


def _layer(op: str, attributes: Any, constants: Any, *, text: bool = False) -> dict[str, Any]:
    node = {"name": op, "op": op, "input": ["picture"], "attr": attributes}
    return {
        "class_name": "TensorFlowOpLayer",
        "config": {
            "name": op,
            "trainable": True,
            "dtype": "float32",
            "node_def": json.dumps(node) if text else node,
            "constants": constants,
        },
    }


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("op", NODES)
def test_operation(op, text, old_file, describe, run_openvino) -> None:
    """An operation with its constants answers as its formula; its node may be JSON as a text."""
    attributes, constants, formula = NODES[op]
    path: Path = old_file(_layer(op, attributes, constants, text=text))

    expected = np.asarray(formula(X.astype(np.float64))).reshape(2, -1)

    np.testing.assert_allclose(run_openvino(describe(path), X), expected, rtol=1e-5, atol=1e-5)


def test_softmax_is_the_closing_activation(old_file, describe) -> None:
    """Scores that are probabilities already are not made so again."""
    mean = _layer("Mean", {}, {"1": [1, 2]})
    softmax = _layer("Softmax", FLOAT, {})
    softmax["config"]["name"] = "probabilities"

    assert Activation.SOFTMAX == describe(old_file(mean, softmax)).output.activation


def test_an_unknown_operation_is_refused(old_file, describe) -> None:
    """By its name."""
    with pytest.raises(UnsupportedModel, match="'Betainc'"):
        describe(old_file(_layer("Betainc", {}, {})))


@pytest.mark.parametrize("constants", [{"x": 1}, {"-1": 1}, [1], {"5000": 1}])
def test_damaged_constants(constants, old_file, describe) -> None:
    """Places of constants are small whole numbers."""
    with pytest.raises(ModelFileDamaged):
        describe(old_file(_layer("Mul", {}, constants)))


def test_scaling_inside_the_model_is_seen(old_file, describe) -> None:
    """What the model does to its picture is told, so that nobody does it once more."""
    half = _layer("RealDiv", FLOAT, {"1": 127.5})
    shift = _layer("Sub", FLOAT, {"1": 1.0})
    description = describe(old_file(half, shift))

    affine = description.evidence.affine

    assert affine is not None
    np.testing.assert_allclose(affine.scale, [1 / 127.5] * 4)
    np.testing.assert_allclose(affine.offset, [-1.0] * 4)
