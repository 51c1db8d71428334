"""One batch is run by an engine, in the engine's thread: rows stacked, outputs handed to each."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

import numpy as np

from tintype.errors import EngineFailed, ServingError, TintypeError
from tintype.types import Batch, Begun, Tensor

E = TypeVar("E", bound=BaseException)


class Runnable(Protocol):
    """What the batcher needs of an engine; see ``tintype.engines.engine.Engine``."""

    @property
    def name(self) -> str:
        """For the names of the threads."""
        ...

    @property
    def batch_size(self) -> int | None:
        """The only batch size it takes, None where any goes."""
        ...

    @property
    def streams(self) -> int:
        """How many threads may gain by calling ``run`` side by side."""
        ...

    def run(
        self, batch: Batch, *, deadline: float | None = None, begun: Begun | None = None
    ) -> tuple[Tensor, ...]:
        """Stacked pictures in, one row a picture out, before ``deadline`` if it can.

        A function that makes the batch is called first, in this thread. ``begun`` is called when
        the batch is made and there is room to run it.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One picture's raw outputs, without a batch axis, and where its time went.

    ``outputs`` are float32, or bytes where a remote gives names, in the engine's order.
    ``run_seconds`` is the run of its batch, ``queue_seconds`` all else from ``submit`` on, but for
    the making of a row that the thread made; ``batch``: the pictures in that run.
    """

    outputs: tuple[Tensor, ...]
    queue_seconds: float
    run_seconds: float
    batch: int


Make: TypeAlias = Callable[[], Tensor]
"""Makes a row in the thread that runs it."""

Kind: TypeAlias = tuple[tuple[int, ...], np.dtype[np.generic]]
"""Shape and dtype of a row: only rows alike are stacked."""


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """One picture that waits or is run. ``timer`` tells its waiter when the deadline passes.

    A ``row`` that is made when its turn comes has no ``kind`` yet, and runs alone.
    """

    row: Tensor | Make
    kind: Kind | None
    arrived: float
    deadline: float | None
    future: asyncio.Future[Answer]
    timer: asyncio.TimerHandle | None = None

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits: neither cancelled nor past its deadline."""
        return not self.future.done()


Outcome: TypeAlias = tuple[Entry, Answer | ServingError]


class _Watch:
    """When the run of a batch began, and the seconds that its row took to make; by the thread."""

    __slots__ = ("_started", "begun", "making")

    def __init__(self) -> None:
        self._started = self.begun = time.monotonic()
        self.making = 0.0

    def made(self) -> None:
        """The row is made."""
        self.making = time.monotonic() - self._started

    def begin(self) -> None:
        """The run begins."""
        self.begun = time.monotonic()


def run_batch(engine: Runnable, batch: list[Entry]) -> list[Outcome]:
    """Run a batch; when it fails, each picture alone, so that a bad one hurts only itself."""
    batch = [entry for entry in batch if entry.wanted]
    if not batch:
        return []
    watch = _Watch()
    outputs = _attempt(
        engine,
        _stacked(batch, watch),
        rows=len(batch),
        deadline=_last_deadline(batch),
        begun=watch.begin,
    )
    ended = time.monotonic()
    run = ended - watch.begun
    if isinstance(outputs, ServingError):
        if len(batch) == 1 or not isinstance(outputs, EngineFailed):
            return [(entry, outputs) for entry in batch]  # of a remote: each would fare alike
        return [outcome for entry in batch for outcome in run_batch(engine, [entry])]
    return [
        (
            entry,
            Answer(
                outputs=tuple(output[row] for output in outputs),
                queue_seconds=ended - entry.arrived - watch.making - run,
                run_seconds=run,
                batch=len(batch),
            ),
        )
        for row, entry in enumerate(batch)
    ]


RowOutcome: TypeAlias = tuple[Tensor, ...] | ServingError
"""One picture's raw outputs, without a batch axis, or why there are none."""


def run_rows(engine: Runnable, rows: Sequence[Tensor], *, most: int) -> list[RowOutcome]:
    """Run rows in the calling thread, at most ``most`` together, and only rows alike.

    When a run fails, each of its rows is run alone, so that a bad one hurts only itself. After a
    model that is away no more rows are run: each would fare alike.
    """
    outcomes: list[RowOutcome] = []
    for _, alike in itertools.groupby(rows, key=lambda row: (row.shape, row.dtype)):
        waiting = list(alike)
        for first in range(0, len(waiting), most):
            outcomes += _run_alike(engine, waiting[first : first + most])
            last = outcomes[-1]
            if isinstance(last, ServingError) and not isinstance(last, EngineFailed):
                return outcomes + [last] * (len(rows) - len(outcomes))
    return outcomes


def _run_alike(engine: Runnable, rows: list[Tensor]) -> list[RowOutcome]:
    outputs = _attempt(engine, _stack(rows), rows=len(rows), deadline=None)
    if not isinstance(outputs, ServingError):
        return [tuple(output[row] for output in outputs) for row in range(len(rows))]
    if len(rows) == 1 or not isinstance(outputs, EngineFailed):
        return [outputs] * len(rows)  # of a remote: each would fare alike
    return [outcome for row in rows for outcome in _run_alike(engine, [row])]


def _last_deadline(batch: list[Entry]) -> float | None:
    """When the last of them is given up: the others are told by their own timers."""
    deadlines = [entry.deadline for entry in batch]
    known = [deadline for deadline in deadlines if deadline is not None]
    return max(known) if len(known) == len(deadlines) else None


def _by_itself(error: E) -> E:
    """The error without where it was raised.

    Those frames hold the picture, and this thread's frames the error: a circle that would keep
    the picture until some collection of garbage.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _engine_failed(error: BaseException) -> EngineFailed:
    failure = EngineFailed(f"the engine raised {type(error).__name__}: {error}")
    # one that nobody foresaw keeps its frames, for the log
    failure.__cause__ = _by_itself(error) if isinstance(error, TintypeError) else error
    return failure


def _stacked(batch: list[Entry], watch: _Watch) -> Batch:
    """The rows as one batch; of a row that is yet to be made, how to."""
    make = batch[0].row
    if callable(make):

        def made() -> Tensor:
            row = make()
            watch.made()
            return row[np.newaxis]

        return made
    return _stack([entry.row for entry in batch if not callable(entry.row)])


def _stack(rows: list[Tensor]) -> Tensor:
    return rows[0][np.newaxis] if len(rows) == 1 else np.stack(rows)


def _attempt(
    engine: Runnable,
    batch: Batch,
    *,
    rows: int,
    deadline: float | None,
    begun: Begun | None = None,
) -> tuple[Tensor, ...] | ServingError:
    try:
        outputs = engine.run(batch, deadline=deadline, begun=begun)
    except ServingError as error:
        return _by_itself(error)
    except BaseException as error:  # noqa: BLE001 - whatever an engine raises must reach the waiters
        return _engine_failed(error)
    if any(output.shape[:1] != (rows,) for output in outputs):
        shapes = ", ".join(str(output.shape) for output in outputs)
        return EngineFailed(f"the engine gave {shapes} for {rows} pictures")
    return outputs
