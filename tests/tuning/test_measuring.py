"""The measuring loop, on a clock that only the answers move."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tintype.tuning.candidates import Candidate
from tintype.tuning.measuring import CLIENTS, ROUNDS, Work, measure

BASE, OTHER = Candidate(), Candidate(streams=2)
ROWS = [np.zeros(3, np.float32), np.ones(3, np.float32)]


class Clock:
    """Seconds that tests move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slow = 1.0

    def __call__(self) -> float:
        """Now."""
        return self.now


class Host:
    """Takes ``seconds`` a picture, one after the other, as long as the machine is not slow."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self.at_work = 0
        self.most_at_work = 0
        self.seen: set[float] = set()

    async def submit(self, row, *, deadline):
        """Move the clock."""
        assert deadline is None
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        await asyncio.sleep(0)
        self._clock.now += self._seconds * self._clock.slow
        self.seen.add(float(row[0]))
        self.at_work -= 1


async def test_speeds_are_ratios_to_the_base():
    """Twice as fast, in pictures a second too; every sample is asked."""
    clock = Clock()
    hosts = {BASE: Host(clock, 0.01), OTHER: Host(clock, 0.005)}
    speeds = await measure(
        hosts, BASE, Work(rows=ROWS, seconds=64, clock=clock), done=lambda _: None
    )
    assert pytest.approx(2.0, rel=0.05) == speeds[OTHER].throughput
    assert pytest.approx(2.0, rel=0.05) == speeds[OTHER].alone
    assert pytest.approx(200, rel=0.05) == speeds[OTHER].a_second
    assert pytest.approx(0.01, rel=0.05) == speeds[BASE].alone_seconds
    assert (1.0,) * ROUNDS == speeds[BASE].throughputs
    assert {0.0, 1.0} == hosts[BASE].seen


async def test_a_machine_that_slows_down_changes_no_ratio():
    """Every second round, and the warm-up, run at a third of the speed; rates compare as ratios."""
    clock = Clock()
    told: list[str] = []

    def done(words: str) -> None:
        told.append(words)
        clock.slow = 3.0 if len(told) // 2 % 2 else 1.0

    hosts = {BASE: Host(clock, 0.01), OTHER: Host(clock, 0.005)}
    speeds = await measure(hosts, BASE, Work(rows=ROWS, seconds=64, clock=clock), done=done)
    assert pytest.approx(2.0, rel=0.1) == speeds[OTHER].throughput
    assert speeds[OTHER].throughput == speeds[OTHER].a_second / speeds[BASE].a_second
    assert pytest.approx(speeds[OTHER].alone) == (
        speeds[BASE].alone_seconds / speeds[OTHER].alone_seconds
    )
    assert 2 * (ROUNDS + 1) == len(told)


async def test_several_clients_ask_at_once():
    """As many as fill batches and streams."""
    clock = Clock()
    hosts = {BASE: Host(clock, 0.01)}
    await measure(hosts, BASE, Work(rows=ROWS, seconds=16, clock=clock), done=lambda _: None)
    assert CLIENTS == hosts[BASE].most_at_work


async def test_a_slow_model_is_bounded_too():
    """One picture a client and burst is the least: no longer than it takes."""
    clock = Clock()
    hosts = {BASE: Host(clock, 1.0)}
    await measure(hosts, BASE, Work(rows=ROWS, seconds=0.1, clock=clock), done=lambda _: None)
    assert (ROUNDS + 1) * (CLIENTS + 1) == clock.now
