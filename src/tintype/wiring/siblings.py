"""What several server processes tell each other, so that whoever asks one of them asks all."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from tintype.access.door import Door
from tintype.live import LIVE_QUESTION, LivePart, LiveWindow
from tintype.models.keeper import Keeper
from tintype.record.recorder import COUNTS_QUESTION, Recorder
from tintype.record.values import RecordCounts
from tintype.rounds import Rounds
from tintype.settings import Settings
from tintype.siblings import Siblings
from tintype.web.changes import answer_reloads
from tintype.worker import Worker

_FLUSHES_APART_SECONDS: Final = 0.25
_FLUSHES_IN_A_ROW: Final = 8
_FLUSH_SECONDS: Final = 2.5
"""A commit may wait for another writer's lock, and for a busy disk."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a server has that the others are to know of, or to be told by."""

    live: LiveWindow | None
    door: Door | None
    record: Recorder | None
    keeper: Keeper | None


async def meet(
    worker: Worker, parts: Parts, *, settings: Settings, stack: AsyncExitStack
) -> Siblings | None:
    """The other processes, until the stack ends; None where this one serves alone.

    Raises SettingsError where they cannot meet.
    """
    if worker.of == 1:
        return None
    siblings = Siblings(worker)
    if parts.live is not None:
        _tell_live(siblings, parts.live)
    if parts.door is not None:
        _share_door(siblings, parts.door)
        _note_limits(siblings, parts.door, settings)
    if parts.record is not None:
        _share_record(siblings, parts.record)
    if parts.keeper is not None:
        answer_reloads(siblings, parts.keeper)
    return await stack.enter_async_context(siblings)


def _tell_live(siblings: Siblings, live: LiveWindow) -> None:
    """Others may show what this process has of the last minutes."""

    async def part(_: str) -> LivePart:
        return live.part()

    siblings.answer(LIVE_QUESTION, part)


def _share_record(siblings: Siblings, record: Recorder) -> None:
    """What one process answered is found by all, whatever its writer has not written yet.

    However many unknown ids are asked for, others write early four times a second in the long run.
    """

    async def counts(_: str) -> RecordCounts:
        return record.counts()

    async def flush(_: str) -> None:
        await record.catch_up()

    siblings.answer(COUNTS_QUESTION, counts)
    siblings.answer("flush", flush)
    ask = partial(siblings.ask, "flush", type(None), seconds=_FLUSH_SECONDS)
    rounds = Rounds(ask, apart=_FLUSHES_APART_SECONDS, in_a_row=_FLUSHES_IN_A_ROW)
    record.when_unknown(rounds.join)


def _share_door(siblings: Siblings, door: Door) -> None:
    """A session that is closed in one process is closed in all when that is answered."""

    async def look(_: str) -> None:
        await door.keyring.look_again()

    siblings.answer("session-closed", look)
    door.keyring.when_closed(partial(siblings.ask, "session-closed", type(None)))


def _note_limits(siblings: Siblings, door: Door, settings: Settings) -> None:
    """Say once where limits a minute are counted by each process, which lets more through."""
    in_force = settings.limits.address_per_minute or door.keyring.has_rates
    if siblings.number == 0 and in_force and not settings.limits.redis:
        log.warning(
            "limits a minute are counted by each process",
            processes=siblings.of,
            meaning=f"up to {siblings.of} times as many requests may get through",
            hint="limits.redis has all processes count together",
        )
