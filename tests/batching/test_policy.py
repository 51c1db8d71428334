"""The rule that closes batches, with time as an argument."""

from __future__ import annotations

import pytest

from tintype.batching.policy import BatchPolicy, Decision, close_batch, settled
from tintype.errors import SettingsError


@pytest.mark.parametrize(("alike", "take"), [(0, 0), (1, 1), (7, 7), (8, 8), (9, 8)])
def test_an_idle_engine_takes_what_is_there_up_to_the_largest_batch(alike, take):
    """Without linger nobody waits for company."""
    policy = BatchPolicy(max_batch=8)

    assert Decision(take=take) == close_batch(policy, alike=alike, oldest_waits=0.0)


@pytest.mark.parametrize(
    ("alike", "idle", "take"), [(8, 2, 4), (5, 2, 3), (1, 2, 1), (40, 2, 8), (3, 4, 1)]
)
def test_idle_streams_share_what_waits(alike, idle, take):
    """The first stream takes its share, rounded up, and leaves the rest to the others."""
    decision = close_batch(BatchPolicy(max_batch=8), alike=alike, oldest_waits=0.0, idle=idle)

    assert Decision(take=take) == decision


@pytest.mark.parametrize(("engine_batch", "take"), [(1, 1), (4, 4), (32, 20)])
def test_a_fixed_batch_size_is_the_most_that_is_taken(engine_batch, take):
    """More would run in parts and make all wait; less would be filled up for nothing."""
    decision = close_batch(
        BatchPolicy(max_batch=8), alike=20, oldest_waits=0.0, idle=2, engine_batch=engine_batch
    )

    assert Decision(take=take) == decision


def test_with_linger_the_oldest_waits_for_company_until_its_time_is_over():
    """The puppet clock goes from 0 to 10 ms and past it."""
    policy = BatchPolicy(max_batch=8, linger_seconds=0.01)

    def decide(waited: float) -> Decision:
        return close_batch(policy, alike=3, oldest_waits=waited)

    assert Decision(take=0, wait_seconds=0.01) == decide(0.0)
    assert Decision(take=0, wait_seconds=pytest.approx(0.004)) == decide(0.006)
    assert Decision(take=3) == decide(0.01)
    assert Decision(take=3) == decide(5.0)


def test_a_full_batch_never_lingers():
    """There is nothing left to wait for."""
    policy = BatchPolicy(max_batch=4, linger_seconds=1.0)

    assert Decision(take=4) == close_batch(policy, alike=4, oldest_waits=0.0)


def test_nothing_waiting_is_nothing_to_wait_for():
    """An empty queue is looked at again on arrival, not by the clock."""
    policy = BatchPolicy(linger_seconds=1.0)

    assert Decision(take=0) == close_batch(policy, alike=0, oldest_waits=0.0)


@pytest.mark.parametrize(
    "wrong",
    [{"max_batch": -1}, {"max_queue": 0}, {"linger_seconds": -0.1}, {"linger_seconds": 2.0}],
)
def test_values_out_of_range_are_refused_by_name(wrong):
    """The message names the field."""
    with pytest.raises(SettingsError, match=rf"^batching\.{next(iter(wrong))}"):
        BatchPolicy(**wrong)


@pytest.mark.parametrize(
    ("said", "together", "most"), [(0, False, 8), (0, True, 64), (5, False, 5), (5, True, 5)]
)
def test_the_largest_batch_follows_the_engine_unless_it_is_said(said, together, most):
    """A GPU gains by many at once."""
    assert most == settled(BatchPolicy(max_batch=said), together=together).max_batch
