"""The record while the server runs: requests hand over and go on, one thread writes.

Everything goes through one queue, in order: what was answered, and what is asked about it. So a
prediction that was just answered is found by the feedback that follows it, whatever the writer
has not written yet. Where several processes write one record, one that does not find a prediction
has the others write what they have, and looks again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeVar

from msgspec.structs import replace

from tintype.errors import Overloaded, TintypeError, UnknownPrediction
from tintype.record.items import Ask, Items, Stop, statements, unavailable
from tintype.record.ledger import Ledger
from tintype.record.place import Place
from tintype.record.policy import RecordPolicy
from tintype.record.readers import Readers
from tintype.record.tally import Tally
from tintype.record.values import (
    Difference,
    Entry,
    Judged,
    ModelFacts,
    Models,
    RecordCounts,
    RecordedPrediction,
    RecordedResult,
    Refusal,
    Said,
    now_ms,
)
from tintype.types import Prediction, Result

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")

COUNTS_QUESTION: Final = "counts"
"""What processes ask each other for their ``RecordCounts``."""

MOST_LABELS: Final = 50
MOST_BOXES: Final = 100
_MOST_ASKS: Final = 1000
_PATIENCE_SECONDS: Final = 15.0
LEAVE_SECONDS: Final = 20.0


class CallerFacts(Protocol):
    """Who asked."""

    @property
    def request_id(self) -> str:
        """The id of the HTTP request."""
        ...

    @property
    def key(self) -> str:
        """The name of the API key, empty without one."""
        ...


class Asked(Protocol):
    """What the record looks at in a request."""

    @property
    def image(self) -> bytes:
        """The picture as it was sent."""
        ...

    @property
    def caller(self) -> CallerFacts:
        """Who asked."""
        ...


class Recorder:
    """Takes what was answered, and answers about it. An observer of predictions.

    Enter it to start the thread, leave it to write what waits. ``state`` is a folder.
    """

    def __init__(self, place: Place, *, state: Path, policy: RecordPolicy) -> None:
        self._place = place
        self._policy = policy
        self._models: Models = {}
        self._items = Items()
        self._asks = 0
        self._ledger = Ledger(state)
        self._tally = Tally(self._ledger)
        self._readers = Readers(place)
        self._forgotten: Callable[[], None] = _no_pictures
        self._others: Callable[[], Awaitable[bool]] | None = None
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._write, name="record", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread. It opens the database a moment later."""
        self._ledger.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what waits. A database that does not answer is not waited for long."""
        self._leaving.set()
        self._items.put(Stop())
        self._thread.join(LEAVE_SECONDS)
        self._readers.close()
        self._ledger.__exit__(kind, error, trace)

    def know(self, models: Iterable[ModelFacts]) -> None:
        """The models that answer from now on, by name and version; the others stay known."""
        self._models = {**self._models, **{(each.name, each.version): each for each in models}}

    def answered(self, request: Asked, prediction: Prediction) -> None:
        """Take a prediction, or drop and count it when too many wait."""
        if self._is_full():
            self._tally.overflow += 1
            return
        self._tally.take()
        self._items.put(
            Entry(
                at_ms=now_ms(),
                request_id=request.caller.request_id,
                key=request.caller.key,
                image_bytes=len(request.image),
                prediction=_shortened(prediction),
                models=self._models,
            )
        )

    def refused(self, request: Asked, error: TintypeError, *, seconds: float) -> None:
        """Take a refusal; when too many wait, it is not recorded."""
        if self._is_full():
            return
        self._items.put(
            Refusal(
                at_ms=now_ms(),
                request_id=request.caller.request_id,
                key=request.caller.key,
                image_bytes=len(request.image),
                error=error.type,
                seconds=seconds,
            )
        )

    def differs(self, prediction_id: str, position: int, canary: Result) -> None:
        """Take what a canary said otherwise; when too many wait, it is not recorded.

        ``position`` is the place of the stable version's result in the prediction.
        """
        if self._is_full():
            return
        self._items.put(
            Difference(
                at_ms=now_ms(),
                prediction_id=prediction_id,
                position=position,
                canary=_short(canary),
                models=self._models,
            )
        )

    async def find(self, prediction_id: str) -> RecordedPrediction:
        """A prediction with what was said of it. Raises UnknownPrediction, RecordUnavailable."""
        return await self._about(lambda connection: statements().find(connection, prediction_id))

    async def say(
        self, prediction_id: str, said: Said, *, key: str
    ) -> tuple[RecordedResult, Judged]:
        """Keep what a person said, in place of what was said before; committed when this returns.

        Gives the result that was meant and what the words mean for it. Raises UnknownPrediction,
        MalformedRequest, RecordUnavailable.
        """
        at_ms = now_ms()
        return await self._about(
            lambda connection: statements().put_feedback(
                connection, prediction_id, said, key=key, at_ms=at_ms
            )
        )

    async def forget(self, prediction_id: str) -> None:
        """Delete a prediction and what was said of it. Raises UnknownPrediction.

        If its kept picture is of no other prediction, ``when_forgotten`` is told.
        """
        if await self._about(lambda connection: statements().forget(connection, prediction_id)):
            self._forgotten()

    def when_forgotten(self, tell: Callable[[], None]) -> None:
        """Who deletes kept pictures that are of no prediction any more. Must not block."""
        self._forgotten = tell

    def when_unknown(self, others: Callable[[], Awaitable[bool]]) -> None:
        """Who has other processes write what they have; tells whether it is worth another look."""
        self._others = others

    async def catch_up(self) -> None:
        """Have all written that was answered so far. Raises RecordUnavailable, Overloaded."""
        if self.counts().waiting:
            await self.ask(_nothing)

    async def ask(self, work: Callable[[Connection], T]) -> T:
        """Have ``work`` done on the writer's connection, after what was handed over before.

        Its answer is given when the transaction is committed. ``work`` must be quick: everything
        waits for it. Raises RecordUnavailable, Overloaded, and the TintypeError that it raises.
        """
        if self._asks >= _MOST_ASKS:
            raise Overloaded("too many questions to the record wait", limit=_MOST_ASKS)
        self._asks += 1
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await asyncio.wrap_future(self.hand_over(work))
        except TimeoutError:
            raise unavailable(f"it did not answer within {_PATIENCE_SECONDS:g} seconds") from None
        finally:
            self._asks -= 1

    async def _about(self, work: Callable[[Connection], T]) -> T:
        """``ask`` about one prediction: what another process may still have is looked for there."""
        try:
            return await self.ask(work)
        except UnknownPrediction:
            if self._others is None or not await self._others():
                raise
        return await self.ask(work)

    def hand_over(self, work: Callable[[Connection], T]) -> Future[T]:
        """``ask`` for threads: the answer will be in the future. Raises RecordUnavailable."""
        if self._tally.problem:
            raise unavailable(self._tally.problem)
        one = Ask(work=work)
        self._items.put(one)
        return one.answer

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Have ``work`` done on a connection of its own that only reads, in a thread.

        It sees what was handed over before, and may take its time: the writer goes on. Raises
        RecordUnavailable, and the TintypeError that it raises.
        """
        await self.ask(_nothing)
        return await asyncio.to_thread(self._readers.read, work)

    def read_here(self, work: Callable[[Connection], T]) -> T:
        """``read`` for threads, of what is committed by now."""
        return self._readers.read(work)

    def counts(self) -> RecordCounts:
        """How the record does."""
        return self._tally.counts()

    def _is_full(self) -> bool:
        return len(self._items) >= self._policy.queue

    def _write(self) -> None:
        # SQLAlchemy takes longer to import than the rest of a start: here, nobody waits for it.
        from tintype.record.writer import Writer  # noqa: PLC0415 - see above

        Writer(
            self._place,
            items=self._items,
            tally=self._tally,
            policy=self._policy,
            leaving=self._leaving,
        ).run()


def _no_pictures() -> None:
    """Nobody keeps any."""


def _nothing(_: Connection) -> None:
    """Asked only to wait until everything before it is written."""


def _shortened(prediction: Prediction) -> Prediction:
    """The prediction without what is not kept, so that a long queue stays small."""
    if not any(_is_long(result) for result in prediction.results):
        return prediction
    return replace(prediction, results=tuple(_short(result) for result in prediction.results))


def _short(result: Result) -> Result:
    if not _is_long(result):
        return result
    return replace(
        result,
        labels=None if result.labels is None else result.labels[:MOST_LABELS],
        boxes=None if result.boxes is None else result.boxes[:MOST_BOXES],
        input=None,
    )


def _is_long(result: Result) -> bool:
    return (
        result.input is not None
        or len(result.labels or ()) > MOST_LABELS
        or len(result.boxes or ()) > MOST_BOXES
    )
