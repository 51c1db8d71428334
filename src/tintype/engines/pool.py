"""A few things of one kind, lent to one thread each."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from tintype.errors import EngineFailed

T = TypeVar("T")


class Pool(Generic[T]):
    """Lends each of ``items`` to one thread at a time; callers wait for a free one.

    After ``close`` nothing more is lent, waiting threads get EngineFailed, and an item still in
    use is let go when its thread brings it back.
    """

    def __init__(self, items: Sequence[T]) -> None:
        self._free: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        self._closed = False
        for item in items:
            self._free.put(item)

    @contextlib.contextmanager
    def lend(self) -> Iterator[T]:
        """Wait for a free item and hold it. Raises EngineFailed when the pool is closed."""
        if self._closed:
            raise _closed()
        item = self._free.get()
        if self._closed or item is None:
            self._free.put(None)  # the next waiting thread must wake as well
            raise _closed()
        try:
            yield item
        finally:
            if not self._closed:
                self._free.put(item)

    def close(self) -> None:
        """Let every free item go and wake those who wait. Calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._free.get_nowait()
        self._free.put(None)


def _closed() -> EngineFailed:
    return EngineFailed("the engine is closed: it can run nothing more")
