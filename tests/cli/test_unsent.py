"""Who takes nothing of what is written is cut off."""

from __future__ import annotations

import asyncio

import pytest

from tintype.cli.unsent import Unsent


class Wire(asyncio.Transport):
    """Holds as many bytes as its client has not taken."""

    unsent = 10
    aborted = False

    def get_write_buffer_size(self) -> int:
        """What is held."""
        return self.unsent

    def abort(self) -> None:
        """Be cut."""
        self.aborted = True


@pytest.fixture
def wire() -> Wire:
    return Wire()


async def turns() -> None:
    """Let timers of no length fire."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_takes_nothing_is_cut_off(wire):
    """At the first look."""
    Unsent(wire, asyncio.get_running_loop()).watch(0)
    await turns()
    assert wire.aborted


async def test_who_takes_a_little_is_waited_for(wire):
    """However slowly, as long as some goes between two looks."""
    unsent = Unsent(wire, asyncio.get_running_loop())
    unsent.watch(0)
    for left in range(9, -1, -1):
        wire.unsent = left
        unsent._look(0)
    assert not wire.aborted
    await turns()
    assert not wire.aborted


async def test_where_all_is_sent_nothing_is_watched(wire):
    """An idle connection has no timer."""
    wire.unsent = 0
    Unsent(wire, asyncio.get_running_loop()).watch(0)
    await turns()
    assert not wire.aborted


async def test_a_watch_can_end(wire):
    """The client reads on, or is gone."""
    unsent = Unsent(wire, asyncio.get_running_loop())
    unsent.watch(0)
    unsent.rest()
    await turns()
    assert not wire.aborted
