"""Small ONNX graphs for the engines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tintype.types import Format, Graph, TensorSpec


@pytest.fixture
def onnx_graph() -> Callable[..., Graph]:
    """Make a graph from nodes: one input ``x``, outputs by name and shape, integer constants."""

    def make(
        nodes: Sequence[object],
        *,
        shape: tuple[int | None, ...] = (1, 3, 16, 16),
        outputs: dict[str, tuple[int | None, ...]],
        constants: dict[str, np.ndarray] | None = None,
    ) -> Graph:
        sides = [f"free{axis}" if side is None else side for axis, side in enumerate(shape)]
        graph = helper.make_graph(
            list(nodes),
            "made",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, sides)],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["free", *sides_of[1:]])
                for name, sides_of in outputs.items()
            ],
            [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
        )
        opset = [helper.make_opsetid("", 18)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=9)
        return Graph(
            format=Format.ONNX,
            source=model.SerializeToString(),
            input=TensorSpec(name="x", shape=shape),
            outputs=tuple(TensorSpec(name=name, shape=size) for name, size in outputs.items()),
        )

    return make
