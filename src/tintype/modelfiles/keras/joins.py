"""Rules that join operations which only move numbers, or put zeros around them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tintype.modelfiles.keras.draft import Draft
from tintype.modelfiles.keras.onnx_wire import Node

_HANDS_ON = frozenset({"Identity", "Dropout"})
_NEVER_NEGATIVE = frozenset({"Relu", "Sigmoid", "HardSigmoid", "Softplus", "Softmax", "Exp"})


def drop_idle(draft: Draft, node: Node) -> Node | None:
    """Operations that hand their tensor on, and transposes that move nothing."""
    perm = node.attributes.get("perm")
    idle = node.op in _HANDS_ON or (
        node.op == "Transpose" and isinstance(perm, tuple) and perm == tuple(range(len(perm)))
    )
    return None if idle and draft.stand_for(node.outputs[0], node.inputs[0]) else node


def join_transposes(draft: Draft, node: Node) -> Node | None:
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
    return drop_idle(draft, joined)


def join_reshapes(draft: Draft, node: Node) -> Node:
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


def join_pad(draft: Draft, node: Node) -> Node:
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


def _pad_before_pool(draft: Draft, node: Node, pad: Node, margins: npt.NDArray[Any]) -> Node:
    """The zeros may win in a maximum; only behind a ReLU they are as good as a pool's padding.

    ONNX Runtime (``core/optimizer/pad_fusion.cc``, seen in 1.31) makes any padding with zeros the
    pool's own, which is wrong below zero. It looks at the bytes of the value: minus zero it leaves.
    """
    kernel = np.asarray(node.attributes.get("kernel_shape", ()), np.int64)
    joins = draft.only_for_one(node.inputs[0]) and (margins < np.tile(kernel, 2)).all()
    if joins and draft.made_by(pad.inputs[0], _NEVER_NEGATIVE) is not None:
        return _with_pads(node, pad, margins)
    minus_zero = draft.constant(np.asarray(-0.0, np.float32), f"{pad.name}/zero")
    draft.rewrite(pad, replace(pad, inputs=(*pad.inputs, minus_zero)))
    return node


def _margins(draft: Draft, pad: Node) -> npt.NDArray[Any] | None:
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


def flatten_in_order(draft: Draft, node: Node) -> Node:
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
