"""A TFLite file opened: parsed, and as a graph to walk on."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.description import ReadOptions
from tintype.modelfiles.graphwalk import GraphView, Node
from tintype.modelfiles.safety import check_size
from tintype.modelfiles.tflite.metadata import NOTHING, TfliteMetadata, converter_of, parse_metadata
from tintype.modelfiles.tflite.model import TfliteModel, TfliteOperator, parse_model


@dataclass(frozen=True, slots=True, kw_only=True)
class TfliteFile:
    """An opened file: its graph, the same graph as a view to walk on, its metadata."""

    path: Path
    model: TfliteModel
    view: GraphView
    metadata: TfliteMetadata


def open_tflite(path: Path, options: ReadOptions) -> TfliteFile:
    """Map a file and parse it. Raises ModelFileDamaged, ModelFileTooLarge."""
    if check_size(path, options.max_bytes) < 16:
        raise ModelFileDamaged(f"{path.name} is cut short: it ends within its first 16 bytes")
    with path.open("rb") as opened:
        # Closed when the last view of it is gone: only what is looked at is read from disk.
        data = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
    model = parse_model(data, max_bytes=options.max_bytes)
    buffer = model.metadata.get("TFLITE_METADATA")
    return TfliteFile(
        path=path,
        model=model,
        view=GraphView.of([_node(model, operator) for operator in model.operators]),
        metadata=NOTHING if buffer is None else parse_metadata(buffer),
    )


def _node(model: TfliteModel, operator: TfliteOperator) -> Node:
    made = [model.tensors[index].name for index in operator.outputs if index >= 0]
    return Node(
        kind=operator.kind,
        name=made[0] if made else "",
        inputs=tuple(str(index) for index in operator.inputs if index >= 0),
        outputs=tuple(str(index) for index in operator.outputs if index >= 0),
    )


def converter(file: TfliteFile) -> tuple[str, str | None]:
    """TensorFlow's version, and the framework it converted from, where the file tells."""
    buffer = file.model.metadata.get("CONVERSION_METADATA")
    return ("", None) if buffer is None else converter_of(buffer)
