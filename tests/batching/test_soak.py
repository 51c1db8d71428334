"""Many clients, of whom many are lost, late or poisonous: nothing is left over."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
import weakref

import numpy as np

from tintype.batching.batcher import Batcher
from tintype.batching.gate import ByteGate
from tintype.batching.policy import BatchPolicy
from tintype.errors import DeadlineExceeded, EngineFailed, Overloaded

CLIENTS = 40
ROUNDS = 25


class _Row(np.ndarray):
    """A row that may be watched by a weak reference."""


def _poison(batch) -> None:
    if (batch == 13).any():
        raise EngineFailed("thirteen")


async def _client(batcher: Batcher, gate: ByteGate, chance: random.Random, rows: list) -> int:
    """One client's rounds; returns how many right answers it got."""
    right = 0
    for _ in range(ROUNDS):
        value = chance.randrange(20)
        row = np.full((chance.choice((2, 3)), 2, 3), value, np.float32).view(_Row)
        rows.append(weakref.ref(row))
        deadline = time.monotonic() + chance.choice((0.0005, 10.0))
        try:
            async with gate.hold(row.nbytes, deadline=deadline):
                wait = chance.choice((0.0001, 0.001, 10.0))
                async with asyncio.timeout(wait):  # a client that goes away
                    answer = await batcher.submit(row, deadline=deadline)
            assert float(value) == float(answer.outputs[0][0])
            right += 1
        except (TimeoutError, DeadlineExceeded, Overloaded):
            pass
        except EngineFailed:
            assert value == 13
    return right


async def test_random_cancellations_leave_nothing_behind(echo):
    """No thread, no waiting picture, no held byte, no row in memory; right answers only."""
    gate, rows = ByteGate(600, patience_seconds=5), []
    engine = echo(before_run=_poison, streams=2)
    async with Batcher(engine, policy=BatchPolicy(max_queue=16)) as batcher:
        clients = [_client(batcher, gate, random.Random(n), rows) for n in range(CLIENTS)]
        right = await asyncio.gather(*clients)
        assert 0 == batcher.waiting()

    gc.collect()
    assert sum(right) > 100
    assert 0 == gate.held
    assert 0 == gate.waiting()
    assert [] == [t.name for t in threading.enumerate() if t.name.startswith("engine-fake")]
    assert 0 == sum(row() is not None for row in rows)
