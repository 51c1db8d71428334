"""The queue and the engine threads, with an engine that waits at a gate."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from tintype.batching.batcher import Batcher
from tintype.batching.policy import BatchPolicy
from tintype.engines.fake import Gate
from tintype.errors import (
    DeadlineExceeded,
    EngineFailed,
    ModelUnavailable,
    Overloaded,
    RemoteFailed,
)

POLICY = BatchPolicy(max_batch=4, max_queue=8)


def engine_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("engine-fake-")]


def ask(batcher: Batcher, *pictures) -> list[asyncio.Task]:
    """A task for each picture, in order."""
    return [asyncio.create_task(batcher.submit(row, deadline=None)) for row in pictures]


def number(answer) -> float:
    return float(answer.outputs[0][0])


async def test_constructing_starts_nothing_and_leaving_ends_every_thread(echo, picture):
    """Threads live between entering and leaving."""
    batcher = Batcher(echo(streams=2), policy=POLICY)
    assert [] == engine_threads()

    async with batcher:
        assert ["engine-fake-0", "engine-fake-1"] == sorted(engine_threads())
        await batcher.submit(picture(1), deadline=None)

    assert [] == engine_threads()


async def test_an_answer_has_no_batch_axis_and_brings_its_times(echo, picture):
    """Outputs are this picture's rows; queue and run are in seconds."""
    async with Batcher(echo(), policy=POLICY) as batcher:
        answer = await batcher.submit(picture(5), deadline=time.monotonic() + 10)

    assert (1,) == answer.outputs[0].shape
    assert 5.0 == number(answer)
    assert 1 == answer.batch
    assert 0 <= answer.queue_seconds < 10
    assert 0 <= answer.run_seconds < 10


async def test_pictures_of_one_turn_of_the_loop_go_together(echo, picture):
    """Several points of one picture make one batch, though the engine was idle."""
    engine = echo()
    async with Batcher(engine, policy=POLICY) as batcher:
        answers = await asyncio.gather(*ask(batcher, picture(1), picture(2), picture(3)))

    assert [3] == engine.batches
    assert [1.0, 2.0, 3.0] == [number(answer) for answer in answers]
    assert [3, 3, 3] == [answer.batch for answer in answers]


@pytest.mark.parametrize(("together", "batches"), [(False, [2, 2]), (True, [4])])
async def test_idle_streams_share_what_waits_unless_one_batch_is_quicker(
    echo, picture, together, batches
):
    """On a GPU it is."""
    engine = echo(streams=2)
    async with Batcher(engine, policy=POLICY, together=together) as batcher:
        await asyncio.gather(*ask(batcher, *(picture(value) for value in range(4))))

    assert batches == engine.batches


async def test_a_batch_grows_while_the_engine_is_at_work(echo, picture, queued, arrived):
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


async def test_the_first_to_come_is_the_first_to_be_answered(echo, picture, queued, arrived):
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


async def test_rows_of_different_shape_never_share_a_batch(echo, picture, queued, arrived):
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


async def test_rows_of_different_dtype_never_share_a_batch(echo, picture):
    """Stacking would change the numbers' type; the wrong one alone is refused."""
    engine = echo()
    async with Batcher(engine, policy=POLICY) as batcher:
        tasks = ask(batcher, picture(1), picture(2).astype("uint8"), picture(3))
        answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert 1.0 == number(answers[0])
    assert isinstance(answers[1], EngineFailed)
    assert 3.0 == number(answers[2])


async def test_two_streams_run_side_by_side(echo, picture, arrived):
    """Both threads are in the engine at once, each with its share."""
    gate = Gate()
    engine = echo(before_run=gate, streams=2)
    async with Batcher(engine, policy=POLICY) as batcher:
        tasks = ask(batcher, *(picture(value) for value in range(4)))
        await arrived(gate, 2)
        gate.open()
        await asyncio.gather(*tasks)

    assert [2, 2] == engine.batches


async def test_a_fixed_batch_size_bounds_the_batch(echo, picture):
    """An engine for single pictures is asked one at a time."""
    engine = echo(batch=1)
    async with Batcher(engine, policy=POLICY) as batcher:
        await asyncio.gather(*ask(batcher, picture(1), picture(2), picture(3)))

    assert [1, 1, 1] == engine.batches


async def test_a_full_queue_says_no_at_once(echo, picture, queued, arrived):
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


async def test_a_deadline_that_passes_in_the_queue_costs_no_engine_time(echo, picture, arrived):
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


async def test_a_deadline_that_passes_while_running_is_told_at_once(echo, picture, arrived):
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


async def test_a_lost_client_in_the_queue_is_skipped(echo, picture, queued, arrived):
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


async def test_a_client_lost_in_the_turn_of_its_dispatch_harms_nobody(echo, picture):
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


async def test_a_client_lost_during_the_run_harms_nobody(echo, picture, arrived):
    """The others of its batch get their answers."""
    gate = Gate()
    async with Batcher(echo(before_run=gate), policy=POLICY) as batcher:
        lost, kept = ask(batcher, picture(1), picture(2))
        await arrived(gate)
        lost.cancel()
        gate.open()
        answer = await kept

    assert 2.0 == number(answer)


async def test_one_poisonous_picture_hurts_only_itself(echo, picture):
    """A batch that fails is run again as singles."""

    def poison(batch) -> None:
        if (batch == 13).any():
            raise EngineFailed("thirteen")

    engine = echo(before_run=poison)
    async with Batcher(engine, policy=POLICY) as batcher:
        tasks = ask(batcher, picture(1), picture(13), picture(3))
        answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert [3, 1, 1, 1] == engine.batches
    assert 1.0 == number(answers[0])
    assert "thirteen" == str(answers[1])
    assert isinstance(answers[1], EngineFailed)
    assert 3.0 == number(answers[2])
    assert [1, 1] == [answers[0].batch, answers[2].batch]


async def test_whatever_an_engine_raises_reaches_the_waiter(echo, picture):
    """A foreign error becomes EngineFailed, its cause kept, and the thread lives on."""

    def broken(batch) -> None:
        if (batch == 13).any():
            raise KeyError("no such thing")

    async with Batcher(echo(before_run=broken), policy=POLICY) as batcher:
        with pytest.raises(EngineFailed, match=r"KeyError.*no such thing") as failure:
            await batcher.submit(picture(13), deadline=None)
        answer = await batcher.submit(picture(1), deadline=None)

    assert isinstance(failure.value.__cause__, KeyError)
    assert 1.0 == number(answer)


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


async def test_a_remote_that_fails_is_not_asked_for_each_picture(echo, picture, queued, arrived):
    """Only an error of the batch itself is looked for picture by picture."""
    gate = Gate()

    def lost(batch) -> None:
        gate(batch)
        if len(batch) > 1:
            raise RemoteFailed("broke off")

    engine = echo(before_run=lost)
    async with Batcher(engine, policy=POLICY) as batcher:
        first = asyncio.ensure_future(batcher.submit(picture(1), deadline=None))
        await arrived(gate)
        rest = ask(batcher, picture(2), picture(3))
        await queued(batcher, 2)
        gate.open()
        await first
        failures = await asyncio.gather(*rest, return_exceptions=True)

    assert [RemoteFailed, RemoteFailed] == [type(failure) for failure in failures]
    assert [1, 2] == engine.batches


class _OneRowOnly:
    """An engine that answers any batch with one row."""

    name, batch_size, streams = "fake-short", None, 1

    def run(self, batch, *, deadline=None):
        del deadline
        return (batch.reshape(len(batch), -1)[:1, :1],)


async def test_an_engine_that_drops_rows_is_found_out(picture):
    """Answers are never handed to the wrong picture."""
    async with Batcher(_OneRowOnly(), policy=POLICY) as batcher:
        tasks = ask(batcher, picture(1), picture(2))
        answers = await asyncio.gather(*tasks)

    assert [1.0, 2.0] == [number(answer) for answer in answers]
    assert [1, 1] == [answer.batch for answer in answers]


async def test_leaving_finishes_what_was_accepted(echo, picture, queued, arrived):
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


async def test_a_cancelled_drain_gives_up_those_who_wait(echo, picture, queued, arrived):
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
    echo, picture, queued, arrived
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


async def test_may_be_entered_again(echo, picture, queued):
    """A second life answers and drains like the first."""
    batcher = Batcher(echo(), policy=POLICY)
    for value in (1, 2):
        async with batcher:
            tasks = ask(batcher, picture(value))
            await queued(batcher, 1)
        assert [float(value)] == [number(task.result()) for task in tasks]


async def test_lingers_for_company_and_no_longer(echo, picture):
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


async def test_leaving_ends_the_lingering(echo, picture, queued):
    """Nobody waits for company that cannot come."""
    engine = echo()
    batcher = Batcher(engine, policy=BatchPolicy(linger_seconds=1.0))
    await batcher.__aenter__()
    lonely = ask(batcher, picture(1))
    await queued(batcher, 1)

    await batcher.__aexit__(None, None, None)

    assert (await lonely[0]).queue_seconds < 0.9


@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 23])
async def test_no_answer_is_forgotten_where_some_are_kept(echo, picture, arrived, streams, count):
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


async def test_a_row_that_cannot_be_made_harms_no_other(echo, picture):
    """Its own asker is told."""

    def fail():
        raise ValueError("torn")

    async with Batcher(echo(batch=1), policy=POLICY) as batcher:
        tasks = [
            asyncio.create_task(batcher.submit(row, deadline=None))
            for row in (picture(1), fail, picture(2))
        ]
        first, failure, last = await asyncio.gather(*tasks, return_exceptions=True)

    assert (1.0, 2.0) == (number(first), number(last))
    assert isinstance(failure, EngineFailed)
    assert "torn" in str(failure)


async def test_a_row_that_nobody_waits_for_any_more_is_not_made(echo, picture, arrived):
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


async def test_a_drain_that_takes_too_long_tells_all_that_wait(echo, picture, arrived):
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
