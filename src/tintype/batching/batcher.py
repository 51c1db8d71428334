"""The bounded queue of pictures and the threads that run the engine.

One asyncio loop owns the queue; nothing in it is shared, so nothing is locked. A thread gets a
closed batch, stacks it, runs the engine and hands all answers back in one call to the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self, TypeAlias

import numpy as np

from tintype.batching.policy import BatchPolicy, close_batch
from tintype.errors import (
    DeadlineExceeded,
    EngineFailed,
    ModelUnavailable,
    Overloaded,
    ServingError,
    TintypeError,
)
from tintype.types import Tensor


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

    def run(self, batch: Tensor, *, deadline: float | None = None) -> tuple[Tensor, ...]:
        """Stacked pictures in, one row a picture out, before ``deadline`` if it can."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One picture's raw outputs, without a batch axis, and where its time went.

    ``outputs`` are float32, or bytes where a remote gives names, in the engine's order.
    ``queue_seconds`` is from ``submit`` to the start of the run, ``run_seconds`` the run of its
    batch, ``batch`` the pictures in that run.
    """

    outputs: tuple[Tensor, ...]
    queue_seconds: float
    run_seconds: float
    batch: int


OnBatch: TypeAlias = Callable[[int], None]
"""Told of every batch that is run: how many pictures. Called in the loop; must not block."""

_Kind = tuple[tuple[int, ...], np.dtype[np.generic]]


@dataclass(slots=True, kw_only=True, eq=False)
class _Entry:
    """One picture that waits or is run. ``timer`` tells its waiter when the deadline passes."""

    row: Tensor
    kind: _Kind
    arrived: float
    deadline: float | None
    future: asyncio.Future[Answer]
    timer: asyncio.TimerHandle | None = None

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits: neither cancelled nor past its deadline."""
        return not self.future.done()


_Outcome = tuple[_Entry, Answer | ServingError]


@dataclass(slots=True, kw_only=True, eq=False)
class _Threads:
    """The running side of a batcher, made on entering and dropped on leaving."""

    loop: asyncio.AbstractEventLoop
    jobs: queue.SimpleQueue[list[_Entry] | None] = field(default_factory=queue.SimpleQueue)
    workers: list[threading.Thread] = field(default_factory=list)
    idle: int = 0
    ended: int = 0
    drained: asyncio.Event = field(default_factory=asyncio.Event)
    all_ended: asyncio.Event = field(default_factory=asyncio.Event)


class Batcher:
    """Puts single pictures together for an engine, as an asynchronous context manager.

    Inside, ``submit`` may be called from any task of the loop. Leaving finishes what was
    accepted, then ends the threads; the engine stays open and belongs to whoever made it.
    Constructing does no IO and starts nothing.
    """

    def __init__(
        self, engine: Runnable, *, policy: BatchPolicy, on_batch: OnBatch = lambda _: None
    ) -> None:
        self._engine = engine
        self._on_batch = on_batch
        self._policy = policy
        self._queue: dict[_Entry, None] = {}  # in order of arrival; any entry leaves in O(1)
        self._threads: _Threads | None = None
        self._accepting = False
        self._soon: asyncio.Handle | None = None
        self._later: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        threads = _Threads(loop=asyncio.get_running_loop())
        for number in range(self._engine.streams):
            worker = threading.Thread(
                target=self._work,
                args=(threads,),
                name=f"engine-{self._engine.name}-{number}",
                daemon=True,  # an engine that hangs must not keep the process from ending
            )
            threads.workers.append(worker)
            worker.start()
        threads.idle = len(threads.workers)
        self._threads = threads
        self._accepting = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drain, then end the threads. A cancelled drain gives up those who wait."""
        threads = self._threads
        if threads is None:
            return
        self._accepting = False
        self._close_batches()  # nobody lingers for company that cannot come
        try:
            self._tell_drained()
            await threads.drained.wait()
        finally:
            self._give_up()
            for _ in threads.workers:
                threads.jobs.put(None)
        await threads.all_ended.wait()
        for worker in threads.workers:
            worker.join()
        self._threads = None

    def waiting(self) -> int:
        """How many pictures wait for the engine."""
        return len(self._queue)

    async def submit(self, row: Tensor, *, deadline: float | None) -> Answer:
        """Have one picture answered.

        Args:
            row: one picture as the engine takes it, without the batch axis. Not copied: leave it
                alone until the answer is there.
            deadline: in seconds of ``time.monotonic``; None waits for ever.

        Raises:
            Overloaded: at once, when the queue is full.
            DeadlineExceeded: when the deadline passes; a picture that still waits then never
                costs engine time.
            EngineFailed: when the engine could not run this picture.
            RemoteFailed, RemoteUnreachable: when the engine asks a remote.
            ModelUnavailable: when the batcher is not open.
        """
        entry = self._accept(row, deadline)
        try:
            return await entry.future
        finally:
            if entry.timer is not None:
                entry.timer.cancel()
            self._leave(entry)  # still in the queue when its waiter was cancelled
            del entry  # a raised error would keep this frame, and with it the row

    def _accept(self, row: Tensor, deadline: float | None) -> _Entry:
        threads, now = self._threads, time.monotonic()
        if threads is None or not self._accepting:
            raise ModelUnavailable("the model is not loaded, or is going away")
        if deadline is not None and deadline <= now:
            raise _too_late()
        limit = self._policy.max_queue
        if len(self._queue) >= limit:
            raise Overloaded(
                f"{limit} pictures wait for the model already, the most that may",
                hint="try again later; the setting batching.max_queue moves the limit",
                limit=limit,
            )
        entry = _Entry(
            row=row,
            kind=(row.shape, row.dtype),
            arrived=now,
            deadline=deadline,
            future=threads.loop.create_future(),
        )
        if deadline is not None:
            entry.timer = threads.loop.call_later(deadline - now, self._expire, entry)
        self._queue[entry] = None
        if threads.idle and self._soon is None:
            # at the end of this turn of the loop, so that what arrives in it goes together
            self._soon = threads.loop.call_soon(self._close_batches)
        return entry

    def _close_batches(self) -> None:
        """Give every idle thread a batch, if there is one."""
        for handle in (self._soon, self._later):
            if handle is not None:
                handle.cancel()
        self._soon = self._later = None
        threads = self._threads
        while threads is not None and threads.idle and self._queue:
            now = time.monotonic()
            oldest = next(iter(self._queue))
            alike = [entry for entry in self._queue if entry.kind == oldest.kind]
            decision = close_batch(
                self._policy,
                alike=len(alike),
                oldest_waits=now - oldest.arrived if self._accepting else math.inf,
                idle=threads.idle,
                engine_batch=self._engine.batch_size,
            )
            if decision.wait_seconds is not None:
                self._later = threads.loop.call_later(decision.wait_seconds, self._close_batches)
                return
            self._send(threads, alike[: decision.take], now)

    def _send(self, threads: _Threads, batch: list[_Entry], now: float) -> None:
        """Take ``batch`` out of the queue and give those still wanted to a thread."""
        for entry in batch:
            del self._queue[entry]
            if entry.deadline is not None and entry.deadline <= now:
                _tell(entry, _too_late())  # the loop was busy: its timer has not fired yet
        batch = [entry for entry in batch if entry.wanted]
        if batch:
            threads.idle -= 1
            threads.jobs.put(batch)
            self._on_batch(len(batch))

    def _work(self, threads: _Threads) -> None:
        """The life of one engine thread."""
        hand_back = threads.loop.call_soon_threadsafe
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            while (batch := threads.jobs.get()) is not None:
                outcomes = _run(self._engine, batch)
                hand_back(self._done, threads, outcomes)
                del batch, outcomes  # rows are large, and the next job may be long in coming
            hand_back(self._thread_ended, threads)

    def _done(self, threads: _Threads, outcomes: list[_Outcome]) -> None:
        threads.idle += 1
        for entry, outcome in outcomes:
            _tell(entry, outcome)
        self._close_batches()
        self._tell_drained()

    def _thread_ended(self, threads: _Threads) -> None:
        threads.ended += 1
        if threads.ended == len(threads.workers):
            threads.all_ended.set()

    def _expire(self, entry: _Entry) -> None:
        """The deadline passed, in the queue or during the run: the waiter is told either way."""
        _tell(entry, _too_late())
        self._leave(entry)

    def _leave(self, entry: _Entry) -> None:
        if entry in self._queue:
            del self._queue[entry]
            self._tell_drained()

    def _give_up(self) -> None:
        for entry in self._queue:
            _tell(entry, ModelUnavailable("the model went away before this picture's turn"))
        self._queue.clear()

    def _tell_drained(self) -> None:
        threads = self._threads
        if threads is None or self._accepting or self._queue:
            return
        if threads.idle == len(threads.workers):
            threads.drained.set()


def _tell(entry: _Entry, outcome: Answer | TintypeError) -> None:
    if not entry.wanted:
        return
    if isinstance(outcome, Answer):
        entry.future.set_result(outcome)
    else:
        entry.future.set_exception(outcome)


def _run(engine: Runnable, batch: list[_Entry]) -> list[_Outcome]:
    """Run a batch; when it fails, each picture alone, so that a bad one hurts only itself."""
    batch = [entry for entry in batch if entry.wanted]
    if not batch:
        return []
    started = time.monotonic()
    outputs = _attempt(engine, [entry.row for entry in batch], deadline=_last_deadline(batch))
    seconds = time.monotonic() - started
    if isinstance(outputs, ServingError):
        if len(batch) == 1 or not isinstance(outputs, EngineFailed):
            return [(entry, outputs) for entry in batch]  # of a remote: each would fare alike
        return [outcome for entry in batch for outcome in _run(engine, [entry])]
    return [
        (
            entry,
            Answer(
                outputs=tuple(output[row] for output in outputs),
                queue_seconds=started - entry.arrived,
                run_seconds=seconds,
                batch=len(batch),
            ),
        )
        for row, entry in enumerate(batch)
    ]


def _last_deadline(batch: list[_Entry]) -> float | None:
    """When the last of them is given up: the others are told by their own timers."""
    deadlines = [entry.deadline for entry in batch]
    known = [deadline for deadline in deadlines if deadline is not None]
    return max(known) if len(known) == len(deadlines) else None


def _attempt(
    engine: Runnable, rows: list[Tensor], *, deadline: float | None
) -> tuple[Tensor, ...] | ServingError:
    batch = rows[0][np.newaxis] if len(rows) == 1 else np.stack(rows)
    try:
        outputs = engine.run(batch, deadline=deadline)
    except ServingError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever an engine raises must reach the waiters
        failure = EngineFailed(f"the engine raised {type(error).__name__}: {error}")
        failure.__cause__ = error
        return failure
    if any(output.shape[:1] != (len(rows),) for output in outputs):
        shapes = ", ".join(str(output.shape) for output in outputs)
        return EngineFailed(f"the engine gave {shapes} for {len(rows)} pictures")
    return outputs


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("the deadline passed before the model's answer was there")
