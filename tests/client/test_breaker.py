"""When a server is left alone; no clock but the test's."""

from __future__ import annotations

from tintype.client.breaker import Breaker


def test_it_opens_after_so_many_failures_in_a_row():
    """Not before."""
    breaker = Breaker(after=2, seconds=5)
    breaker.failed(10)
    assert not breaker.open(10)
    breaker.failed(11)
    assert breaker.open(11)
    assert breaker.open(15.9)


def test_an_answer_begins_the_count_anew():
    """Failures that are not in a row do not count."""
    breaker = Breaker(after=2, seconds=5)
    breaker.failed(10)
    breaker.answered()
    breaker.failed(11)
    assert not breaker.open(11)


def test_after_the_rest_one_call_tries():
    """The others still get their defaults until it has come back."""
    breaker = Breaker(after=1, seconds=5)
    breaker.failed(10)
    assert [False, True, True] == [breaker.open(15), breaker.open(15.1), breaker.open(19)]
    breaker.answered()
    assert not breaker.open(19.1)


def test_a_try_that_fails_begins_the_rest_anew():
    """From the moment it failed."""
    breaker = Breaker(after=1, seconds=5)
    breaker.failed(10)
    assert not breaker.open(15)
    breaker.failed(17)
    assert breaker.open(21)
    assert not breaker.open(22)
