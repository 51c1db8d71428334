"""How many processors this process may use."""

from __future__ import annotations

import os

import pytest

from tintype.cores import usable_cores


@pytest.fixture
def quota(tmp_path):
    """A file as Linux has it for a container."""
    return tmp_path / "cpu.max"


def test_without_a_quota_they_are_those_it_is_bound_to(quota):
    """The file is not there outside of containers."""
    assert len(os.sched_getaffinity(0)) == usable_cores(quota)


@pytest.mark.parametrize("text", ["max 100000", "", "what", "100000 0", "-1 100000"])
def test_what_sets_no_bound_changes_nothing(quota, text):
    """``max`` is how Linux says so."""
    quota.write_text(text)
    assert usable_cores(quota) in {1, len(os.sched_getaffinity(0))}


@pytest.mark.parametrize("text", ["50000 100000", "100000 100000"])
def test_a_container_s_share_is_rounded_up(quota, text):
    """Half a processor is one thread's work."""
    quota.write_text(text)
    assert 1 == usable_cores(quota)


def test_a_large_share_adds_none(quota):
    """It cannot use more than there are."""
    quota.write_text("6400000 100000")
    assert len(os.sched_getaffinity(0)) == usable_cores(quota)
