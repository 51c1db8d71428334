"""ONNX Runtime, an optional extra: operations that OpenVINO does not have, and GPUs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from tintype.cores import quota_cores
from tintype.engines.engine import CUDA, EngineOptions
from tintype.engines.memory import check_activations
from tintype.engines.onnxruntime_cuda import (
    STREAMS,
    Provider,
    cuda_provider,
    filled_engine,
    require_cuda,
)
from tintype.engines.pooled import PooledEngine, facts_of, rows_stand_alone
from tintype.engines.tensors import Raw
from tintype.errors import EngineFailed, ModelFileDamaged, TintypeError, UnsupportedModel
from tintype.types import Graph, Shape, Tensor, TensorSpec

_CPU_PROVIDER: Final[Provider] = ("CPUExecutionProvider", {})


def load_onnxruntime(graph: Graph, options: EngineOptions) -> PooledEngine:
    """Load an ONNX graph, its batch size made free where that is sound.

    Raises UnsupportedModel for what ONNX Runtime cannot read, ModelFileDamaged for names that are
    not in the file, ModelFileTooLarge for tensors above ``max_activation_bytes``, SettingsError for
    a GPU that is not there.
    """
    import onnx  # noqa: PLC0415 - slow to import, and other engines do without
    import onnxruntime  # noqa: PLC0415 - an optional extra

    provider = cuda_provider(onnxruntime, options) if options.device == CUDA else _CPU_PROVIDER
    with _reading():
        model = _read(onnx, graph)
        check_activations(_tensors(onnx, model), limit=options.max_activation_bytes)
    on_cpu = _Loading(library=onnxruntime, graph=graph, options=options, provider=_CPU_PROVIDER)
    engine = _loaded(model, on_cpu)
    if options.device != CUDA:
        return engine
    # whether rows stand alone is the graph's own: it was found out without a GPU's roundings
    if engine.batch_size is not None:
        model = _read(onnx, graph)
    engine.close()
    return replace(on_cpu, provider=provider).engine_on_gpu(model, batch_size=engine.batch_size)


def _loaded(model: Any, loading: _Loading) -> PooledEngine:
    """The engine of ``model``, which is changed to take any batch size where that is sound."""
    graph = loading.graph
    axis = _batch_axis(model, graph.input)
    declared = int(axis.dim_value) or None
    if declared is not None:
        own = loading.session(model)
        _free_batch(model, axis)
        with contextlib.suppress(UnsupportedModel):
            freed = loading.session(model)
            if rows_stand_alone(graph, freed, freed, rows=2):
                return loading.engine(freed, batch_size=None)
        return loading.engine(own, batch_size=declared)
    session = loading.session(model)
    sound = rows_stand_alone(graph, session, session, rows=2)
    return loading.engine(session, batch_size=None if sound else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loading:
    library: Any
    graph: Graph
    options: EngineOptions
    provider: Provider

    @property
    def on_gpu(self) -> bool:
        return self.provider != _CPU_PROVIDER

    def session(self, model: Any) -> _Session:
        settings = self.library.SessionOptions()
        settings.log_severity_level = 4
        settings.intra_op_num_threads = self.options.threads or (
            1 if self.on_gpu else quota_cores() or 0  # 0: a thread for each core of the machine
        )
        # waiting threads that spin take the cores from decoding and from other models
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if not isinstance(self.graph.source, bytes):
            settings.add_session_config_entry(
                "session.model_external_initializers_file_folder_path",
                str(Path(self.graph.source).resolve().parent),
            )
        try:
            session = self.library.InferenceSession(
                model.SerializeToString(), settings, providers=[self.provider]
            )
        except Exception as error:
            # the library's errors share no class but this one
            raise UnsupportedModel(f"ONNX Runtime cannot load the graph: {error}") from error
        if self.on_gpu:
            require_cuda(session)
        return _Session(session, self.graph)

    def engine(self, session: _Session, *, batch_size: int | None) -> PooledEngine:
        facts = facts_of(self.graph, name="onnxruntime", batch_size=batch_size)
        # a session may be run by several threads side by side
        return PooledEngine(facts, [session] * (self.options.streams or 1))

    def engine_on_gpu(self, model: Any, *, batch_size: int | None) -> PooledEngine:
        facts = facts_of(self.graph, name="onnxruntime", batch_size=batch_size)
        if self.options.precision == "tf32":
            facts = replace(facts, precision="tf32")
        if batch_size is not None:
            return PooledEngine(facts, [self.session(model)] * (self.options.streams or STREAMS))
        return filled_engine(facts, partial(self.session, model), options=self.options)


class _Session:
    """A session: the runner of every thread."""

    def __init__(self, session: Any, graph: Graph) -> None:
        self._session = session
        self._input = graph.input.name
        self._outputs = [output.name for output in graph.outputs]

    def run(self, batch: Tensor) -> Sequence[Raw]:
        try:
            answers: Sequence[Raw] = self._session.run(self._outputs, {self._input: batch})
        except Exception as error:
            # the library's errors share no class but this one
            raise EngineFailed(f"ONNX Runtime could not run the batch: {error}") from error
        return answers


def _read(onnx: Any, graph: Graph) -> Any:
    if isinstance(graph.source, bytes):
        return onnx.load_model_from_string(graph.source)
    return onnx.load_model(str(graph.source), load_external_data=False)


def _batch_axis(model: Any, spec: TensorSpec) -> Any:
    for place in model.graph.input:
        if place.name == spec.name and place.type.tensor_type.shape.dim:
            return place.type.tensor_type.shape.dim[0]
    known = ", ".join(place.name for place in model.graph.input) or "none"
    raise ModelFileDamaged(f"the graph has no input {spec.name!r}; its inputs are: {known}")


def _free_batch(model: Any, axis: Any) -> None:
    """Change ``model``: any batch size, and no shapes on record that contradict it."""
    axis.dim_param = "batch"
    del model.graph.value_info[:]
    for place in model.graph.output:
        if place.type.tensor_type.shape.dim:
            place.type.tensor_type.shape.dim[0].dim_param = "batch"


def _tensors(onnx: Any, model: Any) -> Iterator[tuple[str, Shape, int]]:
    """Name, shape and bytes an element of every tensor whose shape can be told."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    for place in (*inferred.input, *inferred.value_info, *inferred.output):
        kind = place.type.tensor_type
        sides = tuple(int(dim.dim_value) or None for dim in kind.shape.dim)
        size = 1
        if kind.elem_type:
            size = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).itemsize or 1
        yield place.name, sides, size


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Translate what the ONNX library and protobuf raise for a bad file."""
    try:
        yield
    except TintypeError:
        raise
    except Exception as error:
        # errors of shape inference, of protobuf and of reading share no class but this one
        raise UnsupportedModel(f"this ONNX file cannot be read: {error}") from error
