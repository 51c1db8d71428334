"""How fast candidates are, side by side: in rounds, each against the base of the same round.

A machine is never quiet for long. So candidates take turns in short bursts, what counts is the
ratio to the base within a round, and of all rounds the middle one.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from tintype.tuning.candidates import Candidate
from tintype.tuning.choice import Speed
from tintype.types import Tensor

CLIENTS: Final = 16
"""Enough to keep every stream at work and to fill batches."""
ROUNDS: Final = 7

Told: TypeAlias = Callable[[str], None]
Clock: TypeAlias = Callable[[], float]


class Asks(Protocol):
    """A loaded candidate: a ``ModelHost``."""

    async def submit(self, row: Tensor, *, deadline: float | None) -> object:
        """Answer one row."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """``rows`` are asked again and again, for about ``seconds`` in all, in so many ``rounds``.

    One more round, the first, only warms up. ``clock`` tells seconds.
    """

    rows: Sequence[Tensor]
    seconds: float
    clock: Clock
    rounds: int = ROUNDS

    @property
    def turns(self) -> int:
        """How often each candidate has its turn."""
        return self.rounds + 1


@dataclass(frozen=True, slots=True)
class _Burst:
    many: float
    """Pictures a second with many clients."""
    alone: float
    """Pictures a second with one."""


async def measure(
    hosts: Mapping[Candidate, Asks], base: Candidate, work: Work, *, done: Told
) -> dict[Candidate, Speed]:
    """The speed of every candidate. ``done`` is told of each turn of each."""
    burst = work.seconds / (work.turns * len(hosts) * 2)
    rounds: list[dict[Candidate, _Burst]] = []
    order = [*hosts]
    for number in range(work.turns):
        found: dict[Candidate, _Burst] = {}
        for candidate in order:
            host = hosts[candidate]
            found[candidate] = _Burst(
                many=await _rate(host, work, seconds=burst, clients=CLIENTS),
                alone=await _rate(host, work, seconds=burst, clients=1),
            )
            done(f"{candidate.words}: {found[candidate].many:.0f} a second")
        if number:
            rounds.append(found)
        order.reverse()  # nobody always follows the same one
    speeds = {candidate: _speed(rounds, candidate, base) for candidate in hosts}
    return {candidate: speed.beside(speeds[base]) for candidate, speed in speeds.items()}


async def _rate(host: Asks, work: Work, *, seconds: float, clients: int) -> float:
    """Pictures a second; every client asks at least once."""
    begun, answered = work.clock(), 0
    end = begun + seconds
    rows = itertools.cycle(work.rows)

    async def ask() -> None:
        nonlocal answered
        while True:
            await host.submit(next(rows), deadline=None)
            answered += 1
            if work.clock() >= end:
                return

    await asyncio.gather(*(ask() for _ in range(clients)))
    return answered / max(work.clock() - begun, 1e-9)


def _speed(
    rounds: Sequence[Mapping[Candidate, _Burst]], candidate: Candidate, base: Candidate
) -> Speed:
    return Speed(
        throughputs=tuple(each[candidate].many / each[base].many for each in rounds),
        alones=tuple(each[candidate].alone / each[base].alone for each in rounds),
        a_second=statistics.median(each[candidate].many for each in rounds),
        alone_seconds=1 / statistics.median(each[candidate].alone for each in rounds),
    )
