"""How many processors this process may use."""

from __future__ import annotations

import os

import pytest

from tintype.cores import Groups, quota_cores, share_cores, share_of, usable_cores

BOUND = len(os.sched_getaffinity(0))


@pytest.fixture
def groups(tmp_path):
    """Files as Linux has them for a container, which sees its own group as the root."""
    (tmp_path / "mine").write_text("0::/\n")
    (tmp_path / "root").mkdir()
    return Groups(mine=tmp_path / "mine", root=tmp_path / "root")


@pytest.fixture
def service(groups):
    """The same for a service of systemd: a group below those of others."""
    groups.mine.write_text("1:cpu:/elsewhere\n0::/system.slice/tintype.service\n")
    (groups.root / "system.slice/tintype.service").mkdir(parents=True)
    return groups


def test_without_a_quota_they_are_those_it_is_bound_to(groups):
    """The root of a machine has no such file."""
    assert BOUND == usable_cores(groups)


def test_where_nothing_tells_the_group_they_are_those_it_is_bound_to(tmp_path):
    """As on systems other than Linux."""
    assert BOUND == usable_cores(Groups(mine=tmp_path / "mine", root=tmp_path / "root"))


@pytest.mark.parametrize("text", ["max 100000", "", "what", "100000 0", "-1 100000"])
def test_what_sets_no_bound_changes_nothing(groups, text):
    """``max`` is how Linux says so."""
    (groups.root / "cpu.max").write_text(text)
    assert BOUND == usable_cores(groups)


@pytest.mark.parametrize("text", ["50000 100000", "100000 100000"])
def test_a_container_s_share_is_rounded_up(groups, text):
    """Half a processor is one thread's work."""
    (groups.root / "cpu.max").write_text(text)
    assert 1 == usable_cores(groups)


def test_a_large_share_adds_none(groups):
    """It cannot use more than there are."""
    (groups.root / "cpu.max").write_text("6400000 100000")
    assert BOUND == usable_cores(groups)


def test_a_service_has_the_quota_that_its_unit_says(service):
    """``CPUQuota=150%``: half a processor more is a thread more."""
    (service.root / "system.slice/tintype.service/cpu.max").write_text("150000 100000")
    assert 2 == quota_cores(service)


def test_a_service_shares_the_quota_of_those_around_it(service):
    """The tightest of its groups counts."""
    (service.root / "system.slice/tintype.service/cpu.max").write_text("400000 100000")
    (service.root / "system.slice/cpu.max").write_text("300000 100000")
    assert 3 == quota_cores(service)


def test_a_neighbour_s_quota_is_none_of_its_own(service):
    """Only the groups it is in."""
    (service.root / "system.slice/other.service").mkdir()
    (service.root / "system.slice/other.service/cpu.max").write_text("100000 100000")
    assert quota_cores(service) is None


@pytest.mark.parametrize(
    ("total", "of", "shares"),
    [(8, 2, [4, 4]), (8, 3, [3, 3, 2]), (2, 2, [1, 1]), (1, 1, [1]), (2, 3, [1, 1, 1])],
)
def test_processes_share_the_cores_and_deal_out_the_rest(total, of, shares):
    """None is left over; each has one at least."""
    assert shares == [share_of(total, number=number, of=of) for number in range(of)]


@pytest.fixture
def one_of_two():
    """This process is the second of two, for as long as the test lasts."""
    share_cores(1, 2)
    yield
    share_cores(0, 1)


@pytest.mark.usefixtures("one_of_two")
def test_one_of_several_has_its_share_of_a_quota(groups):
    """Engines are told so, too: they look up the whole machine themselves."""
    (groups.root / "cpu.max").write_text("100000 100000")
    assert (1, 1) == (usable_cores(groups), quota_cores(groups))


@pytest.mark.usefixtures("one_of_two")
def test_one_of_several_tells_engines_its_share_without_a_quota(groups):
    """Where one alone would leave it to them."""
    assert max(1, BOUND // 2) == quota_cores(groups) == usable_cores(groups)
