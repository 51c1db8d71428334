"""How many pictures are made ready ahead of an engine."""

from __future__ import annotations

import asyncio
import time

import pytest

from tintype.batching.turns import Turns
from tintype.errors import DeadlineExceeded


def soon() -> float:
    """A deadline that nobody reaches."""
    return time.monotonic() + 60


async def hold(turns: Turns, entered: list[str], name: str, until: asyncio.Event) -> None:
    """Take a turn, note it, and hold it."""
    async with turns.take(deadline=soon()):
        entered.append(name)
        await until.wait()


async def turns_of_the_loop() -> None:
    """Let everybody go on as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_only_so_many_come_in():
    """The others wait, and are counted."""
    turns, entered, until = Turns(2), [], asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for name in "abcd":
            group.create_task(hold(turns, entered, name, until))
        await turns_of_the_loop()
        assert (["a", "b"], 2) == (entered, turns.waiting())
        until.set()
    assert (["a", "b", "c", "d"], 0) == (entered, turns.waiting())


async def test_who_is_let_in_at_once_has_not_waited():
    """The seconds are told as time in the queue."""
    async with Turns(1).take(deadline=soon()) as turn:
        assert turn.waited < 1


async def test_the_deadline_ends_the_wait():
    """With the setting that moves it."""
    turns = Turns(1)
    async with turns.take(deadline=soon()):
        with pytest.raises(DeadlineExceeded, match="had time") as late:
            async with turns.take(deadline=time.monotonic() - 1):
                pass
    assert "requests.deadline_seconds" in str(late.value.hint)


async def test_who_gives_up_takes_no_turn():
    """Its place goes to the next."""
    turns, entered, until = Turns(1), [], asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(turns, entered, "first", until))
        await turns_of_the_loop()
        leaves = asyncio.create_task(hold(turns, entered, "leaves", until))
        group.create_task(hold(turns, entered, "stays", until))
        await turns_of_the_loop()
        leaves.cancel()
        await turns_of_the_loop()
        assert 1 == turns.waiting()
        until.set()
    assert ["first", "stays"] == entered


async def test_who_is_cancelled_as_its_turn_comes_hands_it_on():
    """In the same turn of the loop, before it has noticed."""
    turns, entered, until = Turns(1), [], asyncio.Event()
    first = turns.take(deadline=soon())
    async with first:
        unlucky = asyncio.create_task(hold(turns, entered, "unlucky", until))
        await turns_of_the_loop()
    unlucky.cancel()
    await turns_of_the_loop()
    async with turns.take(deadline=time.monotonic() + 1):
        assert [] == entered


async def test_an_error_inside_gives_the_turn_back():
    """A bad picture holds nobody up."""
    turns = Turns(1)
    with pytest.raises(ValueError, match="bad"):
        async with turns.take(deadline=soon()):
            raise ValueError("bad")
    async with turns.take(deadline=time.monotonic() + 1):
        pass


async def test_who_gave_up_is_forgotten_though_no_turn_ends():
    """Behind an engine that hangs the late must not pile up."""
    turns = Turns(1)
    async with turns.take(deadline=soon()):
        for _ in range(3):
            with pytest.raises(DeadlineExceeded):
                async with turns.take(deadline=time.monotonic() - 1):
                    pass
        assert not turns._waiting
