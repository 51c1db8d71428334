"""The graph while it is tidied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from tintype.modelfiles.keras.onnx_wire import Node
from tintype.types import Shape


@dataclass(slots=True)
class Draft:
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
