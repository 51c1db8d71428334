"""Leaving: what was accepted is finished, and nothing is kept for ever."""

from __future__ import annotations

import asyncio

import pytest

from tintype.batching.batcher import Batcher
from tintype.batching.policy import BatchPolicy
from tintype.engines.fake import Gate
from tintype.errors import ModelUnavailable

POLICY = BatchPolicy(max_batch=4, max_queue=8)


def number(answer) -> float:
    return float(answer.outputs[0][0])


async def test_constructing_starts_nothing_and_leaving_ends_every_thread(
    echo, picture, engine_threads
):
    """Threads live between entering and leaving."""
    batcher = Batcher(echo(streams=2), policy=POLICY)
    assert [] == engine_threads()

    async with batcher:
        assert ["engine-fake-0", "engine-fake-1"] == sorted(engine_threads())
        await batcher.submit(picture(1), deadline=None)

    assert [] == engine_threads()


async def test_leaving_finishes_what_was_accepted(
    echo, picture, queued, arrived, ask, engine_threads
):
    """While it drains nothing new is taken."""
    gate = Gate()
    batcher = Batcher(echo(before_run=gate), policy=POLICY)
    await batcher.__aenter__()
    running = ask(batcher, picture(1))
    await arrived(gate)
    waiting = ask(batcher, picture(2), picture(3))
    await queued(batcher, 2)
    leaving = asyncio.create_task(batcher.__aexit__(None, None, None))
    await asyncio.sleep(0)  # the draining begins

    with pytest.raises(ModelUnavailable):
        await batcher.submit(picture(4), deadline=None)
    gate.open()
    answers = await asyncio.gather(*running, *waiting)
    await leaving

    assert [1.0, 2.0, 3.0] == [number(answer) for answer in answers]
    assert [] == engine_threads()


async def test_a_cancelled_drain_gives_up_those_who_wait(
    echo, picture, queued, arrived, ask, engine_threads
):
    """What runs is finished by its thread, what waits is told that the model went away."""
    gate = Gate()
    batcher = Batcher(echo(before_run=gate), policy=POLICY)
    await batcher.__aenter__()
    running = ask(batcher, picture(1))
    await arrived(gate)
    waiting = ask(batcher, picture(2))
    await queued(batcher, 1)
    leaving = asyncio.create_task(batcher.__aexit__(None, None, None))
    await asyncio.sleep(0)  # the draining begins
    leaving.cancel()

    with pytest.raises(ModelUnavailable):
        await waiting[0]
    gate.open()

    assert 1.0 == number(await running[0])
    assert leaving.cancelled()
    async with asyncio.timeout(10):
        while engine_threads():  # noqa: ASYNC110 - the threads have no event to wait for
            await asyncio.sleep(0)  # a turn of the loop


async def test_a_run_that_hangs_does_not_keep_the_server_from_ending(
    echo, picture, queued, arrived, ask, engine_threads
):
    """Who waits is told; the thread is left to itself, and what it says later harms nobody."""
    gate = Gate()
    batcher = Batcher(echo(before_run=gate), policy=POLICY, drain_seconds=0.05)
    async with batcher:
        running = ask(batcher, picture(1))
        await arrived(gate)
        waiting = ask(batcher, picture(2))
        await queued(batcher, 1)
    with pytest.raises(ModelUnavailable):
        await waiting[0]
    gate.open()
    assert 1.0 == number(await running[0])
    async with asyncio.timeout(10):
        while engine_threads():  # noqa: ASYNC110 - the threads have no event to wait for
            await asyncio.sleep(0)  # a turn of the loop


async def test_a_closed_batcher_takes_nothing(echo, picture):
    """Before entering and after leaving."""
    batcher = Batcher(echo(), policy=POLICY)
    with pytest.raises(ModelUnavailable):
        await batcher.submit(picture(1), deadline=None)

    async with batcher:
        pass

    with pytest.raises(ModelUnavailable):
        await batcher.submit(picture(1), deadline=None)


async def test_may_be_entered_again(echo, picture, queued, ask):
    """A second life answers and drains like the first."""
    batcher = Batcher(echo(), policy=POLICY)
    for value in (1, 2):
        async with batcher:
            tasks = ask(batcher, picture(value))
            await queued(batcher, 1)
        assert [float(value)] == [number(task.result()) for task in tasks]


async def test_leaving_ends_the_lingering(echo, picture, queued, ask):
    """Nobody waits for company that cannot come."""
    engine = echo()
    batcher = Batcher(engine, policy=BatchPolicy(linger_seconds=1.0))
    await batcher.__aenter__()
    lonely = ask(batcher, picture(1))
    await queued(batcher, 1)

    await batcher.__aexit__(None, None, None)

    assert (await lonely[0]).queue_seconds < 0.9


async def test_a_drain_that_takes_too_long_tells_all_that_wait(echo, picture, arrived, ask):
    """Also those that a thread was given, behind a run that hangs."""
    gate = Gate()
    engine = echo(before_run=gate, batch=1)
    async with Batcher(engine, policy=POLICY, drain_seconds=0.01) as batcher:
        first, *others = ask(batcher, *(picture(value) for value in range(8)))
        await arrived(gate)
    told = await asyncio.gather(*others, return_exceptions=True)
    gate.open()
    first.cancel()

    assert {ModelUnavailable} == {type(each) for each in told}
