"""The graph written by hand, held to onnx' own reader."""

from __future__ import annotations

import numpy as np
import pytest

from tintype.modelfiles.keras.onnx_wire import Node, OnnxGraph, Port, encode_model

onnx = pytest.importorskip("onnx")


def encoded(**attributes: object) -> object:
    graph = OnnxGraph(
        name="g",
        nodes=[Node(op="Op", name="n", inputs=("x",), outputs=("y",), attributes=attributes)],
        constants={},
        inputs=[Port(name="x", dtype="float32", shape=(None, 3))],
        outputs=[Port(name="y", dtype="uint8", shape=(None, None))],
    )
    return onnx.load_from_string(encode_model(graph, producer="test")).graph


@pytest.mark.parametrize("value", [7, -1, 1 << 40, 0.25, "half_pixel", (1, -2, 3), (0.5, -1.5)])
def test_attribute(value) -> None:
    """Attributes come back as they went in."""
    attribute = encoded(key=value).node[0].attribute[0]
    actual = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, tuple):
        actual = tuple(actual)
    assert (value.encode() if isinstance(value, str) else value) == actual


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
        np.float32(2.5),
        np.zeros((0, 2), np.float32),
        np.array([1, -1, 1 << 62]),
        np.array([1.0], dtype=">f4"),
    ],
)
def test_constant(array) -> None:
    """Constants of any memory order, without axes, and empty."""
    graph = OnnxGraph(name="g", nodes=[], constants={"c": np.asarray(array)}, inputs=[], outputs=[])
    model = onnx.load_from_string(encode_model(graph, producer="test"))
    np.testing.assert_array_equal(
        np.asarray(array), onnx.numpy_helper.to_array(model.graph.initializer[0])
    )


def test_ports() -> None:
    """Free axes have names, the batch axis N."""
    graph = encoded()
    dims = graph.input[0].type.tensor_type.shape.dim
    assert ("N", 3) == (dims[0].dim_param, dims[1].dim_value)
    assert onnx.TensorProto.UINT8 == graph.output[0].type.tensor_type.elem_type
    assert "y_1" == graph.output[0].type.tensor_type.shape.dim[1].dim_param
