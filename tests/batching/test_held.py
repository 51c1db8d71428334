"""Which answers are kept for a moment, so that several reach the loop together."""

from __future__ import annotations

import pytest

from tintype.batching.held import Held


def kept(*seconds: float, more: int) -> list[bool]:
    """What becomes of the answers of runs that take so long, one after another."""
    held, now, told = Held(), 100.0, []
    for each in seconds:
        held.add([])
        told.append(held.waits(now, now + each, more=more))
        now += each
    return told


def test_short_runs_are_answered_four_at_a_time():
    """The fourth ends it."""
    assert [True, True, True, False] == kept(0.001, 0.001, 0.001, 0.001, more=9)


@pytest.mark.parametrize("more", [0, 1])
def test_nobody_is_kept_waiting_while_few_ask(more):
    """One that waits is for when the loop is busy with the answers."""
    assert [False] == kept(0.001, more=more)


def test_no_answer_is_kept_longer_than_thirty_milliseconds():
    """A run as long as the last one must fit into what is left."""
    assert [False] == kept(0.035, more=9)
    assert [True, True, False] == kept(0.012, 0.012, 0.012, more=9)
    assert [True, False] == kept(0.001, 0.030, more=9)


def test_what_was_kept_is_counted():
    """Batches, each with a place to give back, and answers in their order."""
    held = Held()
    held.add(["a"])
    held.add(["b", "c"])
    assert (2, ["a", "b", "c"]) == (held.batches, held.outcomes)
