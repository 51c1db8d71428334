"""One flat graph out of a graph and the functions it calls, and how data flows through it.

A node inside a function is called ``call/node``. What a call returns is the same tensor as what
the function's body makes, so structure can be followed through any depth of calls, as TensorFlow 2
writes them. Loops and branches (While, If) are not looked into: they stay one node.

How a function's nodes name their inputs: FunctionDef in tensorflow/core/framework/function.proto.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tintype.errors import ModelFileDamaged, ModelFileTooLarge
from tintype.modelfiles.tensorflow.graphdef import Function, Library, Node

Ref: TypeAlias = tuple[str, int]
"""A tensor: the name of the node that makes it, and which of its outputs."""

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall", "StatelessPartitionedCall"})

MAX_DEPTH = 64
"""Calls within calls; Keras reaches about ten."""

MAX_NODES = 100_000
"""Nodes of the flat graph: functions that call each other twice grow without bound."""

MAX_NAMES = 64 << 20
"""Characters in the names of its nodes: each call adds its own name to all those inside."""

_PORTS = {
    **{
        f"FusedBatchNorm{version}": ("y", "batch_mean", "batch_variance")
        for version in ("", "V2", "V3")
    },
    **{
        f"NonMaxSuppressionV{version}": ("selected_indices", "selected_scores", "valid_outputs")
        for version in (4, 5)
    },
    "CombinedNonMaxSuppression": (
        "nmsed_boxes",
        "nmsed_scores",
        "nmsed_classes",
        "valid_detections",
    ),
    "TopKV2": ("values", "indices"),
    "Switch": ("output_false", "output_true"),
}
"""Named outputs of operations that have several, in order."""


@dataclass(frozen=True, slots=True)
class FlatNode:
    """A node with its inputs resolved to tensors; control inputs are left out."""

    node: Node
    name: str
    inputs: tuple[Ref, ...]

    @property
    def op(self) -> str:
        """The operation's type."""
        return self.node.op


Use: TypeAlias = tuple[FlatNode, int]
"""A node that takes a tensor, and as which of its inputs."""


@dataclass(slots=True)
class Flow:
    """The flat graph. ``returned``: what each output of a call really is."""

    nodes: dict[str, FlatNode] = field(default_factory=dict)
    returned: dict[Ref, Ref] = field(default_factory=dict)

    def resolve(self, ref: Ref) -> Ref:
        """The tensor behind ``ref``, through what calls return. Raises ModelFileDamaged."""
        for _ in range(MAX_DEPTH * 2):
            behind = self.returned.get(ref)
            if behind is None:
                return ref
            ref = behind
        raise ModelFileDamaged(f"the result {ref[0]!r} is returned by itself")

    def maker(self, ref: Ref) -> FlatNode | None:
        """The node that makes ``ref``; None for a tensor the graph does not have."""
        return self.nodes.get(self.resolve(ref)[0])

    def inputs(self, node: FlatNode) -> Iterator[FlatNode | None]:
        """The makers of a node's inputs."""
        return (self.maker(ref) for ref in node.inputs)

    def ancestors(self, refs: Iterable[Ref], *, stop: Ref | None = None) -> dict[str, FlatNode]:
        """All nodes that ``refs`` depend on, their makers included, by name.

        What makes the tensor ``stop`` is left out, and what only that depends on.
        """
        found: dict[str, FlatNode] = {}
        queue = deque(self.resolve(ref) for ref in refs)
        while queue:
            ref = self.resolve(queue.popleft())
            node = self.nodes.get(ref[0])
            if node is not None and node.name not in found and ref != stop:
                found[node.name] = node
                queue.extend(node.inputs)
        return found

    def uses(self, among: Mapping[str, FlatNode]) -> dict[Ref, list[Use]]:
        """Who takes each tensor, looking at the nodes of ``among`` only."""
        found: dict[Ref, list[Use]] = defaultdict(list)
        for node in among.values():
            for index, ref in enumerate(node.inputs):
                found[self.resolve(ref)].append((node, index))
        return dict(found)


def parse_ref(name: str) -> Ref:
    """``name`` or ``name:1`` as a tensor."""
    node, _, port = name.rpartition(":")
    return (node, int(port)) if node and port.isdecimal() and len(port) < 6 else (name, 0)


def tensor_name(ref: Ref) -> str:
    """The tensor's name as TensorFlow writes it."""
    return f"{ref[0]}:{ref[1]}"


def short_name(name: str) -> str:
    """A node's name without the calls it lies in."""
    parts = name.split("/")
    inner = [
        part
        for part in parts
        if not part.startswith(("StatefulPartitionedCall", "PartitionedCall"))
    ]
    return "/".join(inner) or name


def flatten(nodes: Sequence[Node], library: Library, wanted: Iterable[str]) -> Flow:
    """The nodes, and the bodies of the calls that the nodes called ``wanted`` depend on.

    Raises ModelFileTooLarge where calls grow without bound, ModelFileDamaged for a call deeper
    than ``MAX_DEPTH`` or of a function that is not there.
    """
    flow = Flow()
    for node in nodes:
        flow.nodes[node.name] = FlatNode(node, node.name, tuple(_top_inputs(node)))
    # control inputs count here: TensorFlow 1's restoring operation has nothing else
    wanted_nodes = _depended_on(flow.nodes, wanted)
    length = 0
    calls = deque((flow.nodes[name], 1) for name in wanted_nodes if flow.nodes[name].op in CALLS)
    while calls:
        call, depth = calls.popleft()
        function = library.get(call.node.function("f") or "")
        if function is None:
            raise ModelFileDamaged(
                f"{call.name!r} calls a function that is not in the file: "
                f"{call.node.function('f')!r}"
            )
        if depth > MAX_DEPTH:
            raise ModelFileDamaged(f"functions call each other without end at {call.name[:200]!r}")
        length += sum(len(call.name) + 1 + len(node.name) for node in function.nodes)
        if len(flow.nodes) + len(function.nodes) > MAX_NODES or length > MAX_NAMES:
            raise ModelFileTooLarge(
                f"the functions of the graph make more than {MAX_NODES} operations",
                limit=MAX_NODES,
            )
        calls.extend((inner, depth + 1) for inner in _inline(flow, call, function))
    return flow


def _inline(flow: Flow, call: FlatNode, function: Function) -> Iterator[FlatNode]:
    """Add the body of ``function`` for ``call``; returns the calls inside it."""
    given = dict(zip(function.arguments, call.inputs, strict=False))
    ops = {node.name: node.op for node in function.nodes}

    def resolve(written: str) -> Ref:
        if written in given:
            return given[written]
        name, _, port = written.partition(":")
        return f"{call.name}/{name}", _port(ops.get(name, ""), port)

    inner = []
    for node in function.nodes:
        inputs = tuple(resolve(each) for each in node.inputs if not each.startswith("^"))
        flat = FlatNode(node, f"{call.name}/{node.name}", inputs)
        flow.nodes[flat.name] = flat
        if flat.op in CALLS:
            inner.append(flat)
    for index, output in enumerate(function.outputs):
        if output in function.results:
            flow.returned[call.name, index] = resolve(function.results[output])
    return iter(inner)


def _port(op: str, written: str) -> int:
    """The number of an output written ``name:index``."""
    name, _, index = written.partition(":")
    offset = _PORTS[op].index(name) if name in _PORTS.get(op, ()) else 0
    return offset + (int(index) if index.isdecimal() and len(index) < 6 else 0)


def _top_inputs(node: Node) -> Iterator[Ref]:
    return (parse_ref(written) for written in node.inputs if not written.startswith("^"))


def _depended_on(nodes: Mapping[str, FlatNode], wanted: Iterable[str]) -> set[str]:
    found: set[str] = set()
    queue = deque(wanted)
    while queue:
        name = queue.popleft()
        if name in nodes and name not in found:
            found.add(name)
            for written in nodes[name].node.inputs:
                queue.append(written[1:] if written.startswith("^") else parse_ref(written)[0])
    return found
