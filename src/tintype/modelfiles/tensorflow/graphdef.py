"""GraphDef, NodeDef, FunctionDef and AttrValue, read from their wire format.

Field numbers: tensorflow/core/framework/{graph,node_def,function,op_def,attr_value,tensor_shape,
types}.proto. Attributes stay views into the file until they are asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tintype.errors import ModelFileDamaged, ModelFileTooLarge
from tintype.types import Shape
from tintype.wire.protobuf import (
    ProtobufError,
    Value,
    entry,
    fields,
    first,
    float32,
    signed,
    text,
    varints,
    view,
)
from tintype.wire.tensors import dtype_name, shape_of

MAX_PARTS = 3_000_000
"""Nodes, inputs and attributes together that are read of one file: the largest published graphs
have about 100 000, and each part costs memory that the file itself does not."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: its inputs as written in the file, its attributes undecoded."""

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    attrs: Mapping[str, memoryview] = field(default_factory=dict)

    def _field(self, attr: str, number: int) -> Value | None:
        value = self.attrs.get(attr)
        if value is None:
            return None
        with_number = [found for which, found in fields(value) if which == number]
        return with_number[-1] if with_number else None

    def text(self, attr: str) -> str | None:
        """A string attribute."""
        value = self._field(attr, 2)
        return text(value) if isinstance(value, memoryview) else None

    def number(self, attr: str) -> int | None:
        """An integer attribute; 0 where it is present and not written."""
        value = self._field(attr, 3)
        return signed(value) if isinstance(value, int) else None

    def real(self, attr: str) -> float | None:
        """A floating-point attribute."""
        value = self._field(attr, 4)
        return float32(value) if isinstance(value, int) else None

    def flag(self, attr: str) -> bool | None:
        """A truth attribute; None where the node does not have it."""
        if attr not in self.attrs:
            return None
        return self._field(attr, 5) == 1

    def dtype(self, attr: str = "dtype") -> str | None:
        """A type attribute as numpy's name."""
        value = self._field(attr, 6)
        return dtype_name(value) if isinstance(value, int) else None

    def shape(self, attr: str = "shape") -> Shape | None:
        """A shape attribute; None where the rank is unknown or the attribute is absent."""
        value = self._field(attr, 7)
        return shape_of(value) if isinstance(value, memoryview) else None

    def tensor(self, attr: str = "value") -> memoryview | None:
        """A tensor attribute: an undecoded TensorProto."""
        value = self._field(attr, 8)
        return value if isinstance(value, memoryview) else None

    def function(self, attr: str) -> str | None:
        """The name of a function attribute (NameAttrList)."""
        value = self._field(attr, 10)
        return text(first(value, 1)) if isinstance(value, memoryview) else None

    def functions(self) -> Iterator[str]:
        """The names of all functions that attributes mention, lists of them included."""
        for name in self.attrs:
            called = self.function(name)
            if called:
                yield called
            listed = self._field(name, 1)
            if isinstance(listed, memoryview):
                yield from (
                    text(first(view(item), 1)) for which, item in fields(listed) if which == 9
                )

    def numbers(self, attr: str) -> tuple[int, ...]:
        """A list of integers."""
        listed = self._field(attr, 1)
        found: list[int] = []
        if isinstance(listed, memoryview):
            for which, value in fields(listed):
                if which == 3:
                    found += [value] if isinstance(value, int) else varints(value)
        return tuple(signed(number) for number in found)


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the library: names of its arguments and outputs, its nodes, its results."""

    name: str
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    results: Mapping[str, str]


@dataclass(slots=True)
class Library:
    """Functions by name, decoded when asked for."""

    views: Mapping[str, memoryview] = field(default_factory=dict)
    _decoded: dict[str, Function] = field(default_factory=dict)
    _parts: int = 0

    def get(self, name: str) -> Function | None:
        """The function called ``name``. Raises ProtobufError, ModelFileTooLarge."""
        if name not in self._decoded:
            if name not in self.views:
                return None
            self._decoded[name], self._parts = _function(self.views[name], self._parts)
        return self._decoded[name]


@dataclass(frozen=True, slots=True)
class GraphDef:
    """The nodes of a graph, its functions, and the version of the graph format's writer."""

    nodes: tuple[Node, ...]
    library: Library
    producer: int


def read_graph(message: memoryview) -> GraphDef:
    """Decode a GraphDef. Raises ProtobufError, ModelFileTooLarge, ModelFileDamaged."""
    nodes: list[Node] = []
    functions: dict[str, memoryview] = {}
    parts = producer = 0
    for number, value in fields(message):
        if number == 1:
            node = _node(view(value))
            nodes.append(node)
            parts += 1 + len(node.inputs) + len(node.attrs)
            _check_parts(parts)
        elif number == 2:
            for which, item in fields(view(value)):
                if which == 1:
                    signature = first(view(item), 1)
                    functions[text(first(view(signature or b""), 1))] = view(item)
                    parts += 1
                    _check_parts(parts)
        elif number == 4:
            found = first(view(value), 1)
            producer = found if isinstance(found, int) else 0
    _check_names(nodes)
    return GraphDef(tuple(nodes), Library(functions), producer)


def with_functions(
    nodes: Iterable[tuple[str, Node]], library: Library
) -> Iterator[tuple[str, Node]]:
    """The nodes with their names, and those of every function they mention, each function once.

    A node in a function goes by the name of the node outside that leads to it, and its own.
    """
    seen: set[str] = set()
    queue = deque((name, name, node) for name, node in nodes)
    while queue:
        outside, shown, node = queue.popleft()
        yield shown, node
        for name in node.functions():
            if name not in seen:
                seen.add(name)
                function = library.get(name)
                inside = function.nodes if function else ()
                queue.extend((outside, f"{outside}/{inner.name}", inner) for inner in inside)


def _node(message: memoryview) -> Node:
    name = op = ""
    inputs: list[str] = []
    attrs: dict[str, memoryview] = {}
    for number, value in fields(message):
        if number == 1:
            name = text(value)
        elif number == 2:
            op = text(value)
        elif number == 3:
            inputs.append(text(value))
        elif number == 5:
            key, attr = entry(view(value))
            attrs[key] = view(attr)
        if len(inputs) + len(attrs) > MAX_PARTS // 10:
            _check_parts(MAX_PARTS + 1)
    if not name or not op:
        raise ProtobufError("a node has no name or no operation")
    return Node(name, op, tuple(inputs), attrs)


def _function(message: memoryview, parts: int) -> tuple[Function, int]:
    """Decode a FunctionDef; ``parts`` counts what was decoded before, and is handed on."""
    names: dict[int, list[str]] = {2: [], 3: []}  # OpDef: input_arg, output_arg
    signature = view(first(message, 1))
    for number, value in fields(signature):
        if number in names:
            names[number].append(text(first(value, 1)))
    nodes: list[Node] = []
    results: dict[str, str] = {}
    for number, value in fields(message):
        if number == 3:
            node = _node(view(value))
            nodes.append(node)
            parts += 1 + len(node.inputs) + len(node.attrs)
            _check_parts(parts)
        elif number == 4:
            key, result = entry(view(value))
            results[key] = text(result)
    name = text(first(signature, 1))
    return Function(name, tuple(names[2]), tuple(names[3]), tuple(nodes), results), parts


def _check_parts(parts: int) -> None:
    if parts > MAX_PARTS:
        raise ModelFileTooLarge(
            f"the graph has more than {MAX_PARTS} nodes, inputs and attributes", limit=MAX_PARTS
        )


def _check_names(nodes: list[Node]) -> None:
    if not nodes:
        raise ModelFileDamaged("the graph has no nodes")
    seen: set[str] = set()
    for node in nodes:
        if node.name in seen:
            raise ModelFileDamaged(f"two nodes are called {node.name!r}")
        seen.add(node.name)
