"""OpenVINO on the CPU: ONNX, TensorFlow graphs, TFLite and its own files, all without frameworks.

Names of properties and what they do: OpenVINO's documentation, "CPU device".
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tintype.cores import quota_cores, usable_cores
from tintype.engines.engine import EngineOptions
from tintype.engines.memory import check_activations
from tintype.engines.openvino_import import import_openvino
from tintype.engines.openvino_tensorflow import read_tensorflow
from tintype.engines.pooled import (
    Company,
    Facts,
    PooledEngine,
    Runner,
    facts_of,
    rows_stand_alone,
)
from tintype.engines.several import Several
from tintype.engines.tensors import Raw
from tintype.errors import EngineFailed, ModelFileDamaged, UnsupportedModel
from tintype.types import Format, Graph, Shape, Tensor, TensorSpec

_DTYPES = {
    "float32": "f32",
    "float16": "f16",
    "float64": "f64",
    "uint8": "u8",
    "int8": "i8",
    "int32": "i32",
    "int64": "i64",
    "bool": "boolean",
}


_SMALL: Final = 64 << 20
"""Bytes of constants up to which a graph is compiled twice. A larger one keeps every core busy by
itself, and its weights would take twice the memory."""
_MOST_STREAMS: Final = 16


def load_openvino(graph: Graph, options: EngineOptions) -> PooledEngine:
    """Compile ``graph`` for the CPU, for one picture at a time where that is sound.

    On a CPU, pictures together cost what they cost one after another, and a graph with a free
    batch axis costs more (docs/decisions/0006-engines.md). So a free or fixed batch size becomes
    one; a fixed size is kept only where pictures alone get other answers. ``options.batch`` asks
    for batches of a size besides.

    Raises UnsupportedModel for what OpenVINO cannot read or compile, ModelFileDamaged for names
    that are not in the file, ModelFileTooLarge for tensors above ``max_activation_bytes``.
    """
    openvino = import_openvino()
    core = openvino.Core()
    # A mapped file that someone writes over while it is served ends the process (SIGBUS).
    core.set_property({"ENABLE_MMAP": False})
    with _reading(graph):
        model = _cut(core, openvino, graph)
        single = _reshaped(model, batch=1)
    check_activations(_shapes(single or model), limit=options.max_activation_bytes)
    declared = _length(model.input(0), default=1)
    if single is not None and declared in {None, 1}:
        if options.batch > 1:
            together = _several(graph, core, model, options)
            if together is not None:
                return together
        return _one_by_one(graph, core, single, options)
    own = _compiled(core, model, options)
    facts = _facts(graph, model, own)
    if single is not None and declared is not None:
        alone = _compiled(core, single, options)
        if rows_stand_alone(graph, _Request(own), _Request(alone), rows=declared):
            return _engine(facts, alone, options, batch_size=1)
    return _engine(facts, own, options, batch_size=declared)


class _Request:
    """One infer request: the runner of one thread."""

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()
        self._outputs = list(compiled.outputs)

    def run(self, batch: Tensor) -> Sequence[Raw]:
        try:
            # shared: the library reads our array in place and shows its own; the engine copies
            answers = self._request.infer(batch, share_inputs=True, share_outputs=True)
            return [answers[output] for output in self._outputs]
        except (RuntimeError, ValueError, TypeError, MemoryError) as error:
            raise EngineFailed(f"OpenVINO could not run the batch: {_gist(error)}") from error


def _one_by_one(graph: Graph, core: Any, model: Any, options: EngineOptions) -> PooledEngine:
    """The engine of a graph that runs one picture at a time.

    A picture that comes alone is quickest with every core at work on it. Pictures that come
    together are answered fastest with a core each: no core waits for another then. Where nobody
    chose, a small graph is compiled for both.
    """
    compiled = _compiled(core, model, options)
    streams = min(options.threads or usable_cores(), _MOST_STREAMS)
    if options.streams or streams == 1 or _constant_bytes(model) > _SMALL:
        return _engine(_facts(graph, model, compiled), compiled, options, batch_size=1)

    def side_by_side() -> list[Runner]:
        try:
            beside = _compiled(core, model, replace(options, streams=streams))
            return [_Request(beside) for _ in range(streams)]
        except (UnsupportedModel, RuntimeError, MemoryError):  # it goes on as it is
            return []

    return PooledEngine(
        replace(_facts(graph, model, compiled), batch_size=1),
        [_Request(compiled)],
        company=Company(streams=streams, make=side_by_side),
    )


def _constant_bytes(model: Any) -> int:
    nodes = (node for node in model.get_ops() if node.get_type_name() == "Constant")
    return sum(int(node.get_byte_size()) for node in nodes)


def _engine(
    facts: Facts, compiled: Any, options: EngineOptions, *, batch_size: int | None
) -> PooledEngine:
    runners: list[Runner] = [_Request(compiled) for _ in range(options.streams or 1)]
    return PooledEngine(replace(facts, batch_size=batch_size), runners)


def _facts(graph: Graph, model: Any, compiled: Any) -> Facts:
    """The facts, with the precision as compiled: a processor without bf16 gets f32 of OpenVINO."""
    facts = facts_of(graph, name="openvino", batch_size=None)
    if any(node.get_type_name() == "FakeQuantize" for node in model.get_ops()):
        return replace(facts, precision="int8")
    hint = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    return facts if hint == "f32" else replace(facts, precision=hint)


def _several(graph: Graph, core: Any, model: Any, options: EngineOptions) -> PooledEngine | None:
    """An engine that takes ``options.batch`` pictures at once too; None where rows would mix."""
    size = options.batch
    single, wide = _reshaped(model, batch=1), _reshaped(model, batch=size)
    if single is None or wide is None:
        return None
    alone, many = _compiled(core, single, options), _compiled(core, wide, options)
    if not rows_stand_alone(graph, _Request(many), _Request(alone), rows=size):
        return None
    runners: list[Runner] = [
        Several(_Request(alone), _Request(many), size=size) for _ in range(options.streams or 1)
    ]
    return PooledEngine(_facts(graph, single, alone), runners)


def open_graph(graph: Graph, *, batch_size: int | None) -> Any:
    """``graph`` as OpenVINO holds it (``openvino.Model``), for who wants to rewrite it.

    Cut to its input and outputs, in their order; ``batch_size`` as the loaded engine has it. Raises
    UnsupportedModel, ModelFileDamaged.
    """
    openvino = import_openvino()
    core = openvino.Core()
    core.set_property({"ENABLE_MMAP": False})
    with _reading(graph):
        model = _cut(core, openvino, graph)
        return model if batch_size is None else _reshaped(model, batch=batch_size) or model


def _cut(core: Any, openvino: Any, graph: Graph) -> Any:
    """Read the graph and keep what lies between ``graph.input`` and ``graph.outputs``."""
    if graph.format in {Format.TF_FROZEN_GRAPH, Format.TF_SAVED_MODEL}:
        return read_tensorflow(core, graph)
    model = _read(core, graph)
    outputs = [_find(model, spec, model.outputs) for spec in graph.outputs]
    parameter = _feed(model, openvino, graph.input)
    cut = openvino.Model([openvino.opset13.result(output) for output in outputs], [parameter])
    cut.validate_nodes_and_infer_types()
    return cut


def _read(core: Any, graph: Graph) -> Any:
    if isinstance(graph.source, bytes):
        return core.read_model(graph.source)
    return core.read_model(Path(graph.source))


def _feed(model: Any, openvino: Any, spec: TensorSpec) -> Any:
    """The parameter to feed: the file's own, or a new one where the graph is entered inside."""
    place = _find(model, spec, model.inputs)
    if place.get_node().get_type_name() == "Parameter":
        return place.get_node()
    shape = openvino.PartialShape([-1 if side is None else side for side in spec.shape])
    parameter = openvino.opset13.parameter(shape, getattr(openvino.Type, _DTYPES[spec.dtype]))
    for target in list(place.get_target_inputs()):
        target.replace_source_output(parameter.output(0))
    parameter.output(0).set_names({spec.name})
    return parameter


def _find(model: Any, spec: TensorSpec, ends: Sequence[Any]) -> Any:
    """The place called ``spec.name``; TensorFlow's ``name`` and ``name:0`` are the same."""
    wanted = {spec.name, spec.name.removesuffix(":0"), f"{spec.name}:0"}
    places = (*ends, *(place for node in model.get_ops() for place in node.outputs()))
    for place in places:
        if wanted & place.get_names():
            node = place.get_node()
            # a Result only shows what its source makes
            return node.input_value(0) if node.get_type_name() == "Result" else place
    if len(ends) == 1:
        return _find_only(ends[0])
    known = ", ".join(sorted(name for end in ends for name in end.get_names())) or "none"
    raise ModelFileDamaged(f"the graph has no tensor {spec.name!r}; its ends are: {known}")


def _find_only(end: Any) -> Any:
    node = end.get_node()
    return node.input_value(0) if node.get_type_name() == "Result" else end


def _reshaped(model: Any, *, batch: int) -> Any | None:
    """A copy of ``model`` for that batch size, None where inference of shapes refuses it."""
    shape = model.input(0).partial_shape
    if shape.rank.is_dynamic or shape.rank.get_length() == 0:
        return None
    shape[0] = batch
    copy = model.clone()
    try:
        copy.reshape({copy.input(0): shape})
    except RuntimeError:
        return None
    return copy


def _compiled(core: Any, model: Any, options: EngineOptions) -> Any:
    properties = {
        # bfloat16, OpenVINO's default where the processor has it, changes answers
        "INFERENCE_PRECISION_HINT": "bf16" if options.precision == "bf16" else "f32",
        "EXECUTION_MODE_HINT": "PERFORMANCE" if options.precision == "bf16" else "ACCURACY",
        "PERFORMANCE_HINT": "LATENCY" if options.streams <= 1 else "THROUGHPUT",
        "NUM_STREAMS": options.streams or 1,
        # pinned threads of several models in one process end up on the same cores
        "ENABLE_CPU_PINNING": False,
    }
    threads = options.threads or quota_cores()  # a container's share it does not look up
    if threads:
        properties["INFERENCE_NUM_THREADS"] = threads
    try:
        return core.compile_model(model, "CPU", properties)
    except (RuntimeError, MemoryError) as error:
        raise UnsupportedModel(f"OpenVINO cannot compile the graph: {_gist(error)}") from error


def _length(end: Any, *, default: int | None) -> int | None:
    """The length of the first axis, None where it is free; ``default`` where there is no axis."""
    shape = end.partial_shape
    if shape.rank.is_dynamic or shape.rank.get_length() == 0:
        return default
    return None if shape[0].is_dynamic else int(shape[0].get_length())


def _shapes(model: Any) -> Iterator[tuple[str, Shape, int]]:
    """Name, shape and bytes an element of every tensor that is computed."""
    for node in model.get_ops():
        if node.get_type_name() in {"Constant", "Result"}:
            continue
        for place in node.outputs():
            shape = place.partial_shape
            sides = () if shape.rank.is_dynamic else tuple(shape)
            lengths = tuple(None if side.is_dynamic else side.get_length() for side in sides)
            yield node.get_friendly_name(), lengths, max(1, place.get_element_type().size)


@contextlib.contextmanager
def _reading(graph: Graph) -> Iterator[None]:
    """Translate what OpenVINO raises while it reads a file."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise UnsupportedModel(
            f"OpenVINO cannot read this {graph.format} graph: {_gist(error)}",
            hint=_OTHER_ENGINES.get(graph.format),
        ) from error


_OTHER_ENGINES = {
    Format.TFLITE: "another engine may read it: --engine litert",
    Format.ONNX: "another engine may read it: pip install 'tintype[onnxruntime]', then "
    "--engine onnxruntime",
}


_FRAME = (
    "Exception from",
    "Check '",
    "FrontEnd API failed",
    "Model wasn't",
    "Summary:",
    "To facilitate",
    "While validating",
)
"""How lines of OpenVINO's messages begin that name its own sources or say nothing."""


def _gist(error: BaseException) -> str:
    """The last line of a message that says something to a user."""
    lines = [line.strip().removeprefix("-- ") for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith(_FRAME)]
    return (telling[-1] if telling else type(error).__name__)[:300]
