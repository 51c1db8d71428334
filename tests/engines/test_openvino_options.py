"""Precision and batches of OpenVINO: what was asked for, what is told, and the same answers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tintype.engines.catalog import load
from tintype.engines.engine import EngineOptions
from tintype.engines.processor import processor
from tintype.errors import SettingsError
from tintype.types import Format, Graph, TensorSpec

RNG = np.random.default_rng(5)


def graph_of(*, mixing: bool = False) -> Graph:
    """A dense layer and a softmax on N x 12; ``mixing`` takes the mean over the batch off."""
    constants = [numpy_helper.from_array(RNG.normal(size=(12, 5)).astype(np.float32), "w")]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["logits"])]
    if mixing:
        constants.append(numpy_helper.from_array(np.array([0], np.int64), "axes"))
        nodes += [
            helper.make_node("ReduceMean", ["logits", "axes"], ["mean"]),
            helper.make_node("Sub", ["logits", "mean"], ["apart"]),
        ]
    last = "apart" if mixing else "logits"
    nodes.append(helper.make_node("Softmax", [last], ["scores"], axis=1))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 12])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 5])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return Graph(
        format=Format.ONNX,
        source=model.SerializeToString(),
        input=TensorSpec(name="x", shape=(None, 12)),
        outputs=(TensorSpec(name="scores", shape=(None, 5)),),
    )


@pytest.mark.parametrize("rows", [1, 4, 7])
def test_batches_answer_as_single_pictures(rows: int):
    """Any number goes; whole parts run together."""
    graph = graph_of()
    batch = RNG.normal(size=(rows, 12)).astype(np.float32)
    alone, together = load(graph), load(graph, options=EngineOptions(batch=4, streams=2))
    np.testing.assert_allclose(alone.run(batch)[0], together.run(batch)[0], atol=1e-6)
    assert (1, None, 2) == (alone.batch_size, together.batch_size, together.streams)


def test_a_graph_whose_rows_mix_is_never_run_in_batches():
    """Each picture's answer is its own."""
    engine = load(graph_of(mixing=True), options=EngineOptions(batch=4))
    assert 1 == engine.batch_size


def test_bf16_is_told_only_where_it_is_computed():
    """A processor without it gets f32, and the engine says so."""
    engine = load(graph_of(), options=EngineOptions(precision="bf16"))
    assert ("bf16" if processor().has_bf16 else "f32") == engine.precision
    assert "f32" == load(graph_of()).precision


@pytest.mark.parametrize("options", [{"precision": "f8"}, {"batch": 0}, {"batch": 1000}])
def test_options_out_of_range_are_refused(options: dict):
    """With the setting's name."""
    with pytest.raises(SettingsError, match=rf"engine\.{next(iter(options))}"):
        EngineOptions(**options)
