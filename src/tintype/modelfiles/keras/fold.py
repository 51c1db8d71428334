"""The rule that puts a factor and an offset a channel into the kernel before them.

Worked out in float64 and stored as float32: each weight is rounded once, as the engine would round
the product. Where that would not hold (a number too large or too small for float32) nothing is
folded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tintype.modelfiles.keras.draft import Draft
from tintype.modelfiles.keras.onnx_wire import Node
from tintype.types import Float32Array

_LINEAR = frozenset({"Conv", "ConvTranspose", "Gemm"})
_AFFINE = frozenset({"BatchNormalization", "Mul", "Div", "Add", "Sub"})

_SMALLEST = float(np.finfo(np.float32).tiny)
"""Below it float32 loses digits."""

_LARGEST = float(np.finfo(np.float32).max)

_BLOCK = 1 << 15
"""How many products are worked out at once: 256 KiB in float64."""


@dataclass(frozen=True, slots=True)
class Affine:
    """x * ``scale`` + ``offset``, float64, one number a channel."""

    scale: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]


def batch_affine_of(parts: Sequence[Any], epsilon: float) -> Affine:
    """A batch normalisation: ``parts`` are gamma, beta, mean and variance, one number a channel."""
    gamma, beta, mean, variance = (np.asarray(part, np.float64) for part in parts)
    # Engines hold epsilon as float32.
    scale = gamma / np.sqrt(variance + float(np.float32(epsilon)))
    return Affine(scale, beta - mean * scale)


def channel_affine(op: str, number: npt.NDArray[Any], channels: int, rank: int) -> Affine | None:
    """``Mul``, ``Div``, ``Add`` or ``Sub`` by ``number``, which spreads over ``rank`` axes.

    None where it is not one number, or one a channel (axis 1).
    """
    spread = (1,) * (rank - number.ndim) + number.shape
    if len(spread) != rank or spread not in {(1,) * rank, (1, channels, *(1,) * (rank - 2))}:
        return None
    each = np.broadcast_to(number.reshape(-1).astype(np.float64), (channels,))
    ones, zeros = np.ones(channels), np.zeros(channels)
    return {
        "Mul": lambda: Affine(each, zeros),
        "Div": lambda: Affine(1 / each, zeros),
        "Add": lambda: Affine(ones, each),
        "Sub": lambda: Affine(ones, -each),
    }[op]()


def scaled_kernel(kernel: npt.NDArray[Any], affine: Affine, axis: int) -> Float32Array | None:
    """``kernel`` times the scale along ``axis``; None where float32 cannot hold the result.

    A few channels at a time: the exact products of a large kernel would not fit into the caches.
    """
    if (affine.scale == 1).all():
        return np.asarray(kernel, np.float32)
    scaled = np.empty(kernel.shape, np.float32)
    before, after = np.moveaxis(kernel, axis, 0), np.moveaxis(scaled, axis, 0)
    step = max(1, _BLOCK * affine.scale.size // max(1, kernel.size))
    for begin in range(0, affine.scale.size, step):
        some = slice(begin, begin + step)
        exact = before[some] * affine.scale[some].reshape(-1, *[1] * (kernel.ndim - 1))
        after[some] = exact
        if not _fits_float32(np.abs(exact, out=exact)):
            return None
    return scaled


def _fits_float32(sizes: npt.NDArray[np.float64]) -> bool:
    """Whether numbers of these sizes are finite in float32 and keep their digits there."""
    if not sizes.size:
        return True
    if not sizes.max() <= _LARGEST:  # NaN too
        return False
    return bool(sizes.min() >= _SMALLEST or not ((sizes < _SMALLEST) & (sizes > 0)).any())


def fold_affine(draft: Draft, node: Node) -> Node | None:
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


def _affine_of(draft: Draft, node: Node, linear: Node, kernel: npt.NDArray[Any]) -> Affine | None:
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


def _folded(draft: Draft, linear: Node, kernel: npt.NDArray[Any], affine: Affine) -> Node | None:
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
