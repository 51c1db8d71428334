"""The two walks every graph reader makes: back from an output, and forward from the pixels.

A reader hands its operations over as ``Node`` values and its constants through a function; TFLite,
ONNX and OpenVINO IR share the rest. Pure, and bounded by a number of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tintype.modelfiles.affine import ARITHMETIC, Affine
from tintype.modelfiles.class_output import Closing, is_transparent, plain_kind

_MOST_STEPS = 64
# Between the pixels and the first convolution these change no pixel's value.
_HARMLESS = frozenset({"pad", "mirrorpad"})
# Consumers that read an input's shape, not its pixels.
_SHAPE_READERS = frozenset({"shape", "shapeof", "size", "rank"})
_RESIZES = frozenset({"resize", "resizebilinear", "resizenearestneighbor", "interpolate"})
_KERNELS = frozenset({"conv", "conv2d", "depthwiseconv2d", "convolution", "groupconvolution"})

ConstantOf = Callable[[str], npt.NDArray[np.generic] | None]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operation: its type, a name for people, and the values it takes and makes."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphView:
    """Operations by the values they make and take."""

    nodes: tuple[Node, ...]
    producer: dict[str, Node]
    consumers: dict[str, tuple[Node, ...]]

    @classmethod
    def of(cls, nodes: Sequence[Node]) -> GraphView:
        """Index ``nodes``; a value made twice belongs to its first maker."""
        producer: dict[str, Node] = {}
        consumers: dict[str, list[Node]] = {}
        for node in nodes:
            for value in node.outputs:
                producer.setdefault(value, node)
            for value in dict.fromkeys(node.inputs):
                consumers.setdefault(value, []).append(node)
        return cls(
            nodes=tuple(nodes),
            producer=producer,
            consumers={value: tuple(found) for value, found in consumers.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphStart:
    """What lies before the first convolution, and the convolution itself (None: none was met).

    ``transposes``: operations met that reorder axes. ``resize``: the one that resizes, if any;
    it changes nothing of the arithmetic around it.
    """

    affine: Affine
    kernel: Node | None
    transposes: tuple[Node, ...] = ()
    resize: Node | None = None


def closing_of(graph: GraphView, value: str) -> Closing | None:
    """Find the operation that makes the numbers of ``value``; hand-on operations are skipped."""
    for _ in range(_MOST_STEPS):
        node = graph.producer.get(value)
        if node is None:
            return None
        if not is_transparent(node.kind) or not node.inputs:
            return Closing(kind=node.kind, name=node.name)
        value = node.inputs[0]
    return None


def no_scaling(_node: Node) -> tuple[Numbers, Numbers] | None:
    """Say of every operation that it is no batch normalisation: TFLite and IR have none."""
    return None


def start_of(
    graph: GraphView,
    value: str,
    *,
    channels: int,
    constant: ConstantOf,
    scaling: Callable[[Node], tuple[Numbers, Numbers] | None] = no_scaling,
) -> GraphStart:
    """Walk from the pixels ``value`` to the first convolution, adding up arithmetic on the way.

    ``constant`` gives the numbers of a value that is no operation's result, None for others.
    ``scaling`` gives factor and offset of a batch normalisation, None for other operations.
    """
    affine = Affine.nothing(channels)
    transposes: list[Node] = []
    resize: Node | None = None
    for _ in range(_MOST_STEPS):
        node = only_consumer(graph, value)
        if node is None or not node.outputs:
            break
        kind = plain_kind(node.kind)
        if kind in _KERNELS:
            first = node if node.inputs and node.inputs[0] == value else None
            return GraphStart(
                affine=affine, kernel=first, transposes=tuple(transposes), resize=resize
            )
        pair = scaling(node)
        if kind in ARITHMETIC or pair is not None:
            linear = kind in ARITHMETIC
            added = _add(affine, node, value, constant) if linear else _scale(affine, node, pair)
            if added is None:
                break
            affine = added
        elif kind == "transpose":
            transposes.append(node)
        elif kind in _RESIZES and resize is None:
            resize = node
        elif not (is_transparent(kind) or kind in _HARMLESS):
            break
        value = node.outputs[0]
    return GraphStart(affine=affine, kernel=None, transposes=tuple(transposes), resize=resize)


def only_consumer(graph: GraphView, value: str) -> Node | None:
    """Return the one operation that takes ``value``, those that only ask its shape left out."""
    takers = [
        node
        for node in graph.consumers.get(value, ())
        if plain_kind(node.kind) not in _SHAPE_READERS
    ]
    return takers[0] if len(takers) == 1 else None


def _scale(affine: Affine, node: Node, pair: tuple[Numbers, Numbers] | None) -> Affine | None:
    if pair is None:
        return None
    scaled = affine.then("mul", pair[0], swapped=False, name=node.name)
    if scaled is None:
        return None
    moved = scaled.then("add", pair[1], swapped=False, name=node.name)
    return None if moved is None else replace(moved, where=scaled.where)


def _add(affine: Affine, node: Node, value: str, constant: ConstantOf) -> Affine | None:
    if len(node.inputs) != 2 or node.inputs[0] == node.inputs[1]:
        return None
    swapped = node.inputs[1] == value
    numbers = constant(node.inputs[0 if swapped else 1])
    if numbers is None or numbers.size == 0 or numbers.size > 1 << 16:
        return None
    return affine.then(
        plain_kind(node.kind), numbers.astype(np.float64), swapped=swapped, name=node.name
    )
