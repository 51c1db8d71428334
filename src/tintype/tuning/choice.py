"""Which candidate is kept. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final, Self

from tintype.tuning.candidates import Candidate

MARGIN: Final = 0.05
"""A candidate must be so much faster than every simpler one."""


class Aim(enum.StrEnum):
    """What is made fast: many pictures at once, or one that comes alone."""

    THROUGHPUT = "throughput"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast a candidate is: times as fast as the base, round by round, and in numbers.

    ``throughputs`` with many clients, ``alones`` with one picture at a time; ``a_second`` pictures
    with many clients, ``alone_seconds`` for one that comes alone: what the base needs in the middle
    round, times the middle ratio. So numbers compare as the ratios do, whatever else the machine
    did in a round.
    """

    throughputs: tuple[float, ...]
    alones: tuple[float, ...]
    a_second: float
    alone_seconds: float

    @property
    def throughput(self) -> float:
        """Of the middle round."""
        return median(self.throughputs)

    @property
    def alone(self) -> float:
        """Of the middle round."""
        return median(self.alones)

    def beside(self, base: Self) -> Self:
        """The same ratios, with the numbers that they come to beside that base."""
        return replace(
            self,
            a_second=base.a_second * self.throughput,
            alone_seconds=base.alone_seconds / self.alone,
        )

    def rounds(self, aim: Aim) -> tuple[float, ...]:
        """The ratios that count."""
        return self.throughputs if aim is Aim.THROUGHPUT else self.alones


def choose(speeds: Mapping[Candidate, Speed], *, order: Sequence[Candidate], aim: Aim) -> Candidate:
    """The fastest, where each must clearly beat what was kept before it.

    ``order``: the simplest first; those that were not measured are passed over.
    """
    measured = [candidate for candidate in order if candidate in speeds]
    kept = measured[0]
    for candidate in measured[1:]:
        if clearly_faster(speeds[candidate].rounds(aim), than=speeds[kept].rounds(aim)):
            kept = candidate
    return kept


def clearly_faster(one: Sequence[float], *, than: Sequence[float]) -> bool:
    """Whether by ``MARGIN`` in the middle round, and at all in every round but one.

    On a machine that has other work too, the middle alone may be luck.
    """
    ratios = [mine / other for mine, other in zip(one, than, strict=True)]
    return median(ratios) > 1 + MARGIN and sum(ratio > 1 for ratio in ratios) >= len(ratios) - 1
