"""The ONNX graph while it grows, and the tensors that flow through it.

Keras pictures are channels-last, ONNX convolutions channels-first. A ``Value`` keeps the shape as
Keras sees it and remembers in which order its axes lie in the graph, so that a transpose is only
written where an operation truly needs another order: in a usual CNN once, at the picture input.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tintype.errors import ModelFileDamaged, ModelFileTooLarge
from tintype.modelfiles.keras.biases import biases_apart
from tintype.modelfiles.keras.onnx_wire import Attribute, Node, OnnxGraph, Port
from tintype.modelfiles.keras.tidy import tidy
from tintype.types import Shape

MAX_NODES = 20_000
"""Most operations of a graph: the largest of keras.applications has about 4000."""

MAX_INVENTED = 256 << 20
"""Most bytes of constants that are worked out (matrices of resizing, masks) and not in the file."""

MAX_ELEMENTS = 1 << 31
"""Most numbers one picture may become in any layer."""

Order: TypeAlias = tuple[int, ...]
"""For each axis as stored, which Keras axis it is: (0, 3, 1, 2) is NHWC stored as NCHW."""


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor in the graph: its ONNX name, its shape as Keras sees it, its stored order.

    ``mask``: the tensor that tells which of its steps count, where it is a series with a mask
    (``layers/masks.py``).
    """

    name: str
    shape: Shape
    order: Order
    mask: str | None = None

    @property
    def rank(self) -> int:
        """How many axes, batch included."""
        return len(self.shape)

    @property
    def plain(self) -> bool:
        """Whether the axes lie as Keras sees them."""
        return self.order == tuple(range(len(self.shape)))

    @property
    def stored_shape(self) -> Shape:
        """The shape in the graph."""
        return tuple(self.shape[axis] for axis in self.order)

    def position(self, axis: int) -> int:
        """Where the Keras axis ``axis`` (may be negative) lies in the graph."""
        return self.order.index(axis % self.rank)


def keras_order(rank: int) -> Order:
    """Axes as Keras sees them."""
    return tuple(range(rank))


def channels_first(rank: int, *, data_format: str) -> Order:
    """The order in which ONNX wants a picture whose Keras axes are in ``data_format``."""
    if data_format == "channels_first" or rank < 3:
        return keras_order(rank)
    return (0, rank - 1, *range(1, rank - 1))


@dataclass(slots=True)
class GraphBuilder:
    """Collects operations and constants; gives each a name of its own."""

    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    moved_shapes: dict[str, Shape] = field(default_factory=dict)
    """The shape of every tensor whose axes are moved, as it lies in the graph."""
    allowance: int = MAX_INVENTED
    """Bytes of constants that may still be kept; weights add to it when they are read."""
    _names: dict[str, int] = field(default_factory=dict)
    _moved: dict[tuple[str, Order], str] = field(default_factory=dict)
    _shared: dict[tuple[object, ...], str] = field(default_factory=dict)

    def unique(self, name: str) -> str:
        """``name``, or ``name__2`` where it is taken."""
        count = self._names.get(name, 0) + 1
        self._names[name] = count
        return name if count == 1 else self.unique(f"{name}__{count}")

    def constant(self, array: npt.ArrayLike, name: str, *, dtype: str = "float32") -> str:
        """A constant of its own. Raises ModelFileTooLarge where ``allowance`` is used up."""
        key = self.unique(name)
        kept = np.asarray(array, dtype=dtype)
        self.allowance -= kept.nbytes
        if self.allowance < 0:
            raise ModelFileTooLarge(
                f"the constants of the graph pass by more than {MAX_INVENTED} bytes what its "
                f"weights have in the file (seen at {name[:80]!r})"
            )
        self.constants[key] = kept
        return key

    def shape_constant(self, numbers: Sequence[int]) -> str:
        """A list of int64, written once for all who need the same one."""
        key = ("shape", *numbers)
        if key not in self._shared:
            self._shared[key] = self.constant(list(numbers), "shape", dtype="int64")
        return self._shared[key]

    def place_constant(self, number: int) -> str:
        """An int64 without axes, for Gather; written once."""
        key = ("place", number)
        if key not in self._shared:
            self._shared[key] = self.constant(number, "place", dtype="int64")
        return self._shared[key]

    def scalar(self, number: float) -> str:
        """A float32 without axes, written once."""
        key = ("scalar", float(number))
        if key not in self._shared:
            self._shared[key] = self.constant(number, "number")
        return self._shared[key]

    def shared(self, key: tuple[object, ...]) -> str | None:
        """The constant kept under ``key``, if there is one."""
        return self._shared.get(key)

    def share(self, key: tuple[object, ...], name: str) -> str:
        """Keep a constant for later calls of the same layer."""
        self._shared[key] = name
        return name

    def add(
        self,
        op: str,
        inputs: Sequence[str],
        name: str,
        attributes: Mapping[str, Attribute] | None = None,
    ) -> str:
        """Write one operation and return the name of its output.

        Raises ModelFileTooLarge beyond MAX_NODES.
        """
        return self.add_many(op, inputs, name, attributes, count=1)[0]

    def add_many(
        self,
        op: str,
        inputs: Sequence[str],
        name: str,
        attributes: Mapping[str, Attribute] | None = None,
        *,
        count: int,
    ) -> tuple[str, ...]:
        """As ``add``, for an operation with ``count`` outputs; returns the names of all."""
        if len(self.nodes) >= MAX_NODES:
            raise ModelFileTooLarge(f"the model unfolds into more than {MAX_NODES} operations")
        first = self.unique(name)
        outputs = (first, *(self.unique(f"{first}:{number}") for number in range(1, count)))
        self.nodes.append(
            Node(
                op=op,
                name=first,
                inputs=tuple(inputs),
                outputs=outputs,
                attributes=attributes or {},
            )
        )
        return outputs

    def add_outputs(
        self,
        op: str,
        inputs: Sequence[str],
        names: Sequence[str],
        attributes: Mapping[str, Attribute] | None = None,
    ) -> tuple[str, ...]:
        """As ``add``, for an operation with several outputs, one for each of ``names``."""
        first = self.add(op, inputs, names[0], attributes)
        outputs = (first, *(self.unique(name) for name in names[1:]))
        self.nodes[-1] = replace(self.nodes[-1], outputs=outputs)
        return outputs

    def reordered(self, value: Value, order: Order) -> Value:
        """``value`` with its axes stored in ``order``; written once a tensor."""
        if value.order == order:
            return value
        moves = tuple(value.order.index(axis) for axis in order)
        if moves == keras_order(value.rank):
            return Value(value.name, value.shape, order)
        # By moves, not by order: Permute gives the same tensor another meaning.
        key = (value.name, moves)
        if key not in self._moved:
            self._moved[key] = self._move_axes(value, order)
            back = (self._moved[key], tuple(order.index(axis) for axis in value.order))
            self._moved[back] = value.name
        return Value(self._moved[key], value.shape, order)

    def as_keras(self, value: Value) -> Value:
        """``value`` with its axes stored as Keras sees them."""
        return self.reordered(value, keras_order(value.rank))

    def _move_axes(self, value: Value, order: Order) -> str:
        name = f"{value.name}/{'to_nhwc' if order == keras_order(value.rank) else 'to_nchw'}"
        rest = value.shape[1:]
        if None not in rest and sum(length != 1 for length in rest) <= 1 and order[0] == 0:
            # At most one axis is longer than 1: nothing moves in memory.
            target = (0, *(int(value.shape[axis] or 1) for axis in order[1:]))
            return self.add("Reshape", (value.name, self.shape_constant(target)), name)
        self.moved_shapes[value.name] = value.stored_shape
        return self.add(
            "Transpose",
            (value.name,),
            name,
            {"perm": tuple(value.order.index(axis) for axis in order)},
        )

    def finish(self, *, name: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> OnnxGraph:
        """The graph tidied up; operations and constants that no output needs are left out."""
        graph = OnnxGraph(
            name=name,
            nodes=self.nodes,
            constants=self.constants,
            inputs=inputs,
            outputs=outputs,
        )
        return biases_apart(tidy(graph, self.moved_shapes))


def check_shape(shape: Shape, layer: str) -> Shape:
    """``shape``, where it can be: no axis below 1, not more numbers than MAX_ELEMENTS.

    Raises ModelFileDamaged or ModelFileTooLarge, naming the layer.
    """
    known = [length for length in shape[1:] if length is not None]
    if any(length < 1 for length in known):
        raise ModelFileDamaged(
            f"layer {layer!r} would answer with the shape {show_shape(shape)}, which cannot be"
        )
    if math.prod(known) > MAX_ELEMENTS:
        raise ModelFileTooLarge(
            f"layer {layer!r} would answer with the shape {show_shape(shape)}: too large to run"
        )
    return shape


def show_shape(shape: Shape) -> str:
    """A shape for people: ``(?, 224, 224, 3)``."""
    return "(" + ", ".join("?" if length is None else str(length) for length in shape) + ")"
