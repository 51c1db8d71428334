"""The graph as an expert would write it by hand: the same numbers, fewer operations.

One sweep in running order. Each rule looks at one operation and what feeds it, and either absorbs
it into what is there already or hands on a simpler one; what nothing needs afterwards is dropped.
Arithmetic before the first convolution stays as it is: paddings there make it part of the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tintype.modelfiles.keras.fold import Affine, batch_affine_of, channel_affine, scaled_kernel
from tintype.modelfiles.keras.onnx_wire import Node, OnnxGraph
from tintype.types import Shape

_HANDS_ON = frozenset({"Identity", "Dropout"})
_LINEAR = frozenset({"Conv", "ConvTranspose", "Gemm"})
_AFFINE = frozenset({"BatchNormalization", "Mul", "Div", "Add", "Sub"})
_NEVER_NEGATIVE = frozenset({"Relu", "Sigmoid", "HardSigmoid", "Softplus", "Softmax", "Exp"})
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


@dataclass(slots=True)
class _Draft:
    """The graph while it is swept. ``uses`` counts the readers of a tensor, outputs included."""

    constants: dict[str, npt.NDArray[Any]]
    outputs: frozenset[str]
    shapes: Mapping[str, Shape]
    uses: Counter[str]
    placed: dict[str, Node] = field(default_factory=dict)
    maker: dict[str, str] = field(default_factory=dict)
    alias: dict[str, str] = field(default_factory=dict)

    def made_by(self, name: str, kinds: frozenset[str]) -> Node | None:
        """The operation of one of ``kinds`` that makes ``name``; None where it is another."""
        key = self.maker.get(name)
        node = None if key is None else self.placed[key]
        return node if node is not None and node.op in kinds else None

    def only_for_one(self, name: str) -> bool:
        """Whether ``name`` is read once, and is no answer of the graph."""
        return self.uses[name] == 1 and name not in self.outputs

    def place(self, node: Node) -> None:
        """Put an operation at the end."""
        self.placed[node.outputs[0]] = node
        for name in node.outputs:
            self.maker[name] = node.outputs[0]

    def rewrite(self, old: Node, new: Node) -> None:
        """Put ``new`` where ``old`` stood; it may make a tensor of another name."""
        key = self.maker[old.outputs[0]]
        self.placed[key] = new
        for name in new.outputs:
            self.maker[name] = key

    def stand_for(self, name: str, source: str) -> bool:
        """Let readers of ``name`` read ``source``; False where ``name`` must be made."""
        if name in self.outputs:
            return False
        self.alias[name] = source
        self.uses[source] += self.uses[name] - 1
        return True

    def constant(self, array: npt.NDArray[Any], wanted: str) -> str:
        """Keep a new constant under a name of its own."""
        name = wanted
        while name in self.constants or name in self.maker or name in self.uses:
            name += "_"
        self.constants[name] = array
        self.uses[name] = 1
        return name


_Rule: TypeAlias = Callable[[_Draft, Node], Node | None]
"""Returns the operation, perhaps a simpler one, or None where it was absorbed."""


def tidy(graph: OnnxGraph, shapes: Mapping[str, Shape]) -> OnnxGraph:
    """``graph`` with the same answers and fewer operations; names of inputs and outputs stay.

    ``shapes``: what is known of tensors inside, as they lie in the graph.
    """
    outputs = frozenset(port.name for port in graph.outputs)
    nodes = _needed(graph.nodes, outputs)
    draft = _Draft(
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


def _sweep(draft: _Draft, node: Node) -> None:
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


def _drop_idle(draft: _Draft, node: Node) -> Node | None:
    """Operations that hand their tensor on, and transposes that move nothing."""
    perm = node.attributes.get("perm")
    idle = node.op in _HANDS_ON or (
        node.op == "Transpose" and isinstance(perm, tuple) and perm == tuple(range(len(perm)))
    )
    return None if idle and draft.stand_for(node.outputs[0], node.inputs[0]) else node


def _compute(draft: _Draft, node: Node) -> Node | None:
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


def _join_transposes(draft: _Draft, node: Node) -> Node | None:
    """Two transposes in a row are one."""
    before = draft.made_by(node.inputs[0], frozenset({"Transpose"})) if node.inputs else None
    if node.op != "Transpose" or before is None:
        return node
    first, second = before.attributes["perm"], node.attributes["perm"]
    if not isinstance(first, tuple) or not isinstance(second, tuple):
        return node
    perm = tuple(int(first[int(axis)]) for axis in second)
    draft.uses[node.inputs[0]] -= 1
    draft.uses[before.inputs[0]] += 1
    joined = replace(node, inputs=before.inputs, attributes={"perm": perm})
    return _drop_idle(draft, joined)


def _join_reshapes(draft: _Draft, node: Node) -> Node:
    """Of reshapes in a row only the last counts, where its zeros still mean the batch axis."""
    before = draft.made_by(node.inputs[0], frozenset({"Reshape"})) if node.inputs else None
    if node.op != "Reshape" or before is None or node.attributes or before.attributes:
        return node
    target, first = (draft.constants.get(each.inputs[1]) for each in (node, before))
    if target is None or first is None or (target[1:] == 0).any():
        return node
    if not first.size or not target.size or (target[0] == 0 and first[0] != 0):
        return node
    draft.uses[node.inputs[0]] -= 1
    draft.uses[before.inputs[0]] += 1
    return replace(node, inputs=(before.inputs[0], node.inputs[1]))


def _join_pad(draft: _Draft, node: Node) -> Node:
    """Zeros put around a picture are the convolution's own padding."""
    pad = draft.made_by(node.inputs[0], frozenset({"Pad"})) if node.inputs else None
    margins = None if pad is None else _margins(draft, pad)
    if pad is None or margins is None or "auto_pad" in node.attributes:
        return node
    if node.op == "Conv" and draft.only_for_one(node.inputs[0]):
        return _with_pads(node, pad, margins)
    if node.op == "MaxPool":
        return _pad_before_pool(draft, node, pad, margins)
    return node


def _pad_before_pool(draft: _Draft, node: Node, pad: Node, margins: npt.NDArray[Any]) -> Node:
    """The zeros may win in a maximum; only behind a ReLU they are as good as a pool's padding.

    ONNX Runtime (1.17 to 1.31, ``core/optimizer/pad_fusion.cc``) makes any padding with zeros the
    pool's own, which is wrong below zero. It looks at the bytes of the value: minus zero it leaves.
    """
    kernel = np.asarray(node.attributes.get("kernel_shape", ()), np.int64)
    joins = draft.only_for_one(node.inputs[0]) and (margins < np.tile(kernel, 2)).all()
    if joins and draft.made_by(pad.inputs[0], _NEVER_NEGATIVE) is not None:
        return _with_pads(node, pad, margins)
    minus_zero = draft.constant(np.asarray(-0.0, np.float32), f"{pad.name}/zero")
    draft.rewrite(pad, replace(pad, inputs=(*pad.inputs, minus_zero)))
    return node


def _margins(draft: _Draft, pad: Node) -> npt.NDArray[Any] | None:
    """What ``pad`` puts before and behind each spatial axis; None where it is no plain padding."""
    margins = draft.constants.get(pad.inputs[1])
    if pad.attributes or len(pad.inputs) != 2 or margins is None or margins.size < 6:
        return None  # another mode or another value
    begins, ends = margins.reshape(2, -1)
    if begins[:2].any() or ends[:2].any() or margins.min() < 0:
        return None
    return np.concatenate([begins[2:], ends[2:]])


def _with_pads(node: Node, pad: Node, margins: npt.NDArray[Any]) -> Node:
    own = np.asarray(node.attributes.get("pads", (0,) * margins.size), np.int64)
    return replace(
        node,
        inputs=(pad.inputs[0], *node.inputs[1:]),
        attributes={**node.attributes, "pads": tuple((own + margins).tolist())},
    )


def _flatten_in_order(draft: _Draft, node: Node) -> Node:
    """A transpose before a Flatten and a Dense becomes another order of the Dense's rows."""
    flat = draft.made_by(node.inputs[0], frozenset({"Reshape"})) if node.inputs else None
    if node.op != "Gemm" or node.attributes or flat is None:
        return node
    moved = draft.made_by(flat.inputs[0], frozenset({"Transpose"}))
    if moved is None or not all(map(draft.only_for_one, (node.inputs[0], flat.inputs[0]))):
        return node
    kernel, target = draft.constants.get(node.inputs[1]), draft.constants.get(flat.inputs[1])
    sizes = draft.shapes.get(moved.inputs[0], (None,))[1:]
    perm = moved.attributes["perm"]
    if kernel is None or target is None or target.size != 2 or target[0] != 0:
        return node
    if draft.uses[node.inputs[1]] != 1 or not isinstance(perm, tuple) or perm[0] != 0:
        return node
    lengths = [length for length in sizes if length is not None]
    if len(lengths) != len(perm) - 1 or np.prod(lengths, dtype=np.int64) != kernel.shape[0]:
        return node
    axes = [int(axis) - 1 for axis in perm[1:]]
    rows = kernel.reshape(*(lengths[axis] for axis in axes), kernel.shape[1])
    back = np.transpose(rows, (*np.argsort(axes), len(axes)))
    draft.constants[node.inputs[1]] = np.ascontiguousarray(back).reshape(kernel.shape)
    draft.rewrite(flat, replace(flat, inputs=(moved.inputs[0], flat.inputs[1])))
    return node


def _fold_affine(draft: _Draft, node: Node) -> Node | None:
    """Batch normalisation, or a factor or offset a channel, goes into the kernel before it."""
    if node.op not in _AFFINE or not node.inputs:
        return node
    data = next((name for name in node.inputs if name not in draft.constants), "")
    linear = draft.made_by(data, _LINEAR)
    if linear is None or not draft.only_for_one(data):
        return node
    kernel = draft.constants.get(linear.inputs[1])
    if kernel is None or draft.uses[linear.inputs[1]] != 1:
        return node  # a layer called twice keeps its kernel once
    affine = _affine_of(draft, node, linear, kernel)
    folded = None if affine is None else _folded(draft, linear, kernel, affine)
    if folded is None:
        return node
    draft.rewrite(linear, replace(folded, outputs=node.outputs))
    return None


def _affine_of(draft: _Draft, node: Node, linear: Node, kernel: npt.NDArray[Any]) -> Affine | None:
    """What ``node`` does to each channel that ``linear`` makes."""
    channels = _channels(linear, kernel)
    if channels is None:
        return None
    if node.op == "BatchNormalization":
        parts = [draft.constants.get(name) for name in node.inputs[1:5]]
        epsilon = node.attributes.get("epsilon", 1e-5)
        if any(part is None or part.shape != (channels,) for part in parts):
            return None
        return batch_affine_of(parts, float(epsilon) if isinstance(epsilon, int | float) else 0.0)
    if len(node.inputs) != 2 or (node.inputs[0] in draft.constants and node.op in {"Sub", "Div"}):
        return None
    number = next((draft.constants[name] for name in node.inputs if name in draft.constants), None)
    rank = 2 if linear.op == "Gemm" else kernel.ndim
    return None if number is None else channel_affine(node.op, number, channels, rank)


def _channels(linear: Node, kernel: npt.NDArray[Any]) -> int | None:
    if linear.op == "Gemm":
        return int(kernel.shape[1]) if not linear.attributes else None
    if linear.op == "Conv":
        return int(kernel.shape[0])
    return int(kernel.shape[1]) if linear.attributes.get("group", 1) == 1 else None


def _folded(draft: _Draft, linear: Node, kernel: npt.NDArray[Any], affine: Affine) -> Node | None:
    axis = 0 if linear.op == "Conv" else 1
    before = draft.constants.get(linear.inputs[2]) if len(linear.inputs) > 2 else None
    if len(linear.inputs) > 2 and before is None:
        return None
    weights = scaled_kernel(kernel, affine, axis)
    bias = affine.offset + affine.scale * (0.0 if before is None else before.astype(np.float64))
    narrow = bias.astype(np.float32)
    if weights is None or not np.isfinite(narrow).all():
        return None
    draft.constants[linear.inputs[1]] = weights
    name = draft.constant(narrow, f"{linear.name}/folded")
    return replace(linear, inputs=(*linear.inputs[:2], name))


_RULES: tuple[_Rule, ...] = (
    _drop_idle,
    _compute,
    _join_transposes,
    _join_reshapes,
    _join_pad,
    _flatten_in_order,
    _fold_affine,
)
