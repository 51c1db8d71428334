"""From a graph and its chosen ends to a ``ModelDescription``: common to both file formats."""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tintype.errors import ModelFileDamaged, ModelFileTooLarge, TintypeError
from tintype.modelfiles.description import Layer, ModelDescription
from tintype.modelfiles.tensorflow.constants import Constants
from tintype.modelfiles.tensorflow.evidence import gather
from tintype.modelfiles.tensorflow.flow import parse_ref, short_name
from tintype.modelfiles.tensorflow.inputs import Candidate, Feed, hold
from tintype.modelfiles.tensorflow.names import backbone_of
from tintype.modelfiles.tensorflow.reading import Reading, look
from tintype.modelfiles.tensorflow.safety import check_fills, refuse_chance, refuse_saving
from tintype.modelfiles.tensorflow.shapes import in_order
from tintype.types import Format, Graph, Output, tensors_of
from tintype.wire.protobuf import ProtobufError

_LEARNED = {"Conv2D", "DepthwiseConv2dNative", "MatMul", "Conv2DBackpropInput"}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What the file says beside its graph."""

    path: Path
    format: Format
    writer: str | None
    source: str
    operations: tuple[str, ...]
    notes: tuple[str, ...]


def describe(
    file: File,
    constants: Constants,
    *,
    feed: Feed,
    output: Output,
    others: Iterable[Candidate],
) -> ModelDescription:
    """The whole description. ``others`` are all inputs that the graph declares."""
    outputs = tensors_of(output)
    reading = look(constants, [parse_ref(spec.name) for spec in outputs], stop=feed.ref)
    refuse_saving(reading.ancestors.values())
    refuse_chance(reading.ancestors.values())
    check_fills(reading.ancestors.values(), constants)
    needed = [other for other in others if _is_needed(reading, other, feed)]
    graph = Graph(
        format=file.format,
        source=file.path,
        input=feed.image.tensor,
        outputs=outputs,
        held=hold(reading, needed),
    )
    held = tuple(f"the input {each.name!r} is held at {each.value}" for each in graph.held)
    return ModelDescription(
        path=file.path,
        format=file.format,
        writer=file.writer,
        image=feed.image,
        output=output,
        graph=graph,
        evidence=gather(reading, feed, backbone=backbone_of(reading.ancestors), source=file.source),
        layers=tuple(_layers(reading)),
        operations=file.operations,
        notes=(*file.notes, feed.note, *held),
    )


def _is_needed(reading: Reading, other: Candidate, feed: Feed) -> bool:
    """Whether the answer depends on a further input, and it has no value of its own."""
    node = reading.ancestors.get(reading.flow.resolve(other.ref)[0])
    return node is not None and node.name != feed.ref[0] and node.op != "PlaceholderWithDefault"


@contextlib.contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """Translate what damaged bytes make the readers raise."""
    try:
        yield
    except TintypeError:
        raise
    except MemoryError as error:
        raise ModelFileTooLarge(f"{path.name} does not fit into memory") from error
    except (ProtobufError, ValueError, IndexError, KeyError, OverflowError, struct.error) as error:
        raise ModelFileDamaged(f"{path.name} cannot be read: {error}") from error


def _layers(reading: Reading) -> Iterator[Layer]:
    """Operations with learned kernels, in the order of the graph."""
    for node in in_order(reading.flow, reading.ancestors):
        if node.op in _LEARNED and len(node.inputs) > 1:
            kernel = reading.constants.shape(node.inputs[1])
            if kernel is not None and None not in kernel:
                sides = [side or 0 for side in kernel]
                shape = reading.shape((node.name, 0))
                yield Layer(
                    name=short_name(node.name),
                    kind=node.op,
                    shape=shape,
                    parameters=math.prod(sides),
                )
