"""An ONNX file opened: parsed, as a graph to walk on, and what its operations say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tintype.modelfiles.description import ReadOptions
from tintype.modelfiles.graphwalk import GraphView, Node
from tintype.modelfiles.onnx_tensors import constants_of, load_model, numbers_of


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxFile:
    """A parsed file: the protobuf, its operations as a view, its stored constants."""

    path: Path
    model: Any
    view: GraphView
    constants: dict[str, Any]
    protos: dict[str, Any]


def open_onnx(path: Path, options: ReadOptions) -> OnnxFile:
    """Parse a file. Raises ModelFileDamaged, ModelFileTooLarge, UnsafeModel."""
    model = load_model(path, max_bytes=options.max_bytes)
    nodes: list[Node] = []
    protos: dict[str, Any] = {}
    for proto in model.graph.node:
        if proto.op_type == "Constant" or not proto.output:
            continue
        node = Node(
            kind=proto.op_type,
            name=proto.name or proto.output[0],
            inputs=tuple(proto.input),
            outputs=tuple(proto.output),
        )
        nodes.append(node)
        protos.setdefault(proto.output[0], proto)
    return OnnxFile(
        path=path,
        model=model,
        view=GraphView.of(nodes),
        constants=constants_of(model.graph),
        protos=protos,
    )


def constant_of(file: OnnxFile, value: str) -> npt.NDArray[np.generic] | None:
    """Numbers stored in the file, by their name in the graph."""
    tensor = file.constants.get(value)
    return None if tensor is None else numbers_of(tensor)


def attributes_of(file: OnnxFile, node: Node) -> Sequence[Any]:
    """The attributes of an operation, as the file has them."""
    proto = file.protos.get(node.outputs[0]) if node.outputs else None
    return () if proto is None else proto.attribute


def integer_of(file: OnnxFile, node: Node, name: str, default: int) -> int:
    """An attribute that is a whole number."""
    return next((int(a.i) for a in attributes_of(file, node) if a.name == name), default)


def permutation_of(file: OnnxFile, node: Node) -> tuple[int, ...]:
    """Where a Transpose takes each axis from; empty where it does not say."""
    return next((tuple(a.ints) for a in attributes_of(file, node) if a.name == "perm"), ())
