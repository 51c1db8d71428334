"""What people said, told from memory and asked for anew now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tintype.errors import RecordUnavailable
from tintype.record.latest import APART_SECONDS, LatestHits, Version
from tintype.record.outcomes import Hits

PETS, BIRDS = ("pets", "1"), ("birds", "1")


class Slow:
    """A record that answers when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self._answer: asyncio.Future = asyncio.get_running_loop().create_future()

    async def read(self, work: Callable) -> dict[Version, Hits]:  # noqa: ARG002 - it has no database
        """Wait for the answer."""
        self.asked += 1
        return await self._answer

    async def answer(self, found: dict[Version, Hits] | Exception) -> None:
        """Answer what was asked; it is taken when this returns."""
        answer, self._answer = self._answer, asyncio.get_running_loop().create_future()
        if isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found)
        for _ in range(3):
            await asyncio.sleep(0)


class Setting:
    """A slow record, a clock, and what is served: all to be moved by a test."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.served = [PETS, BIRDS]
        self.record = Slow()
        self.latest = LatestHits(self.record, served=lambda: self.served, clock=lambda: self.now)

    async def look(self) -> dict[Version, Hits]:
        """Look, and let begin what that begins."""
        told = self.latest.look()
        await asyncio.sleep(0)
        return dict(told)


@pytest.fixture
async def setting() -> Setting:
    return Setting()


def hits(right: int) -> dict[Version, Hits]:
    """Of ten, for both."""
    return dict.fromkeys((PETS, BIRDS), Hits(right=right, judged=10))


async def test_nobody_is_asked_before_somebody_looks_and_then_once_a_minute(setting: Setting):
    """However often they look."""
    setting.now += 10 * APART_SECONDS
    await asyncio.sleep(0)
    assert 0 == setting.record.asked
    assert {} == await setting.look()
    await setting.record.answer(hits(3))
    for _ in range(7):
        setting.now += APART_SECONDS / 8
        assert hits(3) == await setting.look()
    assert 1 == setting.record.asked
    setting.now += APART_SECONDS / 8
    assert hits(3) == await setting.look()
    await setting.record.answer(hits(4))
    assert (hits(4), 2) == (await setting.look(), setting.record.asked)


async def test_a_slow_record_is_asked_once_at_a_time_and_delays_nobody(setting: Setting):
    """What was known is told all the while."""
    await setting.look()
    await setting.record.answer(hits(3))
    for _ in range(5):
        setting.now += APART_SECONDS
        assert hits(3) == await setting.look()
    assert 2 == setting.record.asked


async def test_a_record_that_fails_leaves_what_was_known(setting: Setting, logs):
    """A line tells why; a minute later it is asked again."""
    await setting.look()
    await setting.record.answer(hits(3))
    setting.now += APART_SECONDS
    await setting.look()
    await setting.record.answer(RecordUnavailable("no database"))
    assert hits(3) == await setting.look()
    assert [("accuracy not counted anew", "no database")] == [
        (each["event"], each["why"]) for each in logs
    ]
    setting.now += APART_SECONDS
    await setting.look()
    await setting.record.answer(hits(5))
    assert hits(5) == await setting.look()


async def test_a_version_that_is_served_no_more_is_told_no_more(setting: Setting):
    """From that moment on; one that came is told when it was counted."""
    await setting.look()
    await setting.record.answer(hits(3))
    setting.served = [BIRDS, ("birds", "2")]
    assert {BIRDS} == (await setting.look()).keys()


async def test_who_leaves_asks_no_more(setting: Setting):
    """And takes the answer to what was asked."""
    async with setting.latest:
        await setting.look()
        asyncio.get_running_loop().call_soon(
            lambda: asyncio.ensure_future(setting.record.answer(hits(3)))
        )
    setting.now += APART_SECONDS
    assert (hits(3), 1) == (await setting.look(), setting.record.asked)
