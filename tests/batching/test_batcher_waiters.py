"""Who waits: a full queue, deadlines, clients that are lost."""

from __future__ import annotations

import asyncio
import time

import pytest

from tintype.batching.batcher import Batcher
from tintype.batching.policy import BatchPolicy
from tintype.engines.fake import Gate
from tintype.errors import DeadlineExceeded, Overloaded

POLICY = BatchPolicy(max_batch=4, max_queue=8)


def number(answer) -> float:
    return float(answer.outputs[0][0])


async def test_a_full_queue_says_no_at_once(echo, picture, queued, arrived, ask):
    """The limit and the setting that moves it are told; a freed place is taken again."""
    gate = Gate()
    async with Batcher(echo(before_run=gate), policy=BatchPolicy(max_queue=2)) as batcher:
        running = ask(batcher, picture(0))
        await arrived(gate)
        waiting = ask(batcher, picture(1), picture(2))
        await queued(batcher, 2)

        with pytest.raises(Overloaded) as refusal:
            await batcher.submit(picture(3), deadline=None)
        gate.open()
        await asyncio.gather(*running, *waiting)
        after = await batcher.submit(picture(4), deadline=None)

    assert {"limit": 2} == refusal.value.facts
    assert "max_queue" in str(refusal.value.hint)
    assert 4.0 == number(after)


async def test_a_deadline_already_passed_is_refused_before_the_queue(echo, picture):
    """No place is taken."""
    engine = echo()
    async with Batcher(engine, policy=POLICY) as batcher:
        with pytest.raises(DeadlineExceeded):
            await batcher.submit(picture(1), deadline=time.monotonic() - 1)

    assert [] == engine.batches


async def test_a_deadline_that_passes_in_the_queue_costs_no_engine_time(
    echo, picture, arrived, ask
):
    """The waiter is told while the engine still works on another, and its place is free."""
    gate = Gate()
    engine = echo(before_run=gate)
    async with Batcher(engine, policy=POLICY) as batcher:
        running = ask(batcher, picture(0))
        await arrived(gate)
        with pytest.raises(DeadlineExceeded):
            await batcher.submit(picture(1), deadline=time.monotonic() + 0.01)
        assert 0 == batcher.waiting()
        gate.open()
        await asyncio.gather(*running)

    assert [1] == engine.batches


async def test_a_deadline_that_passes_while_running_is_told_at_once(echo, picture, arrived, ask):
    """The waiter need not wait for the engine, and a companion gets its answer."""
    gate = Gate()
    async with Batcher(echo(before_run=gate), policy=POLICY) as batcher:
        patient = ask(batcher, picture(1))
        with pytest.raises(DeadlineExceeded):
            await batcher.submit(picture(2), deadline=time.monotonic() + 0.05)
        await arrived(gate)
        gate.open()
        answers = await asyncio.gather(*patient)

    assert [1.0] == [number(answer) for answer in answers]


async def test_a_lost_client_in_the_queue_is_skipped(echo, picture, queued, arrived, ask):
    """A cancelled waiter frees its place and is never run."""
    gate = Gate()
    engine = echo(before_run=gate)
    async with Batcher(engine, policy=POLICY) as batcher:
        running = ask(batcher, picture(0))
        await arrived(gate)
        lost, kept = ask(batcher, picture(1), picture(2))
        await queued(batcher, 2)
        lost.cancel()
        await queued(batcher, 1)
        gate.open()
        answers = await asyncio.gather(*running, kept)

    assert [1, 1] == engine.batches
    assert [0.0, 2.0] == [number(answer) for answer in answers]


async def test_a_client_lost_in_the_turn_of_its_dispatch_harms_nobody(echo, picture, ask):
    """Cancelled before the batch closes, in the same turn of the loop."""
    engine = echo()
    async with Batcher(engine, policy=POLICY) as batcher:
        lost, kept = ask(batcher, picture(1), picture(2))
        await asyncio.sleep(0)  # both are queued, the batch closes next
        lost.cancel()
        answer = await kept
        await asyncio.gather(lost, return_exceptions=True)

    assert 2.0 == number(answer)
    assert lost.cancelled()


async def test_a_client_lost_during_the_run_harms_nobody(echo, picture, arrived, ask):
    """The others of its batch get their answers."""
    gate = Gate()
    async with Batcher(echo(before_run=gate), policy=POLICY) as batcher:
        lost, kept = ask(batcher, picture(1), picture(2))
        await arrived(gate)
        lost.cancel()
        gate.open()
        answer = await kept

    assert 2.0 == number(answer)


async def test_an_engine_is_told_the_last_deadline_of_its_batch(echo, picture, queued, arrived):
    """The others are told by their own timers; without one, nobody gives up."""
    gate = Gate()
    engine = echo(before_run=gate)
    soon, late = time.monotonic() + 50, time.monotonic() + 60
    async with Batcher(engine, policy=POLICY) as batcher:
        first = asyncio.ensure_future(batcher.submit(picture(1), deadline=None))
        await arrived(gate)
        rest = [
            asyncio.ensure_future(batcher.submit(picture(2), deadline=when))
            for when in (late, soon)
        ]
        await queued(batcher, 2)
        gate.open()
        await asyncio.gather(first, *rest)

    assert [None, late] == engine.deadlines


async def test_a_row_that_nobody_waits_for_any_more_is_not_made(echo, picture, arrived, ask):
    """Its asker left while the engine was at work on another."""
    gate = Gate()
    made: list[int] = []
    async with Batcher(echo(before_run=gate, batch=1), policy=POLICY) as batcher:
        (first,) = ask(batcher, picture(1))
        await arrived(gate)
        (gone,) = ask(batcher, lambda: made.append(1))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
        gate.open()
        await first

    assert [] == made
