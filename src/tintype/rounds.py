"""Work that many may ask for and that is done seldom, each time for everybody who waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

MOST_WAITING: Final = 200


class Rounds:
    """Does ``work`` in rounds: one each ``apart`` seconds in the long run, one at a time.

    Who joins waits for a round that begins after that, so what was true when they came is seen by
    it. However many join, the work is done no more often; after a rest, ``in_a_row`` rounds may
    follow each other without a pause. Belongs to one event loop; ``work`` must not raise.
    """

    def __init__(
        self,
        work: Callable[[], Awaitable[object]],
        *,
        apart: float,
        in_a_row: int = 1,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._work = work
        self._apart = apart
        self._most_waiting = most_waiting
        self._waiting = 0
        self._ahead = (in_a_row - 1) * apart
        self._paid = 0.0  # when the last round is paid off, at one each ``apart`` seconds
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None

    async def join(self) -> bool:
        """Wait for a round that begins from now on; False, at once, where too many wait already."""
        if self._waiting >= self._most_waiting:
            return False
        if self._next is None:
            self._next = asyncio.ensure_future(self._round())
        self._waiting += 1
        try:
            await asyncio.shield(self._next)
        finally:
            self._waiting -= 1
        return True

    async def _round(self) -> None:
        async with self._turn:
            await asyncio.sleep(self._paid - self._ahead - time.monotonic())
            self._paid = max(self._paid, time.monotonic()) + self._apart
            self._next = None  # who comes from now on came after the beginning
            await self._work()
