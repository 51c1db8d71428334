"""Engines and rows that fail: each asker is told of its own, and of nothing else."""

from __future__ import annotations

import asyncio

import pytest

from tintype.batching.batcher import Batcher
from tintype.batching.policy import BatchPolicy
from tintype.engines.fake import Gate
from tintype.errors import EngineFailed, RemoteFailed

POLICY = BatchPolicy(max_batch=4, max_queue=8)


def number(answer) -> float:
    return float(answer.outputs[0][0])


async def test_rows_of_different_dtype_never_share_a_batch(echo, picture, ask):
    """Stacking would change the numbers' type; the wrong one alone is refused."""
    engine = echo()
    async with Batcher(engine, policy=POLICY) as batcher:
        tasks = ask(batcher, picture(1), picture(2).astype("uint8"), picture(3))
        answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert 1.0 == number(answers[0])
    assert isinstance(answers[1], EngineFailed)
    assert 3.0 == number(answers[2])


async def test_one_poisonous_picture_hurts_only_itself(echo, picture, ask):
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


async def test_a_remote_that_fails_is_not_asked_for_each_picture(
    echo, picture, queued, arrived, ask
):
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

    def run(self, batch, *, deadline=None, begun=None):
        del deadline, begun
        return (batch.reshape(len(batch), -1)[:1, :1],)


async def test_an_engine_that_drops_rows_is_found_out(picture, ask):
    """Answers are never handed to the wrong picture."""
    async with Batcher(_OneRowOnly(), policy=POLICY) as batcher:
        tasks = ask(batcher, picture(1), picture(2))
        answers = await asyncio.gather(*tasks)

    assert [1.0, 2.0] == [number(answer) for answer in answers]
    assert [1, 1] == [answer.batch for answer in answers]


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
