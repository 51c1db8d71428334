"""Biases of convolutions as additions of their own, the last thing done to a graph.

OpenVINO's ONNX reader works out the shape of each bias by nine operations, which it then has to
fold away again: three quarters of MobileNetV2's graph, and a quarter of the time from the file to
a compiled graph. An addition is one operation, and engines put it into the convolution all the
same, with the same numbers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy.typing as npt

from tintype.modelfiles.keras.onnx_wire import Node, OnnxGraph


def biases_apart(graph: OnnxGraph) -> OnnxGraph:
    """``graph`` with the same answers, in which no convolution has a constant bias."""
    constants = dict(graph.constants)
    taken = {*constants, *(name for node in graph.nodes for name in node.outputs)}
    nodes: list[Node] = []
    for node in graph.nodes:
        bias = node.inputs[2] if node.op == "Conv" and len(node.inputs) > 2 else ""
        kernel = constants.get(node.inputs[1]) if bias in constants else None
        if kernel is None:
            nodes.append(node)
            continue
        spread = f"{bias}/{kernel.ndim - 2}d"
        constants.setdefault(spread, _spread(constants[bias], kernel.ndim))
        without = f"{node.outputs[0]}/without_bias"
        while without in taken:
            without += "_"
        taken.add(without)
        nodes.append(replace(node, inputs=node.inputs[:2], outputs=(without,)))
        nodes.append(
            Node(op="Add", name=without, inputs=(without, spread), outputs=node.outputs[:1])
        )
    used = {name for node in nodes for name in node.inputs}
    kept = {name: array for name, array in constants.items() if name in used}
    return replace(graph, nodes=nodes, constants=kept)


def _spread(bias: npt.NDArray[Any], rank: int) -> npt.NDArray[Any]:
    """One number a channel, along axis 1 of ``rank``."""
    return bias.reshape(1, -1, *[1] * (rank - 2))
