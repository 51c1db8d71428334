"""What people said of the versions that answer: told from memory, asked for anew now and then."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeAlias

import structlog

from tintype.errors import TintypeError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tintype.record.outcomes import Hits
    from tintype.record.reports import Reads

Version: TypeAlias = tuple[str, str]
"""The name of a model, and the version."""

APART_SECONDS: Final = 60.0
"""The record is asked no more often than that, and only while somebody looks."""

ASKED_SECONDS: Final = 5.0
"""A database that takes longer is given up for this time."""

_LEAVE_SECONDS: Final = 2.0

log = structlog.get_logger(__name__)


class LatestHits:
    """Hits of each version that is ``served``, of everything in the record, as of a while ago.

    Looking waits for nothing: it tells what is known and, where that is old, has the record asked
    in the background, once at a time. Where the record fails or is too slow, what was known stays.
    Belongs to one event loop. Enter it, and leave it before the record.
    """

    def __init__(
        self,
        record: Reads,
        *,
        served: Callable[[], Iterable[Version]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._record = record
        self._served = served
        self._clock = clock
        self._due = -math.inf
        self._known: Mapping[Version, Hits] = {}
        self._asking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Nothing is asked before somebody looks."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ask no more. A question that is out is waited for, but not for long."""
        self._due = math.inf
        if self._asking is not None:
            await asyncio.wait([self._asking], timeout=_LEAVE_SECONDS)
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    def look(self) -> Mapping[Version, Hits]:
        """What is known of the versions that are served at this moment; empty at first."""
        now = self._clock()
        if now >= self._due and (self._asking is None or self._asking.done()):
            self._due = now + APART_SECONDS
            self._asking = asyncio.create_task(self._ask(frozenset(self._served())))
        return {each: self._known[each] for each in self._served() if each in self._known}

    async def _ask(self, versions: frozenset[Version]) -> None:
        def work(connection: Connection) -> Mapping[Version, Hits]:
            from tintype.record import counting  # noqa: PLC0415 - never on the way to ready
            from tintype.record.database import at_most  # noqa: PLC0415 - the same

            with at_most(connection, ASKED_SECONDS):
                return counting.hits(connection, versions)

        try:
            self._known = await self._record.read(work)
        except TintypeError as error:
            log.warning("accuracy not counted anew", why=error.message)
