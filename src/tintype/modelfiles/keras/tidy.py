"""The graph as an expert would write it by hand: the same numbers, fewer operations.

One sweep in running order. Each rule looks at one operation and what feeds it, and either absorbs
it into what is there already or hands on a simpler one; what nothing needs afterwards is dropped.
Arithmetic before the first convolution stays as it is: paddings there make it part of the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tintype.modelfiles.keras.draft import Draft
from tintype.modelfiles.keras.fold import fold_affine
from tintype.modelfiles.keras.joins import (
    drop_idle,
    flatten_in_order,
    join_pad,
    join_reshapes,
    join_transposes,
)
from tintype.modelfiles.keras.onnx_wire import Node, OnnxGraph
from tintype.types import Shape

_MOST_FOLDED = 1 << 16
"""Constants worked out here stay small: a graph of few bytes must not grow by broadcasting."""

_COMPUTED: Mapping[str, Callable[..., Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Neg": np.negative,
    "Sqrt": np.sqrt,
    "Exp": np.exp,
}
"""Operations on constants alone that are worked out while the graph is written."""


_Rule: TypeAlias = Callable[[Draft, Node], Node | None]
"""Returns the operation, perhaps a simpler one, or None where it was absorbed."""


def tidy(graph: OnnxGraph, shapes: Mapping[str, Shape]) -> OnnxGraph:
    """``graph`` with the same answers and fewer operations; names of inputs and outputs stay.

    ``shapes``: what is known of tensors inside, as they lie in the graph.
    """
    outputs = frozenset(port.name for port in graph.outputs)
    nodes = _needed(graph.nodes, outputs)
    draft = Draft(
        constants=dict(graph.constants),
        outputs=outputs,
        shapes=shapes,
        uses=Counter([name for node in nodes for name in node.inputs]) + Counter(outputs),
    )
    with np.errstate(all="ignore"):  # what is not finite is looked for, and not folded
        for node in nodes:
            _sweep(draft, node)
    kept = _needed(list(draft.placed.values()), outputs)
    used = {name for node in kept for name in node.inputs}
    constants = {name: array for name, array in draft.constants.items() if name in used}
    return replace(graph, nodes=kept, constants=constants)


def _sweep(draft: Draft, node: Node) -> None:
    current: Node | None = replace(
        node, inputs=tuple(draft.alias.get(name, name) for name in node.inputs)
    )
    for rule in _RULES:
        if current is not None:
            current = rule(draft, current)
    if current is not None:
        draft.place(current)


def _needed(nodes: Sequence[Node], outputs: frozenset[str]) -> list[Node]:
    """The operations that ``outputs`` are computed from, in order."""
    wanted = set(outputs)
    kept: list[Node] = []
    for node in reversed(nodes):
        if not wanted.isdisjoint(node.outputs):
            wanted.update(node.inputs)
            kept.append(node)
    return kept[::-1]


def _compute(draft: Draft, node: Node) -> Node | None:
    """Operations on constants alone."""
    if not node.inputs or any(name not in draft.constants for name in node.inputs):
        return node
    arrays = [draft.constants[name] for name in node.inputs]
    shape = np.broadcast_shapes(*(array.shape for array in arrays)) if _spreads(arrays) else None
    if node.op not in _COMPUTED or shape is None or int(np.prod(shape)) > _MOST_FOLDED:
        return node
    if node.outputs[0] in draft.outputs or any(array.dtype != np.float32 for array in arrays):
        return node
    draft.constants[node.outputs[0]] = np.asarray(_COMPUTED[node.op](*arrays), np.float32)
    return None


def _spreads(arrays: list[npt.NDArray[Any]]) -> bool:
    try:
        np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        return False
    return True


_RULES: tuple[_Rule, ...] = (
    drop_idle,
    _compute,
    join_transposes,
    join_reshapes,
    join_pad,
    flatten_in_order,
    fold_affine,
)
