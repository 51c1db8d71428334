"""What travels through the record's queue."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tintype.errors import RecordUnavailable
from tintype.record.values import Difference, Entry, Refusal

if TYPE_CHECKING:
    from sqlalchemy import Connection

LINGER_SECONDS: Final = 0.5
"""The longest that a prediction waits for company before it is written."""

MOST_AT_ONCE: Final = 2000
"""The most that one transaction writes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ask:
    """Work for the writer's connection, done after everything that was handed over before it.

    ``answer`` is set when the transaction is committed, or has failed.
    """

    work: Callable[[Connection], Any]
    answer: Future[Any] = field(default_factory=Future)

    def begin(self) -> bool:
        """Whether somebody still waits for it."""
        return self.answer.running() or self.answer.set_running_or_notify_cancel()

    def give(self, answer: object) -> None:
        """Give the answer; an exception is raised where it is waited for."""
        if isinstance(answer, Exception):
            self.refuse(answer)
        else:
            self.answer.set_result(answer)

    def refuse(self, error: Exception) -> None:
        """Raise ``error`` where the answer is waited for, if it still is."""
        if not self.answer.done() and self.begin():
            self.answer.set_exception(error)


class Stop:
    """The last item: write what came before and leave."""


Item: TypeAlias = Entry | Refusal | Difference | Ask


class Items:
    """The record's queue: many put, the event loop alone all but questions; the writer gathers.

    The writer sleeps while things come together. Something in an empty queue wakes it once, to
    linger; a question, the end, and a full batch end that at once.
    """

    def __init__(self) -> None:
        self._waiting: deque[Item | Stop] = deque()
        self._there = threading.Event()
        self._urgent = threading.Event()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def put(self, item: Item | Stop) -> None:
        """Hand something over. Never waits."""
        self._waiting.append(item)
        waiting = len(self._waiting)
        if isinstance(item, Ask | Stop) or waiting >= MOST_AT_ONCE:
            self._urgent.set()
            self._there.set()
        elif waiting == 1:
            self._there.set()

    def gather(self, *, seconds: float) -> tuple[list[Item], bool]:
        """What waits, and what comes within LINGER_SECONDS of the first; whether a stop came.

        A question ends the waiting: only what is already there goes with it. Nothing at all
        within ``seconds`` gives an empty list.
        """
        if not self._there.wait(seconds):
            return [], False
        self._urgent.wait(LINGER_SECONDS)
        self._there.clear()
        self._urgent.clear()
        found: list[Item] = []
        while self._waiting and len(found) < MOST_AT_ONCE:
            item = self._waiting.popleft()
            if isinstance(item, Stop):
                return found, True
            found.append(item)
        if self._waiting:
            self._urgent.set()
            self._there.set()
        return found, False


def unavailable(why: str) -> RecordUnavailable:
    """The error for a record that cannot be used now."""
    return RecordUnavailable(
        f"the record cannot be used now: {why}",
        hint="try again later; predictions go on meanwhile",
    )


def statements() -> ModuleType:
    """``tintype.record.store``, for work that a thread does: with it comes SQLAlchemy."""
    from tintype.record import store  # noqa: PLC0415 - never on the way to ready

    return store
