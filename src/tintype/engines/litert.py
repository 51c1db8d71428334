"""LiteRT (formerly TensorFlow Lite): every TFLite file, custom operations included."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tintype.cores import usable_cores
from tintype.engines.engine import EngineOptions
from tintype.engines.memory import check_activations
from tintype.engines.pooled import PooledEngine, facts_of, rows_stand_alone
from tintype.engines.tensors import Raw
from tintype.errors import EngineFailed, ModelFileDamaged, UnsupportedModel
from tintype.types import Graph, Shape, Tensor, TensorSpec

_ERRORS = (RuntimeError, ValueError, TypeError, MemoryError, IndexError, OSError)


def load_litert(graph: Graph, options: EngineOptions) -> PooledEngine:
    """Load a TFLite file, for one picture at a time where that is sound.

    Resizing between batch sizes costs more than a batch gains on a CPU. A fixed size other than
    one is kept only where pictures alone get other answers.

    Raises UnsupportedModel for what LiteRT cannot read, ModelFileDamaged for names that are not
    in the file, ModelFileTooLarge for tensors above ``max_activation_bytes``.
    """
    if isinstance(graph.source, bytes):
        raise UnsupportedModel("LiteRT reads TFLite files, not graphs in memory")
    with _reading():
        content = Path(graph.source).read_bytes()  # shared by all interpreters
    runners = [_Interpreter(content, graph, options) for _ in range(options.streams or 1)]
    batch_size = runners[0].declared_batch
    if batch_size != 1:
        own = _Interpreter(content, graph, options)
        batch_size = 1 if rows_stand_alone(graph, own, runners[0], rows=batch_size) else batch_size
    facts = facts_of(graph, name="litert", batch_size=batch_size)
    return PooledEngine(facts, runners)


class _Interpreter:
    """One interpreter: the runner of one thread. Resized when the batch's shape changes."""

    def __init__(self, content: bytes, graph: Graph, options: EngineOptions) -> None:
        from ai_edge_litert.interpreter import (  # noqa: PLC0415 - slow import, few models need it
            Interpreter,
        )

        with _reading():
            self._interpreter = Interpreter(model_content=content, num_threads=_threads(options))
            check_activations(_tensors(self._interpreter), limit=options.max_activation_bytes)
            self._interpreter.allocate_tensors()
        entry = _find(graph.input, self._interpreter.get_input_details())
        self._input = int(entry["index"])
        self._shape: tuple[int, ...] = tuple(int(side) for side in entry["shape"])
        self.declared_batch = self._shape[0] if self._shape else 1
        details = self._interpreter.get_output_details()
        self._outputs = [int(_find(output, details)["index"]) for output in graph.outputs]

    def run(self, batch: Tensor) -> Sequence[Raw]:
        try:
            if batch.shape != self._shape:
                self._interpreter.resize_tensor_input(self._input, batch.shape)
                self._interpreter.allocate_tensors()
                self._shape = batch.shape
            self._interpreter.set_tensor(self._input, batch)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(output) for output in self._outputs]
        except _ERRORS as error:
            self._shape = ()  # whatever was resized, the next run begins afresh
            raise EngineFailed(f"LiteRT could not run the batch: {_gist(error)}") from error


def _threads(options: EngineOptions) -> int:
    """Threads of each interpreter: they share what there is."""
    return max(1, (options.threads or usable_cores()) // (options.streams or 1))


def _find(spec: TensorSpec, details: Sequence[dict[str, Any]]) -> dict[str, Any]:
    for entry in details:
        if entry["name"] == spec.name:
            return entry
    if len(details) == 1:
        return details[0]
    known = ", ".join(str(entry["name"]) for entry in details) or "none"
    raise ModelFileDamaged(f"the graph has no tensor {spec.name!r}; its ends are: {known}")


def _tensors(interpreter: Any) -> Iterator[tuple[str, Shape, int]]:
    """Name, shape and bytes an element of every tensor; constants are few beside the others."""
    for entry in interpreter.get_tensor_details():
        size = np.dtype(entry["dtype"]).itemsize or 1
        yield str(entry["name"]), tuple(int(side) for side in entry["shape"]), size


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except _ERRORS as error:
        raise UnsupportedModel(f"LiteRT cannot read this TFLite file: {_gist(error)}") from error


def _gist(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
