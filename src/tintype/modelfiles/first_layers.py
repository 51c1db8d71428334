"""What follows the first convolution: bias, rectifier, batch normalisation. Shared by readers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tintype.modelfiles.class_output import plain_kind
from tintype.modelfiles.description import FirstLayers
from tintype.modelfiles.graphwalk import ConstantOf, GraphView, Node, only_consumer
from tintype.types import Float32Array

_MOST_STEPS = 4
_ADDITIONS = frozenset({"add", "biasadd"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A batch normalisation: ``(x - mean) / sqrt(variance + epsilon) * gamma + beta``."""

    gamma: Float32Array
    beta: Float32Array
    mean: Float32Array
    variance: Float32Array
    epsilon: float


def batch_norm_affine(norm: Behind) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Write a batch normalisation as factor and offset, a number a channel each."""
    with np.errstate(all="ignore"):  # a stranger's variance may be anything
        factor = norm.gamma.astype(np.float64) / np.sqrt(
            norm.variance.astype(np.float64) + norm.epsilon
        )
        return factor, norm.beta.astype(np.float64) - norm.mean * factor


def no_norm(_node: Node) -> Behind | None:
    """Say of every operation that it is no batch normalisation: the graph has them folded."""
    return None


def first_layers(
    graph: GraphView,
    node: Node,
    *,
    kernel: Float32Array,
    constant: ConstantOf,
    behind: Callable[[Node], Behind | None] = no_norm,
) -> FirstLayers:
    """Collect what stands behind the convolution ``node``, up to a batch normalisation.

    ``kernel`` is kh x kw x cin x cout; its bias may be the convolution's third input or an
    addition behind it.
    """
    channels = kernel.shape[-1]
    bias = _row(constant(node.inputs[2]), channels) if len(node.inputs) > 2 else None
    rectified, ceiling, norm = False, None, None
    value = node.outputs[0]
    for _ in range(_MOST_STEPS):
        following = only_consumer(graph, value)
        if following is None or not following.outputs:
            break
        kind = plain_kind(following.kind)
        norm = behind(following)
        if norm is not None:
            break
        if kind in _ADDITIONS and not rectified and bias is None:
            others = [name for name in following.inputs if name != value]
            bias = _row(constant(others[0]), channels) if len(others) == 1 else None
            if bias is None:
                break
        elif (clipped := _rectifier(kind, following, constant)) is not None:
            rectified, ceiling = True, clipped[0]
        else:
            break
        value = following.outputs[0]
    fits = norm is not None and norm.mean.shape == (channels,)
    return FirstLayers(
        kernel=np.ascontiguousarray(kernel),
        bias=bias,
        mean=norm.mean if norm is not None and fits else None,
        variance=norm.variance if norm is not None and fits else None,
        epsilon=norm.epsilon if norm is not None and fits else 1e-3,
        rectified=rectified,
        ceiling=ceiling,
        where=f"{node.name.split(';')[0][:120]} ({node.kind})",
    )


def _rectifier(kind: str, node: Node, constant: ConstantOf) -> tuple[float | None] | None:
    """The ceiling of a rectifier (in a tuple of one), None when it is another operation."""
    if kind == "relu":
        return (None,)
    if kind == "relu6":
        return (6.0,)
    if kind == "clip" and len(node.inputs) == 3:
        low, high = constant(node.inputs[1]), constant(node.inputs[2])
        if low is not None and high is not None and low.size == high.size == 1 and not low.any():
            return (float(high.reshape(-1)[0].item()),)
    return None


def _row(numbers: npt.NDArray[np.generic] | None, channels: int) -> Float32Array | None:
    if numbers is None or numbers.size != channels:
        return None
    return numbers.astype(np.float32).reshape(channels)
