"""How pictures become batches, with an engine that waits at a gate."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from tintype.batching.batcher import Batcher
from tintype.batching.policy import BatchPolicy
from tintype.engines.fake import Gate

POLICY = BatchPolicy(max_batch=4, max_queue=8)


def number(answer) -> float:
    return float(answer.outputs[0][0])


async def test_an_answer_has_no_batch_axis_and_brings_its_times(echo, picture):
    """Outputs are this picture's rows; queue and run are in seconds."""
    async with Batcher(echo(), policy=POLICY) as batcher:
        answer = await batcher.submit(picture(5), deadline=time.monotonic() + 10)

    assert (1,) == answer.outputs[0].shape
    assert 5.0 == number(answer)
    assert 1 == answer.batch
    assert 0 <= answer.queue_seconds < 10
    assert 0 <= answer.run_seconds < 10


async def test_pictures_of_one_turn_of_the_loop_go_together(echo, picture, ask):
    """Several points of one picture make one batch, though the engine was idle."""
    engine = echo()
    async with Batcher(engine, policy=POLICY) as batcher:
        answers = await asyncio.gather(*ask(batcher, picture(1), picture(2), picture(3)))

    assert [3] == engine.batches
    assert [1.0, 2.0, 3.0] == [number(answer) for answer in answers]
    assert [3, 3, 3] == [answer.batch for answer in answers]


@pytest.mark.parametrize(("together", "batches"), [(False, [2, 2]), (True, [4])])
async def test_idle_streams_share_what_waits_unless_one_batch_is_quicker(
    echo, picture, ask, together, batches
):
    """On a GPU it is."""
    engine = echo(streams=2)
    async with Batcher(engine, policy=POLICY, together=together) as batcher:
        await asyncio.gather(*ask(batcher, *(picture(value) for value in range(4))))

    assert batches == engine.batches


async def test_a_batch_grows_while_the_engine_is_at_work(echo, picture, queued, arrived, ask):
    """What came meanwhile is taken in order of arrival, at most max_batch at once."""
    gate = Gate()
    engine = echo(before_run=gate)
    async with Batcher(engine, policy=POLICY) as batcher:
        first = ask(batcher, picture(0))
        await arrived(gate)
        others = ask(batcher, *(picture(value) for value in range(1, 7)))
        await queued(batcher, 6)
        gate.open()
        answers = await asyncio.gather(*first, *others)

    assert [1, 4, 2] == engine.batches
    assert [float(value) for value in range(7)] == [number(answer) for answer in answers]


async def test_the_first_to_come_is_the_first_to_be_answered(echo, picture, queued, arrived, ask):
    """With batches of one the answers come in order of arrival."""
    gate, order = Gate(), []
    async with Batcher(echo(before_run=gate), policy=BatchPolicy(max_batch=1)) as batcher:
        tasks = ask(batcher, *(picture(value) for value in range(5)))
        for place, task in enumerate(tasks):
            task.add_done_callback(lambda _, place=place: order.append(place))
        await arrived(gate)
        await queued(batcher, 4)
        gate.open()
        await asyncio.gather(*tasks)

    assert [0, 1, 2, 3, 4] == order


async def test_rows_of_different_shape_never_share_a_batch(echo, picture, queued, arrived, ask):
    """The oldest sets the shape of the next batch, so no shape is starved."""
    gate = Gate()
    engine = echo(before_run=gate)
    async with Batcher(engine, policy=POLICY) as batcher:
        first = ask(batcher, picture(0))
        await arrived(gate)
        mixed = [picture(value, side=2 + value % 2) for value in range(1, 6)]
        others = ask(batcher, *mixed)
        await queued(batcher, 5)
        gate.open()
        answers = await asyncio.gather(*first, *others)

    assert [1, 3, 2] == engine.batches
    assert [0.0, 1.0, 2.0, 3.0, 4.0, 5.0] == [number(answer) for answer in answers]


async def test_two_streams_run_side_by_side(echo, picture, arrived, ask):
    """Both threads are in the engine at once, each with its share."""
    gate = Gate()
    engine = echo(before_run=gate, streams=2)
    async with Batcher(engine, policy=POLICY) as batcher:
        tasks = ask(batcher, *(picture(value) for value in range(4)))
        await arrived(gate, 2)
        gate.open()
        await asyncio.gather(*tasks)

    assert [2, 2] == engine.batches


async def test_a_fixed_batch_size_bounds_the_batch(echo, picture, ask):
    """An engine for single pictures is asked one at a time."""
    engine = echo(batch=1)
    async with Batcher(engine, policy=POLICY) as batcher:
        await asyncio.gather(*ask(batcher, picture(1), picture(2), picture(3)))

    assert [1, 1, 1] == engine.batches


async def test_lingers_for_company_and_no_longer(echo, picture, ask):
    """A full batch goes at once, a lonely picture when its time is over."""
    engine = echo()
    policy = BatchPolicy(max_batch=2, linger_seconds=0.02)
    async with Batcher(engine, policy=policy) as batcher:
        lonely = await batcher.submit(picture(1), deadline=None)
        first = ask(batcher, picture(2))
        await asyncio.sleep(0)  # it is queued and lingers
        second = ask(batcher, picture(3))
        pair = await asyncio.gather(*first, *second)

    assert [1, 2] == engine.batches
    assert lonely.queue_seconds >= 0.019
    assert [2.0, 3.0] == [number(answer) for answer in pair]


@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 23])
async def test_no_answer_is_forgotten_where_some_are_kept(
    echo, picture, arrived, streams, count, ask
):
    """Some threads find that others took what they kept their answers for."""
    gate = Gate()
    engine = echo(before_run=gate, batch=1, streams=streams)
    async with Batcher(engine, policy=BatchPolicy(max_queue=32)) as batcher:
        tasks = ask(batcher, *(picture(value) for value in range(count)))
        await arrived(gate)
        gate.open()
        async with asyncio.timeout(20):
            answers = await asyncio.gather(*tasks)

    assert [float(value) for value in range(count)] == [number(answer) for answer in answers]


async def test_a_row_may_be_made_by_the_thread_that_runs_it(echo, picture):
    """So nothing changes hands, where pictures run one by one."""
    made_in: list[str] = []

    def make():
        made_in.append(threading.current_thread().name)
        return picture(7)

    async with Batcher(echo(batch=1), policy=POLICY) as batcher:
        answer = await batcher.submit(make, deadline=None)

    assert (7.0, ["engine-fake-0"]) == (number(answer), made_in)


async def test_making_a_row_is_neither_waiting_nor_running(echo, picture):
    """Whoever makes it tells how long that took."""

    def slowly():
        threading.Event().wait(0.03)
        return picture(7)

    async with Batcher(echo(batch=1), policy=POLICY) as batcher:
        begun = time.monotonic()
        answer = await batcher.submit(slowly, deadline=None)
        took = time.monotonic() - begun

    assert answer.queue_seconds + answer.run_seconds <= took - 0.03


async def test_a_spare_thread_makes_a_row_while_the_others_run(echo, picture, ask):
    """One more row is made than the engine can run side by side."""
    gate, made, begun = Gate(), threading.Semaphore(0), threading.Event()

    def make():
        made.release()
        return picture(1)

    async with Batcher(echo(batch=1, before_run=gate), policy=POLICY, spare=begun.set) as batcher:
        tasks = ask(batcher, make, make)
        for _ in tasks:
            assert await asyncio.to_thread(made.acquire, timeout=10)
        gate.open()
        await asyncio.gather(*tasks)
    assert begun.is_set()
