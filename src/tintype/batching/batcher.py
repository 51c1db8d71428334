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
from typing import Self, TypeAlias

from tintype.batching.held import AHEAD, Held
from tintype.batching.policy import BatchPolicy, close_batch, settled
from tintype.batching.running import Answer, Entry, Make, Outcome, Runnable, run_batch
from tintype.errors import DeadlineExceeded, ModelUnavailable, Overloaded, TintypeError
from tintype.types import Tensor

OnBatch: TypeAlias = Callable[[int], None]
"""Told of every batch that is run: how many pictures. Called in the loop; must not block."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Threads:
    """The running side of a batcher, made on entering and dropped on leaving."""

    loop: asyncio.AbstractEventLoop
    jobs: queue.SimpleQueue[list[Entry] | None] = field(default_factory=queue.SimpleQueue)
    workers: list[threading.Thread] = field(default_factory=list)
    places: int = 0
    """Batches that may be with the threads: at work, or next."""
    free: int = 0
    """Those that are not."""
    ended: int = 0
    drained: asyncio.Event = field(default_factory=asyncio.Event)
    all_ended: asyncio.Event = field(default_factory=asyncio.Event)


class Batcher:
    """Puts single pictures together for an engine, as an asynchronous context manager.

    Inside, ``submit`` may be called from any task of the loop. Leaving finishes what was
    accepted, then ends the threads; the engine stays open and belongs to whoever made it.
    ``begin`` is called in each thread of the engine before anything runs there. ``steady``: a run
    takes about as long as the one before, which a call over a network does not. ``together``: one
    batch is quicker than two halves side by side, as on a GPU. ``spare``: called in one
    thread more than can run side by side, which makes a row ready meanwhile; without it there is
    none. Constructing does no IO and starts nothing.
    """

    def __init__(  # noqa: PLR0913 - an engine, and how it is run
        self,
        engine: Runnable,
        *,
        policy: BatchPolicy,
        on_batch: OnBatch = lambda _: None,
        begin: Callable[[], None] = lambda: None,
        drain_seconds: float = 30.0,
        steady: bool = True,
        together: bool = False,
        spare: Callable[[], None] | None = None,
    ) -> None:
        self._engine = engine
        self._steady = steady
        self._drain_seconds = drain_seconds
        self._on_batch = on_batch
        self._policy = settled(policy, together=together)
        self._together = together
        self._begins = [begin] * engine.streams + ([] if spare is None else [spare])
        self._queue: dict[Entry, None] = {}  # in order of arrival; any entry leaves in O(1)
        self._threads: _Threads | None = None
        self._accepting = False
        self._soon: asyncio.Handle | None = None
        self._later: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        threads = _Threads(loop=asyncio.get_running_loop())
        for number, begin in enumerate(self._begins):
            worker = threading.Thread(
                target=self._work,
                args=(threads, begin),
                name=f"engine-{self._engine.name}-{number}",
                daemon=True,  # an engine that hangs must not keep the process from ending
            )
            threads.workers.append(worker)
            worker.start()
        # Where pictures run one by one, nothing is lost by closing the next batches early, and a
        # thread need not wait for the loop's turn between two runs.
        threads.places = len(threads.workers) * (AHEAD if self._engine.batch_size == 1 else 1)
        threads.free = threads.places
        self._threads = threads
        self._accepting = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drain, then end the threads. A cancelled drain gives up those who wait.

        A run that does not end within ``drain_seconds`` is left to itself: its thread cannot be
        stopped, and nobody is kept by it.
        """
        threads = self._threads
        if threads is None:
            return
        self._accepting = False
        self._close_batches()  # nobody lingers for company that cannot come
        try:
            self._tell_drained()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._drain_seconds):
                    await threads.drained.wait()
        finally:
            self._give_up()
            for _ in threads.workers:
                threads.jobs.put(None)
        self._threads = None
        if threads.drained.is_set():
            await threads.all_ended.wait()
            for worker in threads.workers:
                worker.join()

    def waiting(self) -> int:
        """How many pictures wait for the engine."""
        return len(self._queue)

    async def submit(self, row: Tensor | Make, *, deadline: float | None) -> Answer:
        """Have one picture answered.

        Args:
            row: one picture as the engine takes it, without the batch axis. Not copied: leave it
                alone until the answer is there. Or a function that makes it in the engine's
                thread, for an engine that takes pictures one by one; one that raises is answered
                with EngineFailed.
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

    def _accept(self, row: Tensor | Make, deadline: float | None) -> Entry:
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
        entry = Entry(
            row=row,
            kind=None if callable(row) else (row.shape, row.dtype),
            arrived=now,
            deadline=deadline,
            future=threads.loop.create_future(),
        )
        if deadline is not None:
            entry.timer = threads.loop.call_later(deadline - now, self._expire, entry)
        self._queue[entry] = None
        if threads.free and self._engine.batch_size == 1:
            self._close_batches()
        elif threads.free and self._soon is None:
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
        while threads is not None and threads.free and self._queue:
            now = time.monotonic()
            oldest = next(iter(self._queue))
            alike = [entry for entry in self._queue if entry.kind == oldest.kind]
            decision = close_batch(
                self._policy,
                alike=len(alike),
                oldest_waits=now - oldest.arrived if self._accepting else math.inf,
                idle=1 if self._together else threads.free,
                engine_batch=self._engine.batch_size,
            )
            if decision.wait_seconds is not None:
                self._later = threads.loop.call_later(decision.wait_seconds, self._close_batches)
                return
            self._send(threads, alike[: decision.take], now)

    def _send(self, threads: _Threads, batch: list[Entry], now: float) -> None:
        """Take ``batch`` out of the queue and give those still wanted to a thread."""
        for entry in batch:
            del self._queue[entry]
            if entry.deadline is not None and entry.deadline <= now:
                _tell(entry, _too_late())  # the loop was busy: its timer has not fired yet
        batch = [entry for entry in batch if entry.wanted]
        if batch:
            threads.free -= 1
            threads.jobs.put(batch)
            self._on_batch(len(batch))

    def _work(self, threads: _Threads, begin: Callable[[], None]) -> None:
        """The life of one engine thread."""
        begin()
        hand_back = threads.loop.call_soon_threadsafe
        ended = False
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            while not ended:
                held = Held()
                ended = self._work_on(threads.jobs, held)
                if held.batches:
                    hand_back(self._done, threads, held.batches, held.outcomes)
                del held  # rows are large, and the next job may be long in coming
            hand_back(self._thread_ended, threads)

    def _work_on(self, jobs: queue.SimpleQueue[list[Entry] | None], held: Held) -> bool:
        """Run the next batch, and those whose answers go with its own; tell whether that is all."""
        batch = jobs.get()
        while batch is not None:
            begun = time.monotonic()
            held.add(run_batch(self._engine, batch))
            more = jobs.qsize() if self._steady else 0
            if not held.waits(begun, time.monotonic(), more=more):
                return False
            try:
                batch = jobs.get_nowait()
            except queue.Empty:  # other threads took them: nothing is kept for who may never come
                return False
        return True

    def _done(self, threads: _Threads, batches: int, outcomes: list[Outcome]) -> None:
        threads.free += batches
        for entry, outcome in outcomes:
            _tell(entry, outcome)
        self._close_batches()
        self._tell_drained()

    def _thread_ended(self, threads: _Threads) -> None:
        threads.ended += 1
        if threads.ended == len(threads.workers):
            threads.all_ended.set()

    def _expire(self, entry: Entry) -> None:
        """The deadline passed, in the queue or during the run: the waiter is told either way."""
        _tell(entry, _too_late())
        self._leave(entry)

    def _leave(self, entry: Entry) -> None:
        if entry in self._queue:
            del self._queue[entry]
            self._tell_drained()

    def _give_up(self) -> None:
        given = [*self._queue]
        self._queue.clear()
        if self._threads is not None:
            with contextlib.suppress(queue.Empty):
                while True:  # those next behind a run that hangs
                    given += self._threads.jobs.get_nowait() or ()
        for entry in given:
            _tell(entry, ModelUnavailable("the model went away before this picture's turn"))

    def _tell_drained(self) -> None:
        threads = self._threads
        if threads is None or self._accepting or self._queue:
            return
        if threads.free == threads.places:
            threads.drained.set()


def _tell(entry: Entry, outcome: Answer | TintypeError) -> None:
    if not entry.wanted:
        return
    if isinstance(outcome, Answer):
        entry.future.set_result(outcome)
    else:
        entry.future.set_exception(outcome)


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded(
        "the deadline passed before the model's answer was there",
        hint="the setting requests.deadline_seconds moves it",
    )
