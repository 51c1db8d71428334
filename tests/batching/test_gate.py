"""Admission by bytes."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future

import pytest

from tintype.batching.gate import ByteGate
from tintype.errors import DeadlineExceeded, ImageTooLarge, Overloaded, SettingsError


async def hold(gate: ByteGate, size: int, until: asyncio.Event, came: list[int]) -> None:
    """Hold until the event, noting when it was let in."""
    async with gate.hold(size):
        came.append(size)
        await until.wait()


async def turns() -> None:
    """Give every task that can go on a chance to."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_lets_in_what_fits_and_counts_it():
    """Bytes are held inside the block only."""
    gate = ByteGate(10)

    async with gate.hold(4), gate.hold(6):
        assert 10 == gate.held

    assert 0 == gate.held


async def test_first_come_first_served_even_when_a_later_one_would_fit():
    """A large one at the head is not starved by small ones."""
    gate, came = ByteGate(10), []
    first, rest = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hold(gate, 6, first, came))
        tasks.create_task(hold(gate, 9, rest, came))
        tasks.create_task(hold(gate, 1, rest, came))
        await turns()
        assert [6] == came
        assert 2 == gate.waiting()
        first.set()
        await turns()
        assert [6, 9, 1] == came
        rest.set()

    assert 0 == gate.held


async def test_what_can_never_fit_is_refused_at_once():
    """The limit and the size are told."""
    gate = ByteGate(10)

    with pytest.raises(ImageTooLarge) as refusal:
        async with gate.hold(11):
            pass

    assert {"limit": 10, "actual": 11} == refusal.value.facts


async def test_patience_runs_out():
    """Overloaded, and the place in the line is free."""
    gate = ByteGate(10, patience_seconds=0.01)
    async with gate.hold(10):
        with pytest.raises(Overloaded, match=r"0\.01 s"):
            async with gate.hold(1):
                pass
        assert 0 == gate.waiting()

    assert 0 == gate.held


async def test_a_deadline_nearer_than_patience_counts():
    """DeadlineExceeded, not Overloaded: trying again would not help."""
    gate = ByteGate(10, patience_seconds=10)
    async with gate.hold(10):
        with pytest.raises(DeadlineExceeded):
            async with gate.hold(1, deadline=time.monotonic() + 0.01):
                pass
        with pytest.raises(DeadlineExceeded):
            async with gate.hold(1, deadline=time.monotonic() - 1):
                pass

    assert 0 == gate.held


async def test_a_line_too_long_is_told_at_once():
    """No patience is spent."""
    gate = ByteGate(1, max_waiting=1)
    done = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hold(gate, 1, done, []))
        tasks.create_task(hold(gate, 1, done, []))
        await turns()
        with pytest.raises(Overloaded):
            async with gate.hold(1):
                pass
        done.set()


async def test_a_cancelled_waiter_lets_those_behind_it_in():
    """It stood at the head with more than was free."""
    gate, came = ByteGate(10), []
    done = asyncio.Event()
    holder = asyncio.create_task(hold(gate, 6, done, came))
    large = asyncio.create_task(hold(gate, 9, done, came))
    small = asyncio.create_task(hold(gate, 2, done, came))
    await turns()

    large.cancel()
    await turns()

    assert [6, 2] == came
    done.set()
    await asyncio.gather(holder, small)
    assert 0 == gate.held


async def test_a_waiter_cancelled_in_the_turn_it_is_let_in_gives_its_bytes_back():
    """Both orders: let in then cancelled, cancelled then let in."""
    for cancel_first in (True, False):
        gate = ByteGate(10)
        entered = asyncio.Event()
        await gate._enter(10, None)
        waiter = asyncio.create_task(hold(gate, 10, entered, []))
        await turns()
        if cancel_first:
            waiter.cancel()
        gate._leave(10)
        if not cancel_first:
            waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)

        assert waiter.cancelled()
        assert 0 == gate.held
        assert 0 == gate.waiting()


async def test_an_error_inside_gives_the_bytes_back():
    """Like any context manager."""
    gate = ByteGate(10)

    with pytest.raises(KeyError):
        async with gate.hold(10):
            raise KeyError

    assert 0 == gate.held


def test_no_capacity_at_all_is_a_wrong_setting():
    """Zero bytes would refuse every picture."""
    with pytest.raises(SettingsError, match="0 bytes"):
        ByteGate(0)


async def test_bytes_stay_taken_until_the_thread_that_uses_them_ends():
    """Who waited for it was cancelled; the thread goes on, and so does its memory."""
    gate = ByteGate(10)
    work: Future[None] = Future()
    work.set_running_or_notify_cancel()
    entered = asyncio.Event()

    async def use() -> None:
        async with gate.hold(10) as held:
            entered.set()
            await asyncio.wrap_future(held.keep_for(work))

    user = asyncio.create_task(use())
    await entered.wait()
    user.cancel()
    await asyncio.gather(user, return_exceptions=True)
    while_it_runs = gate.held
    work.set_result(None)
    async with gate.hold(10):  # waits until they are free
        assert (10, 10) == (while_it_runs, gate.held)


async def test_work_that_never_began_frees_its_bytes_at_once():
    """Cancelled while it stood in line for a thread."""
    gate = ByteGate(10)
    work: Future[None] = Future()
    entered = asyncio.Event()

    async def use() -> None:
        async with gate.hold(10) as held:
            entered.set()
            await asyncio.wrap_future(held.keep_for(work))

    user = asyncio.create_task(use())
    async with asyncio.timeout(20):
        await entered.wait()
        user.cancel()
        async with gate.hold(10):
            assert work.cancelled()


async def test_a_small_one_overtakes_a_large_one_that_waits():
    """An ordinary picture does not wait for a huge one to get its memory."""
    gate, came = ByteGate(100), []
    first, rest = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for size in (60, 90, 3, 3):
            tasks.create_task(hold(gate, size, first if size == 60 else rest, came))
        await turns()
        assert [60, 3] == came  # the second would be more than a twentieth
        assert 2 == gate.waiting()
        first.set()
        await turns()
        assert [60, 3, 90, 3] == came
        rest.set()

    assert 0 == gate.held


async def test_one_that_needs_nearly_all_is_not_overtaken():
    """Else those who overtake could keep it out for ever."""
    gate, came = ByteGate(100), []
    first, rest = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for size in (60, 96, 3):
            tasks.create_task(hold(gate, size, first if size == 60 else rest, came))
        await turns()
        assert [60] == came
        first.set()
        rest.set()

    assert 0 == gate.held
