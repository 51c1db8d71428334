"""Limits on how much may be asked: a rate that refills evenly, and a count that ends with the day.

The rate is the generic cell rate algorithm (ITU-T I.371) in its form as a leaky bucket: each
request adds ``seconds / most`` to a debt that time pays off, and the debt may not grow above
``seconds``. So ``most`` may come at once after a rest, and no more than ``most`` each ``seconds``
for ever after. The arithmetic is pure; where the debts are kept is the limiter's own business.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

MOST_BUCKETS: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """At most ``most`` requests each ``seconds``, counted in ``bucket``.

    ``name`` is what the caller is told. ``left`` is None for a rate. For a count, ``left`` is the
    seconds until it starts again, and ``used`` is what this process knows to be counted so far.
    """

    name: str
    bucket: str
    most: int
    seconds: int
    left: float | None = None
    used: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a caller stands with a rule: requests that remain, seconds until all are back."""

    rule: Rule
    remaining: int
    reset: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether all rules allow it; if not, the rule that is longest in the way, and how long."""

    standings: tuple[Standing, ...] = ()
    broken: Rule | None = None
    retry_after: float = 0.0


class Limiter(Protocol):
    """Takes from all buckets of the rules, or from none."""

    async def take(self, rules: tuple[Rule, ...], *, cost: int = 1) -> Verdict:
        """Take ``cost`` requests. Never raises."""
        ...

    async def close(self) -> None:
        """Let go of what it holds open."""
        ...


def fits(rule: Rule, level: float, cost: int) -> bool:
    """Whether ``cost`` more may come at ``level``: a rate's debt in seconds, or a count so far."""
    if rule.left is not None:
        return level + cost <= rule.most
    return level + cost * rule.seconds / rule.most <= rule.seconds + 1e-6


def raised(rule: Rule, level: float, cost: int) -> float:
    """The level after ``cost`` came."""
    return level + (cost if rule.left is not None else cost * rule.seconds / rule.most)


def verdict_of(rules: tuple[Rule, ...], levels: tuple[float, ...], *, cost: int) -> Verdict:
    """What is told of ``cost`` requests at these levels, each from before they came."""
    pairs = tuple(zip(rules, levels, strict=True))
    waits = {rule: _wait(rule, level, cost) for rule, level in pairs if not fits(rule, level, cost)}
    if not waits:
        after = ((rule, raised(rule, level, cost)) for rule, level in pairs)
        return Verdict(standings=tuple(_standing(rule, level) for rule, level in after))
    broken = max(waits, key=waits.__getitem__)
    return Verdict(
        standings=tuple(_standing(rule, level) for rule, level in pairs),
        broken=broken,
        retry_after=waits[broken],
    )


def _wait(rule: Rule, level: float, cost: int) -> float:
    if rule.left is not None:
        return rule.left
    return level + min(cost, rule.most) * rule.seconds / rule.most - rule.seconds


def _standing(rule: Rule, level: float) -> Standing:
    if rule.left is not None:
        return Standing(rule=rule, remaining=max(0, rule.most - int(level)), reset=rule.left)
    free = (rule.seconds - level) * rule.most / rule.seconds
    return Standing(rule=rule, remaining=max(0, int(free + 1e-6)), reset=level)


class MemoryLimiter:
    """Keeps the debts of rates in this process, of at most ``most_buckets`` callers.

    Beyond that the one that was quiet longest is forgotten, which gives it a fresh start.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, most_buckets: int = MOST_BUCKETS
    ) -> None:
        self._clock = clock
        self._most = most_buckets
        self._paid: OrderedDict[str, float] = OrderedDict()  # when each debt is paid off

    def __len__(self) -> int:
        """How many callers are remembered."""
        return len(self._paid)

    async def take(self, rules: tuple[Rule, ...], *, cost: int = 1) -> Verdict:
        """Take from all buckets, or from none."""
        return self.take_now(rules, cost=cost)

    def take_now(self, rules: tuple[Rule, ...], *, cost: int = 1) -> Verdict:
        """The same without a turn of the loop."""
        now = self._clock()
        levels = tuple(
            rule.used if rule.left is not None else max(0.0, self._paid.get(rule.bucket, 0) - now)
            for rule in rules
        )
        verdict = verdict_of(rules, levels, cost=cost)
        if verdict.broken is None:
            for rule, level in zip(rules, levels, strict=True):
                if rule.left is None:
                    self._keep(rule.bucket, now + raised(rule, level, cost))
        return verdict

    async def close(self) -> None:
        """Nothing is open."""

    def _keep(self, bucket: str, paid: float) -> None:
        self._paid[bucket] = paid
        self._paid.move_to_end(bucket)
        if len(self._paid) > self._most:
            self._paid.popitem(last=False)
