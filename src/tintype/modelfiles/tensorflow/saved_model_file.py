"""``saved_model.pb`` read from its wire format: graphs, tags, signatures.

Field numbers: tensorflow/core/protobuf/{saved_model,meta_graph,saver}.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.tensorflow.graphdef import GraphDef, read_graph
from tintype.types import Shape
from tintype.wire.protobuf import fields, first, text, view
from tintype.wire.tensors import dtype_name, shape_of


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One end of a signature: the tensor's name in the graph, its dtype and shape."""

    name: str
    dtype: str
    shape: Shape | None


@dataclass(frozen=True, slots=True)
class Signature:
    """One way to use the graph: inputs and outputs by the names that callers use."""

    name: str
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]


@dataclass(frozen=True, slots=True)
class MetaGraph:
    """One graph of the SavedModel, with what is needed to use it."""

    tags: tuple[str, ...]
    graph: GraphDef
    signatures: Mapping[str, Signature]
    version: str
    restore: str
    keras: bool


def read_meta_graph(content: memoryview) -> MetaGraph:
    """The graph tagged ``serve``, or else the first. Raises ModelFileDamaged, ProtobufError."""
    metas = [view(value) for number, value in fields(content) if number == 2]
    if not metas:
        raise ModelFileDamaged("saved_model.pb holds no graph")
    serving = [meta for meta in metas if "serve" in _tags(meta)]
    return _meta_graph((serving or metas)[0])


def _tags(meta: memoryview) -> tuple[str, ...]:
    info = view(first(meta, 1))
    return tuple(text(value) for number, value in fields(info) if number == 4)


def _meta_graph(meta: memoryview) -> MetaGraph:
    signatures: dict[str, Signature] = {}
    graph: memoryview | None = None
    restore = version = ""
    keras = False
    for number, value in fields(meta):
        if number == 1:
            version = text(first(view(value), 5))
        elif number == 2:
            graph = view(value)
        elif number == 3:
            restore = text(first(view(value), 3))
        elif number == 5:
            signature = _signature(text(first(view(value), 1)), view(first(view(value), 2)))
            signatures[signature.name] = signature
        elif number == 7:
            keras = _has_keras(view(value))
    if graph is None:
        raise ModelFileDamaged("saved_model.pb holds no graph")
    return MetaGraph(
        tags=_tags(meta),
        graph=read_graph(graph),
        signatures=signatures,
        version=version,
        restore=restore,
        keras=keras,
    )


def _signature(name: str, message: memoryview) -> Signature:
    ends: dict[int, dict[str, TensorInfo]] = {1: {}, 2: {}}
    for number, value in fields(message):
        if number in ends:
            entry = view(value)
            ends[number][text(first(entry, 1))] = _tensor_info(view(first(entry, 2)))
    return Signature(name, ends[1], ends[2])


def _tensor_info(message: memoryview) -> TensorInfo:
    name, dtype, shape = "", "type 0", None
    for number, value in fields(message):
        if number == 1:
            name = text(value)
        elif number == 2 and isinstance(value, int):
            dtype = dtype_name(value)
        elif number == 3:
            shape = shape_of(view(value))
    return TensorInfo(name, dtype, shape)


def _has_keras(objects: memoryview) -> bool:
    """Whether Keras 2 saved it: SavedObject.user_object.identifier begins ``_tf_keras``."""
    for number, value in fields(objects):
        if number == 1:
            user_object = first(view(value), 4)
            if user_object is not None and text(first(view(user_object), 1)).startswith(
                "_tf_keras"
            ):
                return True
    return False
