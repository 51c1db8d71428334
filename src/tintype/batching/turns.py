"""How many pictures are made ready ahead of one engine; the others wait as the bytes that came.

A row that waits long is out of the processor's caches when its turn comes, and is several times as
large as the file it came from. So pictures are decoded when the engine will soon have time.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from types import TracebackType
from typing import Self

from tintype.errors import DeadlineExceeded


class Turns:
    """Lets ``most`` holders in at a time, first come, first served.

    Belongs to one loop; constructing does no IO. How many may wait is bounded by who lets them
    come (``admission``).
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    def waiting(self) -> int:
        """How many wait for their turn."""
        return sum(not waiter.done() for waiter in self._waiting)

    def take(self, *, deadline: float) -> Turn:
        """Hold a turn inside ``async with``.

        Entering raises DeadlineExceeded when ``deadline`` (``time.monotonic``) passes first.
        """
        return Turn(self, deadline)

    async def _enter(self, deadline: float) -> None:
        if self._free:
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiting[waiter] = None
        late = loop.call_later(deadline - time.monotonic(), _tell_late, waiter)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._leave()  # the turn came just as the wait ended
            self._waiting.pop(waiter, None)  # turns may be long in coming: the late do not pile up
            raise
        finally:
            late.cancel()

    def _leave(self) -> None:
        while self._waiting:
            waiter, _ = self._waiting.popitem(last=False)
            if not waiter.done():
                waiter.set_result(None)  # the turn goes from hand to hand
                return
        self._free += 1


def _tell_late(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(
            DeadlineExceeded(
                "the deadline passed before the model had time for the picture",
                hint="the setting requests.deadline_seconds moves it",
            )
        )


class Turn:
    """What ``Turns.take`` gives; to be entered once. ``waited`` are the seconds before it."""

    __slots__ = ("_deadline", "_turns", "waited")

    def __init__(self, turns: Turns, deadline: float) -> None:
        self._turns = turns
        self._deadline = deadline
        self.waited = 0.0

    async def __aenter__(self) -> Self:
        begun = time.monotonic()
        await self._turns._enter(self._deadline)  # noqa: SLF001 - the turns' own handle
        self.waited = time.monotonic() - begun
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._turns._leave()  # noqa: SLF001 - the turns' own handle
