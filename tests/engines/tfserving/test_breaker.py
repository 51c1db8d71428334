"""When calls to a remote are kept back; time is an argument."""

from __future__ import annotations

import pytest

from tintype.engines.tfserving.breaker import Breaker, BreakerPolicy

POLICY = BreakerPolicy(failures=3, first_pause=1.0, longest_pause=4.0)


@pytest.fixture
def opened() -> Breaker:
    """Open since second 10, for one second."""
    breaker = Breaker(POLICY)
    for _ in range(3):
        breaker.failed(10.0, "no connection")
    return breaker


def test_a_few_failures_keep_nothing_back():
    """Closed until so many come in a row."""
    breaker = Breaker(POLICY)
    breaker.failed(0.0, "")
    breaker.failed(0.0, "")
    breaker.succeeded()
    breaker.failed(0.0, "")
    breaker.failed(0.0, "")
    assert (0.0, False) == (breaker.wait(0.0), breaker.is_open(0.0))


def test_failures_in_a_row_open_it(opened: Breaker):
    """Calls wait for the pause to end, and are told why."""
    assert (0.75, True, "no connection") == (
        opened.wait(10.25),
        opened.is_open(10.25),
        opened.reason,
    )


def test_one_probe_passes_after_the_pause(opened: Breaker):
    """The others wait for its end."""
    assert not opened.is_open(11.0)
    assert 0.0 == opened.wait(11.0)
    assert opened.is_open(11.0)
    assert opened.wait(11.0) > 0


def test_a_probe_that_succeeds_closes_it(opened: Breaker):
    """All pass, and it takes as many failures again."""
    opened.wait(11.0)
    opened.succeeded()
    opened.failed(11.0, "")
    assert [0.0, 0.0] == [opened.wait(11.0), opened.wait(11.0)]


def test_pauses_double_up_to_the_longest(opened: Breaker):
    """A remote that stays down is asked less and less."""
    now, pauses = 11.0, []
    for _ in range(4):
        assert 0.0 == opened.wait(now)
        opened.failed(now, "")
        pauses.append(opened.wait(now))
        now += pauses[-1]
    assert [2.0, 4.0, 4.0, 4.0] == pauses


def test_a_call_from_before_says_nothing_new(opened: Breaker):
    """Eight calls under way fail together: the pause is not doubled eight times."""
    opened.failed(10.5, "")
    assert 0.5 == opened.wait(10.5)


def test_a_probe_that_says_nothing_makes_way(opened: Breaker):
    """Its own deadline was too short: the next call probes."""
    opened.wait(11.0)
    opened.abandoned()
    assert 0.0 == opened.wait(11.0)


def test_a_check_that_finds_it_down_opens_it():
    """Without any call."""
    breaker = Breaker(POLICY)
    breaker.trip(5.0, "LOADING")
    assert (1.0, "LOADING") == (breaker.wait(5.0), breaker.reason)


def test_a_check_that_finds_it_there_lets_a_probe_pass(opened: Breaker):
    """At once, and only a call closes it."""
    opened.probe_now(10.1)
    assert not opened.is_open(10.1)
    assert 0.0 == opened.wait(10.1)
    assert opened.wait(10.1) > 0


def test_a_check_does_not_disturb_a_closed_one():
    """Nothing to let pass."""
    breaker = Breaker(POLICY)
    breaker.probe_now(1.0)
    assert [0.0, 0.0] == [breaker.wait(1.0), breaker.wait(1.0)]
