"""Which value in the checkpoint belongs to which variable of the graph.

TensorFlow 2 names checkpoint entries after Python attributes, TensorFlow 1 after variables; in
both the graph's own restoring operation says it exactly: it assigns each result of ``RestoreV2``
to one variable. So that is followed, and nothing is guessed from names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tintype.modelfiles.tensorflow.bundle import Bundle
from tintype.modelfiles.tensorflow.constants import Constants
from tintype.modelfiles.tensorflow.flow import FlatNode, Flow
from tintype.wire.protobuf import fields, first, text, view
from tintype.wire.tensors import strings

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_ASSIGNING = {"AssignVariableOp", "Assign"}
_MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Variables:
    """Reads variables of a SavedModel by the name of their node."""

    bundle: Bundle
    keys: Mapping[str, str]

    def read(self, node: str) -> npt.NDArray[np.generic] | None:
        """The variable's value; None where the checkpoint does not have it."""
        return self.bundle.read(self.keys.get(node, node), max_bytes=_MAX_BYTES)


def variables_of(flow: Flow, bundle: Bundle) -> Variables:
    """Pair variables with checkpoint keys by following the restoring operations of ``flow``."""
    keys: dict[str, str] = {}
    names: dict[str, tuple[bytes, ...]] = {}
    sources = Constants(flow)
    for node in flow.nodes.values():
        if node.op not in _ASSIGNING or len(node.inputs) < 2:
            continue
        variable = sources.source(node.inputs[0])
        restored = _restored(flow, node)
        if variable is None or restored is None:
            continue
        restore, index = restored
        if restore.name not in names:
            names[restore.name] = _tensor_names(sources, restore)
        if index < len(names[restore.name]):
            keys[variable.name] = names[restore.name][index].decode("utf-8", "replace")
    return Variables(bundle, _keys_by_full_name(bundle) | keys)


def _keys_by_full_name(bundle: Bundle) -> dict[str, str]:
    """Checkpoint keys by the variables' full names, where a name belongs to one key only."""
    message = bundle.read_text(_OBJECT_GRAPH, max_bytes=_MAX_BYTES)
    found: dict[str, set[str]] = {}
    for number, node in fields(message or memoryview(b"")):
        attributes = fields(view(node)) if number == 1 else ()
        for which, attribute in attributes:
            if which == 2:
                name, key = first(view(attribute), 2), first(view(attribute), 3)
                found.setdefault(text(name), set()).add(text(key))
    return {name: next(iter(keys)) for name, keys in found.items() if name and len(keys) == 1}


def _restored(flow: Flow, assign: FlatNode) -> tuple[FlatNode, int] | None:
    """The restoring operation behind an assignment, and which of its results is assigned."""
    ref = flow.resolve(assign.inputs[1])
    for _ in range(5):
        node = flow.nodes.get(ref[0])
        if node is None:
            return None
        if node.op == "RestoreV2":
            return node, ref[1]
        if node.op not in {"Identity", "IdentityN"} or not node.inputs:
            return None
        ref = flow.resolve(node.inputs[0])
    return None


def _tensor_names(sources: Constants, restore: FlatNode) -> tuple[bytes, ...]:
    node = sources.source(restore.inputs[1]) if len(restore.inputs) > 1 else None
    message = node.node.tensor() if node is not None and node.op == "Const" else None
    return () if message is None else strings(message)
