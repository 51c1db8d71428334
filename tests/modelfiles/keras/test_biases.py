"""A bias that stands apart changes no answer; onnx' own evaluator is the judge."""

from __future__ import annotations

import numpy as np
import pytest

from tintype.modelfiles.keras.biases import biases_apart
from tintype.modelfiles.keras.onnx_wire import Node, OnnxGraph, Port, encode_model

onnx = pytest.importorskip("onnx")
reference = pytest.importorskip("onnx.reference")

_RANDOM = np.random.default_rng(3)
_PICTURES = _RANDOM.uniform(-1, 1, (2, 3, 8, 6)).astype(np.float32)


def _conv(inputs: str, output: str) -> Node:
    return Node(
        op="Conv",
        name=output,
        inputs=tuple(inputs.split()),
        outputs=(output,),
        attributes={"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)},
    )


def _graph(nodes: list[Node], *, outputs: tuple[str, ...]) -> OnnxGraph:
    return OnnxGraph(
        name="test",
        nodes=nodes,
        constants={
            "kernel": _RANDOM.uniform(-1, 1, (3, 3, 3, 3)).astype(np.float32),
            "bias": _RANDOM.uniform(-1, 1, 3).astype(np.float32),
        },
        inputs=[Port(name="x", dtype="float32", shape=(None, 3, 8, 6))],
        outputs=[Port(name=name, dtype="float32", shape=(None, 3, 8, 6)) for name in outputs],
    )


def _answers(graph: OnnxGraph) -> list[np.ndarray]:
    model = onnx.load_from_string(encode_model(graph, producer="test"))
    onnx.checker.check_model(model, full_check=True)
    return list(reference.ReferenceEvaluator(model).run(None, {"x": _PICTURES}))


def _same_answers(graph: OnnxGraph) -> list[str]:
    """The operations once biases stand apart; the answers must be the same."""
    apart = biases_apart(graph)
    for expected, actual in zip(_answers(graph), _answers(apart), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=2e-6)
    return [node.op for node in apart.nodes]


def test_a_bias_is_added_behind_the_convolution():
    """The tensor that others read is the sum."""
    graph = _graph([_conv("x kernel bias", "y")], outputs=("y",))
    assert ["Conv", "Add"] == _same_answers(graph)
    assert {"kernel", "bias/2d"} == set(biases_apart(graph).constants)


def test_a_bias_of_two_convolutions_is_kept_once():
    """A layer that is called twice has one bias."""
    nodes = [_conv("x kernel bias", "once"), _conv("once kernel bias", "y")]
    graph = _graph(nodes, outputs=("y",))
    assert ["Conv", "Add", "Conv", "Add"] == _same_answers(graph)
    assert {"kernel", "bias/2d"} == set(biases_apart(graph).constants)


def test_a_name_that_is_taken_is_left_alone():
    """Names are the model's author's."""
    nodes = [_conv("x kernel bias", "y"), _conv("x kernel", "y/without_bias")]
    graph = _graph(nodes, outputs=("y", "y/without_bias"))
    assert ["Conv", "Add", "Conv"] == _same_answers(graph)


def test_a_convolution_without_a_bias_stays():
    """There is nothing to do."""
    assert ["Conv"] == _same_answers(_graph([_conv("x kernel", "y")], outputs=("y",)))
