"""A few things of one kind, lent to one thread each."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from tintype.errors import EngineFailed

T = TypeVar("T")
R = TypeVar("R")


class Pool(Generic[T]):
    """Lends each of ``items`` to one thread at a time; callers wait for a free one.

    ``alone`` is lent only to who is alone while nothing is lent: nobody else borrows or makes
    ready what to borrow for. After ``close`` nothing more is lent, waiting threads get
    EngineFailed, and an item still in use is let go when its thread brings it back.
    """

    def __init__(self, items: Sequence[T], *, alone: T | None = None) -> None:
        self._free = deque(items)
        self._alone = alone
        self._only_alone = not items
        self._there = 0
        self._lent = 0
        self._closed = False
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def lend(self, ready: Callable[[], R]) -> Iterator[tuple[T, R]]:
        """Call ``ready``, wait for a free item and hold it; give both.

        What ``ready`` makes is made while others hold all items: the next to come back finds it.
        Raises EngineFailed when the pool is closed, and what ``ready`` raises.
        """
        with self._changed:
            self._there += 1
        try:
            made = ready()
            item = self._take()
            try:
                yield item, made
            finally:
                self._bring_back(item)
        finally:
            with self._changed:
                self._there -= 1

    def add(self, items: Sequence[T]) -> None:
        """Lend these as well; they are let go if the pool is closed."""
        with self._changed:
            if items and not self._closed:
                self._only_alone = False
                self._free.extend(items)
                self._changed.notify_all()

    def close(self) -> None:
        """Let every free item go and wake those who wait. Calling it again does nothing."""
        with self._changed:
            self._closed = True
            self._free.clear()
            self._alone = None
            self._changed.notify_all()

    def _take(self) -> T:
        with self._changed:
            while not self._closed:
                if self._alone is not None and not self._lent and self._is_alone():
                    self._lent = 1
                    return self._alone
                if self._free:
                    self._lent += 1
                    return self._free.popleft()
                self._changed.wait()
        raise EngineFailed("the engine is closed: it can run nothing more")

    def _is_alone(self) -> bool:
        return self._there == 1 or self._only_alone

    def _bring_back(self, item: T) -> None:
        with self._changed:
            self._lent -= 1
            if item is not self._alone and not self._closed:
                self._free.append(item)
            self._changed.notify()
