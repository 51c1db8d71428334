"""The thread that writes: gathers what waits, commits it as one transaction, keeps on trying.

A database that cannot be written stops nobody: what was gathered is kept and tried again, what
is asked meanwhile is refused, and what no longer fits into the queue is dropped and counted.
"""

from __future__ import annotations

import threading
import time
from typing import Final

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from tintype.errors import TintypeError
from tintype.record import store
from tintype.record.batch import KnownModels, Outcome, write, write_each
from tintype.record.database import writing
from tintype.record.items import Ask, Item, Items, unavailable
from tintype.record.opening import open_database
from tintype.record.place import Place
from tintype.record.policy import RecordPolicy
from tintype.record.tally import Tally
from tintype.record.values import now_ms

_FIRST_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 30.0
_BACKOFF_SECONDS: Final = (0.5, 1.0, 2.0, 5.0)
_SWEEP_SECONDS: Final = 60.0
_SWEPT_AT_ONCE: Final = 500
_DAY_MS: Final = 86_400_000

log = structlog.get_logger(__name__)


class Writer:
    """Owns the database while the server runs. ``run`` returns after a ``Stop``."""

    def __init__(
        self,
        place: Place,
        *,
        items: Items,
        tally: Tally,
        policy: RecordPolicy,
        leaving: threading.Event,
    ) -> None:
        self._place = place
        self._items = items
        self._tally = tally
        self._policy = policy
        self._leaving = leaving
        self._engine: Engine | None = None
        self._models = KnownModels()
        self._overflow_noted = 0
        self._losses: list[tuple[str, int]] = []
        self._next_sweep = 0.0

    def run(self) -> None:
        """Write until told to stop."""
        lost = self._tally.find_lost()
        if lost:
            log.warning("an earlier run ended before it recorded all it answered", count=lost)
            self._losses.append(("killed", lost))
        items, stop = self._items.gather(seconds=_FIRST_SECONDS)
        while not stop:
            self._write(items)
            items, stop = self._items.gather(seconds=_IDLE_SECONDS)
        self._write(items)
        if self._engine is not None:
            self._engine.dispose()

    def _write(self, items: list[Item]) -> None:
        """Commit; while that fails, refuse what is asked and try the rest again."""
        attempt = 0
        while True:
            last = self._leaving.is_set()
            try:
                outcome = self._commit(items)
            except (DBAPIError, OSError, TintypeError) as error:
                self._failed(error, items)
            else:
                self._succeeded(outcome)
                return
            items = [item for item in items if not isinstance(item, Ask)]
            if last:
                log.error("left without recording everything", why=self._tally.problem)
                return
            self._leaving.wait(_BACKOFF_SECONDS[min(attempt, len(_BACKOFF_SECONDS) - 1)])
            attempt += 1

    def _commit(self, items: list[Item]) -> Outcome:
        if self._engine is None:
            self._engine = open_database(self._place)
        self._models.hash_files(items)
        try:
            with writing(self._engine) as connection:
                outcome = write(connection, items, models=self._models)
                self._keep_house(connection)
        except Exception as error:
            if _is_unavailable(error):
                raise
            log.exception("a row that the record does not take")
            self._models.forget_ids()
            with writing(self._engine) as connection:
                outcome = write_each(connection, items, models=self._models)
                self._keep_house(connection)
        return outcome

    def _keep_house(self, connection: Connection) -> None:
        """Note what was lost, and forget what is older than it is kept."""
        overflow = self._tally.overflow
        if overflow > self._overflow_noted:
            self._losses.append(("dropped", overflow - self._overflow_noted))
            self._overflow_noted = overflow
        for reason, count in self._losses:
            store.add_loss(connection, at_ms=now_ms(), reason=reason, count=count)
        if self._policy.keep_days and time.monotonic() >= self._next_sweep:
            before = now_ms() - int(self._policy.keep_days * _DAY_MS)
            found = store.forget_old(connection, before_ms=before, most=_SWEPT_AT_ONCE)
            if found < _SWEPT_AT_ONCE:
                self._next_sweep = time.monotonic() + _SWEEP_SECONDS

    def _failed(self, error: Exception, items: list[Item]) -> None:
        why = _words(error)
        if not self._tally.problem:
            log.error("the record cannot be written; predictions go on", why=why)
        self._tally.problem = why
        self._models.forget_ids()
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
        for item in items:
            if isinstance(item, Ask):
                item.refuse(unavailable(why))

    def _succeeded(self, outcome: Outcome) -> None:
        self._losses.clear()
        if self._tally.problem:
            self._tally.problem = ""
            log.warning("the record is written again", dropped=self._tally.counts().dropped)
        self._tally.settle(written=outcome.written, turned_down=outcome.turned_down)
        if outcome.turned_down:
            self._losses.append(("refused", outcome.turned_down))
        for ask, answer in outcome.answers:
            ask.give(answer)


def _is_unavailable(error: Exception) -> bool:
    """Whether the database is at fault, and not what was to be written into it."""
    if isinstance(error, DBAPIError):
        return not isinstance(error, IntegrityError | DataError)
    return isinstance(error, OSError | TintypeError)


def _words(error: Exception) -> str:
    """What a database says, in one line, without the statement."""
    if isinstance(error, TintypeError):
        return error.message
    told = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return next(iter(str(told).strip().splitlines()), type(told).__name__)
