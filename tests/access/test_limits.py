"""Rates and counts: the arithmetic, and the buckets in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tintype.access.limits import MemoryLimiter, Rule

RATE = Rule(name="minute", bucket="a", most=6, seconds=60)


def day(used: int, *, most: int = 10) -> Rule:
    return Rule(name="day", bucket="d", most=most, seconds=86400, left=500.0, used=used)


def limiter(clock, **more) -> MemoryLimiter:
    return MemoryLimiter(clock=clock, **more)


def test_as_many_as_allowed_may_come_at_once(clock):
    """Then one each tenth of a minute."""
    limits = limiter(clock)
    told = [limits.take_now((RATE,)) for _ in range(7)]
    assert [5, 4, 3, 2, 1, 0, 0] == [verdict.standings[0].remaining for verdict in told]
    assert (RATE, 10.0) == (told[-1].broken, round(told[-1].retry_after, 3))
    clock.now += 10
    assert limits.take_now((RATE,)).broken is None
    assert limits.take_now((RATE,)).broken is RATE


def test_after_a_rest_all_are_back(clock):
    """And no more than all."""
    limits = limiter(clock)
    for _ in range(6):
        limits.take_now((RATE,))
    clock.now += 10_000
    assert 5 == limits.take_now((RATE,)).standings[0].remaining


@given(st.lists(st.floats(0, 30), min_size=1, max_size=80))
def test_never_more_than_twice_the_most_in_any_window(pauses):
    """Over any stretch of time: the burst, and what refilled."""

    class Clock:
        now = 0.0

        def __call__(self) -> float:
            return self.now

    clock, times = Clock(), []
    limits = limiter(clock)
    for pause in pauses:
        clock.now += pause
        if limits.take_now((RATE,)).broken is None:
            times.append(clock.now)
    for begin in times:
        within = [when for when in times if begin <= when < begin + 60]
        assert len(within) <= 12
    assert len(times) <= 6 + clock.now / 10 + 1e-6


def test_a_count_ends_with_its_time(clock):
    """What is used is told from outside; the wait is until the count starts again."""
    limits = limiter(clock)
    assert 0 == limits.take_now((day(9),)).standings[0].remaining
    refused = limits.take_now((day(10),))
    assert (500.0, 0) == (refused.retry_after, refused.standings[0].remaining)


def test_all_rules_or_none(clock):
    """A request that the day refuses takes nothing from the minute."""
    limits = limiter(clock)
    limits.take_now((RATE, day(10)))
    assert 5 == limits.take_now((RATE,)).standings[0].remaining


def test_the_longest_wait_is_told(clock):
    """Two limits in the way: trying again after the shorter one would be in vain."""
    limits = limiter(clock)
    for _ in range(6):
        limits.take_now((RATE,))
    verdict = limits.take_now((RATE, day(10)))
    assert ("day", 500.0) == (verdict.broken.name, verdict.retry_after)


def test_a_batch_costs_its_pictures(clock):
    """More than fit are refused whole; more than ever fit, with a wait that is finite."""
    limits = limiter(clock)
    assert limits.take_now((RATE,), cost=4).broken is None
    assert limits.take_now((RATE,), cost=3).broken is RATE
    assert 40.0 == round(limits.take_now((RATE,), cost=100).retry_after, 3)


def test_a_cost_of_nothing_is_always_allowed(clock):
    """It only asks how things stand."""
    limits = limiter(clock)
    limits.take_now((RATE,), cost=6)
    assert limits.take_now((RATE,), cost=0).broken is None


def test_the_number_of_buckets_is_bounded(clock):
    """The one that was quiet longest goes."""
    limits = limiter(clock, most_buckets=3)
    for name in "abca":
        limits.take_now((Rule(name="minute", bucket=name, most=6, seconds=60),))
    limits.take_now((Rule(name="minute", bucket="d", most=6, seconds=60),))
    assert 3 == len(limits)
    seen = limits.take_now((Rule(name="minute", bucket="a", most=6, seconds=60),))
    assert 3 == seen.standings[0].remaining
