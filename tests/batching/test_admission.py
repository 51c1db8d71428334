"""Who is let in, by how long the wait would be. The clock stands still until it is moved."""

from __future__ import annotations

import pytest

from tintype.batching.admission import Admission, AdmissionPolicy
from tintype.errors import Overloaded


class Clock:
    """Tells the time it is set to."""

    now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(clock) -> Admission:
    return Admission(AdmissionPolicy(max_wait_seconds=5.0, max_in_flight=100), clock=clock)


def run(admission: Admission, clock: Clock, *, each: float, count: int, name: str = "a") -> None:
    """Some answers, one after the other, so long apart."""
    for _ in range(count):
        with admission.hold((name,), each=1) as held:
            clock.now += each
            held.answered(name)


def fill(admission: Admission, count: int, name: str = "a") -> list:
    """So many that come in and stay."""
    holds = []
    for _ in range(count):
        refusal = admission.refusal((name,))
        if refusal is not None:
            raise refusal
        holds.append(admission.hold((name,), each=1).__enter__())
    return holds


def test_before_anything_is_known_the_bound_holds(admission):
    """Nothing was answered yet: up to the largest number."""
    fill(admission, 100)
    with pytest.raises(Overloaded):
        fill(admission, 1)


def test_a_burst_may_wait_as_long_as_allowed(admission, clock):
    """A tenth of a second each: the fifty-first would wait for more than five."""
    run(admission, clock, each=0.1, count=64)
    fill(admission, 51)
    with pytest.raises(Overloaded, match=r"the wait would be 5\.1 s") as caught:
        fill(admission, 1)
    assert 5 == caught.value.facts["retry_after"]


def test_two_batches_are_let_in_whatever_they_take(admission, clock):
    """A model of ten seconds a picture is slow, not overloaded; its deadline is elsewhere."""
    run(admission, clock, each=10.0, count=5)
    fill(admission, 16)
    with pytest.raises(Overloaded):
        fill(admission, 1)


def keep_full(admission: Admission, clock: Clock, waiting: list, *, seconds: float) -> int:
    """One is answered each tenth of a second, and others come at once. Tells the longest line."""
    longest = 0
    for _ in range(round(seconds / 0.1)):
        clock.now += 0.1
        hold = waiting.pop(0)
        hold.answered("a")
        hold.__exit__(None, None, None)
        while admission.refusal(("a",)) is None:
            waiting += fill(admission, 1)
        longest = max(longest, len(waiting))
    return longest


def test_a_line_that_stands_is_kept_short(admission, clock):
    """After five seconds of more than can be answered, the wait is a tenth, and stays so."""
    run(admission, clock, each=0.05, count=64)
    waiting = fill(admission, 40)
    assert keep_full(admission, clock, waiting, seconds=5) > 40
    keep_full(admission, clock, waiting, seconds=10)
    assert 16 == keep_full(admission, clock, waiting, seconds=20)


def test_when_it_was_short_for_a_second_a_burst_may_wait_again(admission, clock):
    """The end of an overload is the end of its rule; a pause in it is not."""
    run(admission, clock, each=0.05, count=64)
    waiting = fill(admission, 40)
    keep_full(admission, clock, waiting, seconds=30)
    for pause, longest in ((0.5, 16), (1.0, 30)):
        for hold in waiting:
            hold.__exit__(None, None, None)
        clock.now += pause
        waiting = []
        while admission.refusal(("a",)) is None and len(waiting) < 30:
            waiting += fill(admission, 1)
        assert longest == len(waiting)


def test_a_model_that_hangs_keeps_nobody_from_another(admission, clock):
    """Its line is full; the other's is not, and who asks both is let in."""
    run(admission, clock, each=0.1, count=64, name="good")
    fill(admission, 100, "hangs")
    assert admission.refusal(("hangs",)) is not None
    assert admission.refusal(("hangs", "good")) is None
    fill(admission, 1, "good")


def test_whoever_leaves_gives_back_the_place(admission):
    """What was answered and what was not."""
    with admission.hold(("a", "b"), each=3) as held:
        held.answered("a")
        assert (2, 3) == (admission.line("a").in_flight, admission.line("b").in_flight)
    assert (0, 0) == (admission.line("a").in_flight, admission.line("b").in_flight)


def test_failures_are_no_sign_of_speed(admission, clock):
    """A thousand pictures that cannot be read, at once, do not make the model seem quick."""
    run(admission, clock, each=0.5, count=20)
    before = (fill(admission, 1), admission.line("a").wait_seconds(clock.now))[1]
    for _ in range(1000):
        with admission.hold(("a",), each=1):
            pass
    assert before == admission.line("a").wait_seconds(clock.now)


def test_a_model_that_becomes_slow_is_noticed_before_its_next_answer(admission, clock):
    """The line is as long as it was; it is the pause that tells."""
    run(admission, clock, each=0.1, count=64)
    fill(admission, 30)
    assert admission.refusal(("a",)) is None
    clock.now += 3.0
    assert admission.refusal(("a",)) is not None


def test_time_without_work_does_not_count(admission, clock):
    """A night without questions does not make the model seem slow."""
    run(admission, clock, each=0.1, count=64)
    clock.now += 40_000
    run(admission, clock, each=0.1, count=1)
    fill(admission, 10)
    assert 1.0 == round(admission.line("a").wait_seconds(clock.now), 3)


def test_nothing_served_is_nothing_to_refuse(admission):
    """What is wrong then is told by whoever looks for the model."""
    assert admission.refusal(()) is None


def test_two_versions_of_a_model_stand_in_its_line_twice(admission):
    """And leave it as often, answered or not."""
    for _ in range(3):
        with admission.hold(("a", "a"), each=2) as held:
            assert 4 == admission.line("a").in_flight
            held.answered("a")
    assert 0 == admission.line("a").in_flight
    assert admission.is_quiet()


def test_few_of_all_models_together_are_quiet(admission):
    """Then nobody can be refused, and no line has to be looked at."""
    holds = fill(admission, 15)
    assert admission.is_quiet()
    assert not admission.is_quiet(arriving=1)
    holds[0].__exit__(None, None, None)
    assert admission.is_quiet(arriving=1)
