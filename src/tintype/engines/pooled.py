"""The engine around a library: checks, fixed batch sizes, dequantising, threads, closing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from tintype.engines.pool import Pool
from tintype.engines.tensors import (
    Raw,
    check_batch,
    parts,
    real_numbers,
    sample_rows,
    with_batch,
)
from tintype.errors import EngineFailed
from tintype.types import Batch, Begun, Float32Array, Graph, Tensor, TensorSpec


class Runner(Protocol):
    """One session of a library, used by one thread at a time."""

    def run(self, batch: Tensor) -> Sequence[Raw]:
        """Run a batch; the arrays may be overwritten by the next run. Raises EngineFailed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an engine says about itself, ``batch_size`` as in ``Engine``.

    ``input`` and ``outputs`` are the graph's own. The graph itself is not kept: it may be large.
    """

    name: str
    precision: str
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    batch_size: int | None


def facts_of(graph: Graph, *, name: str, batch_size: int | None) -> Facts:
    """The facts of an engine called ``name`` that has loaded ``graph``."""
    return Facts(
        name=name,
        precision="int8" if is_quantised(graph) else "f32",
        input=graph.input,
        outputs=graph.outputs,
        batch_size=batch_size,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """Runners for those who come together: how many, and how they are made."""

    streams: int
    make: Callable[[], Sequence[Runner]]


class PooledEngine:
    """An ``Engine`` made of runners, one for each thread that may run side by side.

    With ``company``, the one runner serves who comes alone, and ``widen`` makes those for others.
    """

    def __init__(
        self, facts: Facts, runners: Sequence[Runner], *, company: Company | None = None
    ) -> None:
        self._facts = facts
        self._company = company
        self._streams = len(runners) if company is None else company.streams
        self._runners = Pool(runners) if company is None else Pool((), alone=runners[0])
        self._input = _in_batches(facts.input, facts.batch_size)
        self._outputs = tuple(
            replace(_in_batches(output, facts.batch_size), dtype="float32", quantisation=None)
            for output in facts.outputs
        )

    @property
    def name(self) -> str:
        """The library's name."""
        return self._facts.name

    @property
    def precision(self) -> str:
        """What the library computes in: ``f32``, or ``int8`` for a quantised graph."""
        return self._facts.precision

    @property
    def input(self) -> TensorSpec:
        """The input as ``run`` takes it."""
        return self._input

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs as ``run`` gives them: float32."""
        return self._outputs

    @property
    def batch_size(self) -> int | None:
        """The batch size the graph insists on, None where any goes."""
        return self._facts.batch_size

    @property
    def streams(self) -> int:
        """How many threads may gain by calling ``run`` side by side."""
        return self._streams

    @property
    def reachable(self) -> bool:
        """Always."""
        return True

    def run(
        self, batch: Batch, *, deadline: float | None = None, begun: Begun | None = None
    ) -> tuple[Float32Array, ...]:
        """Run ``batch``, see ``Engine.run``. Any number of rows goes: a fixed size is cut to."""
        del deadline  # a run in this process is short, and cannot be stopped

        def rows() -> Tensor:
            made = batch() if callable(batch) else batch
            check_batch(made, self._input)
            return made

        with self._runners.lend(rows) as (runner, made):
            if begun is not None:
                begun()
            return self._run_parts(runner, made)

    def _run_parts(self, runner: Runner, batch: Tensor) -> tuple[Float32Array, ...]:
        size = self._facts.batch_size
        if size is None or size == batch.shape[0]:
            return self._run(runner, batch)
        done = [self._run(runner, part) for part in parts(batch, size)]
        rows = batch.shape[0]
        return tuple(np.concatenate(pieces)[:rows] for pieces in zip(*done, strict=True))

    def widen(self) -> None:
        """Make the runners for company, if there are to be any."""
        company, self._company = self._company, None
        if company is not None:
            self._runners.add(company.make())

    def close(self) -> None:
        """Give everything back. Calling it again does nothing."""
        self._runners.close()

    def _run(self, runner: Runner, batch: Tensor) -> tuple[Float32Array, ...]:
        rows = batch.shape[0]
        answers = []
        raws = runner.run(np.ascontiguousarray(batch))
        for raw, output in zip(raws, self._facts.outputs, strict=True):
            numbers = real_numbers(raw, output.quantisation)
            if rows == 1 and numbers.shape[:1] != (1,):
                numbers = numbers[None]  # an output without a batch axis is that picture's row
            if numbers.shape[0] != rows:
                raise EngineFailed(
                    f"the output {output.name!r} has shape {numbers.shape}, "
                    f"expected one row for each of the {rows} pictures"
                )
            answers.append(numbers)
        return tuple(answers)


def rows_stand_alone(graph: Graph, together: Runner, alone: Runner, *, rows: int) -> bool:
    """Whether ``rows`` rows run ``together`` get the answers each gets ``alone``, with noise.

    Many files fix a batch size only in their declaration; in others a reshape deep inside insists
    on it, and the engine's library fails or mixes the rows. Equal is within a hundredth of the
    largest number for quantised graphs and a thousandth for others: rows that are mixed up differ
    by far more, sums in another order by far less. Two rows are compared.
    """
    noise = sample_rows(graph.input, rows=rows)
    try:
        answers = [np.array(raw, np.float64) for raw in together.run(noise)]
        if any(answer.ndim == 0 or answer.shape[0] != rows for answer in answers):
            return False
        for row in range(min(rows, 2)):
            singles = alone.run(noise[row : row + 1])
            pairs = zip(answers, singles, strict=True)
            if not all(_close(answer[row : row + 1], raw, graph) for answer, raw in pairs):
                return False
    except EngineFailed:
        return False
    return True


def is_quantised(graph: Graph) -> bool:
    """Whether the graph takes or gives stored integers."""
    return any(spec.quantisation is not None for spec in (graph.input, *graph.outputs))


def _close(left: Raw, right: Raw, graph: Graph) -> bool:
    if left.shape != right.shape:
        return False
    # compared as stored: several quantised levels may flip, rows of other pictures differ by more
    tolerance = 1e-2 if is_quantised(graph) else 1e-3
    other = np.array(right, np.float64)
    largest = float(np.abs(other).max(initial=0.0, where=np.isfinite(other)))
    return bool(np.allclose(left, other, rtol=0, atol=tolerance * largest, equal_nan=True))


def _in_batches(spec: TensorSpec, batch: int | None) -> TensorSpec:
    return replace(spec, shape=with_batch(spec.shape, batch)) if spec.shape else spec
