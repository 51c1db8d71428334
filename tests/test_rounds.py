"""Work that is done seldom, for everybody who waits for it."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

from tintype.rounds import Rounds


async def turns(count: int = 5) -> None:
    """Let everything run that can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_many_who_come_together_cost_one_round():
    """All of them are told that it was done."""
    begun = []

    async def work():
        begun.append(time.monotonic())

    rounds = Rounds(work, apart=0.0)
    assert {True} == set(await asyncio.gather(*(rounds.join() for _ in range(50))))
    assert 1 == len(begun)


async def test_who_comes_while_a_round_is_at_work_gets_the_next():
    """What happened after its beginning is seen by the next alone."""
    goes_on, begun = asyncio.Event(), []

    async def work():
        begun.append(None)
        await goes_on.wait()

    rounds = Rounds(work, apart=0.0)
    first = asyncio.ensure_future(rounds.join())
    await turns()
    late = [asyncio.ensure_future(rounds.join()) for _ in range(3)]
    await turns()
    assert 1 == len(begun)
    goes_on.set()
    assert [True] * 4 == await asyncio.gather(first, *late)
    assert 2 == len(begun)


async def test_rounds_begin_apart():
    """However quickly they are asked for."""
    begun = []

    async def work():
        begun.append(time.monotonic())

    rounds = Rounds(work, apart=0.05)
    for _ in range(4):
        await rounds.join()
    assert 0.045 < min(later - earlier for earlier, later in pairwise(begun))


async def test_some_may_follow_each_other_after_a_rest():
    """Then they begin apart."""
    begun = []

    async def work():
        begun.append(time.monotonic())

    rounds = Rounds(work, apart=0.05, in_a_row=4)
    first = time.monotonic()
    for _ in range(7):
        await rounds.join()
    assert first + 3 * 0.05 - 0.005 < begun[-1]
    assert begun[3] - begun[0] < begun[-1] - begun[3]


async def test_only_so_many_wait():
    """The others are told at once, and may ask again later."""
    goes_on = asyncio.Event()
    rounds = Rounds(goes_on.wait, apart=0.0, most_waiting=2)
    waiting = [asyncio.ensure_future(rounds.join()) for _ in range(2)]
    await turns()
    assert not await rounds.join()
    goes_on.set()
    assert [True, True] == await asyncio.gather(*waiting)
    assert await rounds.join()


async def test_who_leaves_ends_nobody_s_round():
    """A client that hangs up takes nothing from the others."""
    goes_on = asyncio.Event()
    rounds = Rounds(goes_on.wait, apart=0.0)
    leaves, stays = (asyncio.ensure_future(rounds.join()) for _ in range(2))
    await turns()
    leaves.cancel()
    await turns()
    goes_on.set()
    assert await stays
    assert leaves.cancelled()
