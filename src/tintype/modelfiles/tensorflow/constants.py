"""Values of tensors that depend on no input: constants, variables, and arithmetic on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tintype.modelfiles.tensorflow.flow import FlatNode, Flow, Ref
from tintype.wire.tensors import read_tensor, to_array

Array = npt.NDArray[np.generic]

MAX_ELEMENTS = 4 << 20
"""Largest stored constant that is read: kernels of first layers have thousands of elements."""

_MAX_COMPUTED = 1 << 16
"""Largest result of arithmetic on constants: a number for each channel needs no more."""

_MAX_DEPTH = 40

PASSING = frozenset({
    "Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape",
    "CheckNumerics", "CheckNumericsV2", "PlaceholderWithDefault", "ReadVariableOp", "Enter", "Exit",
})  # fmt: skip
"""Operations that hand on their first input as it is."""

_TWO: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "AddV2": np.add,
    "BiasAdd": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "RealDiv": np.divide,
    "Div": np.divide,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Pow": np.power,
}
_ONE: dict[str, Callable[[Array], Array]] = {
    "Neg": np.negative,
    "Sqrt": np.sqrt,
    "Rsqrt": lambda value: np.reciprocal(np.sqrt(value)),
    "Square": np.square,
    "Reciprocal": np.reciprocal,
    "Inv": np.reciprocal,
}


def no_variables(_name: str) -> Array | None:
    """What a frozen graph knows of variables."""
    return None


@dataclass(slots=True)
class Constants:
    """Reads constants of ``flow``; ``variable`` gives a variable's value by its node's name."""

    flow: Flow
    variable: Callable[[str], Array | None] = no_variables
    _known: dict[Ref, Array | None] = field(default_factory=dict)

    def value(self, ref: Ref, *, depth: int = 0) -> Array | None:
        """The tensor's value, None where it depends on an input or cannot be told."""
        ref = self.flow.resolve(ref)
        if ref not in self._known:
            node = self.flow.nodes.get(ref[0])
            self._known[ref] = None  # a loop ends here
            if node is not None and depth < _MAX_DEPTH and (ref[1] == 0 or node.op in PASSING):
                with np.errstate(all="ignore"):
                    self._known[ref] = self._compute(node, depth + 1)
        return self._known[ref]

    def source(self, ref: Ref) -> FlatNode | None:
        """The node behind identities and reads that makes ``ref``."""
        node = self.flow.maker(ref)
        for _ in range(_MAX_DEPTH):
            if node is None or node.op not in PASSING or not node.inputs:
                return node
            node = self.flow.maker(node.inputs[0])
        return None

    def shape(self, ref: Ref) -> tuple[int | None, ...] | None:
        """The shape of a stored constant or variable, without reading its values."""
        node = self.source(ref)
        if node is None:
            return None
        if node.op == "Const":
            message = node.node.tensor()
            return None if message is None else read_tensor(message, where=node.name).shape
        if node.op in _VARIABLES:
            return node.node.shape()
        value = self.value(ref)
        return None if value is None else value.shape

    def _compute(self, node: FlatNode, depth: int) -> Array | None:
        if node.op == "Const":
            message = node.node.tensor()
            if message is None:
                return None
            return to_array(read_tensor(message, where=node.name), max_elements=MAX_ELEMENTS)
        if node.op in _VARIABLES:
            return self.variable(node.name)
        operands = [self.value(ref, depth=depth) for ref in node.inputs[:2]]
        if not operands or operands[0] is None:
            return None
        try:
            return _evaluate(node, operands[0], operands[1] if len(operands) > 1 else None)
        except (ValueError, TypeError, MemoryError):
            return None  # shapes or types that do not go together: not for us to judge


_VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable", "AutoReloadVariable"})


def _evaluate(node: FlatNode, first: Array, second: Array | None) -> Array | None:
    if node.op in PASSING:
        return None if node.op == "PlaceholderWithDefault" else first
    if node.op == "Cast":
        dtype = node.node.dtype("DstT")
        return None if dtype in {None, "bfloat16", "string"} else first.astype(dtype)
    if node.op == "Squeeze":
        return np.squeeze(first)
    if node.op in _ONE:
        return _ONE[node.op](first) if first.size <= _MAX_COMPUTED else None
    return None if second is None else _evaluate_two(node.op, first, second)


def _evaluate_two(op: str, first: Array, second: Array) -> Array | None:
    if op in _TWO:
        # two vectors of different shape may spread out into a table
        size = first.size if first.shape == second.shape else first.size * second.size
        return _TWO[op](first, second) if size <= _MAX_COMPUTED else None
    if op == "Reshape":
        return first.reshape([int(side) for side in second.ravel()])
    if op == "ExpandDims":
        return np.expand_dims(first, int(second.ravel()[0]))
    return None
