"""The window of the last minutes, with a clock that the test moves."""

from __future__ import annotations

import pytest

from tintype.errors import ImageCorrupt
from tintype.live import LiveWindow
from tintype.predict import PredictRequest
from tintype.types import ImageFacts, Prediction, Result, ResultError, Seconds, Task

REQUEST = PredictRequest(image=b"")


class Clock:
    """Time as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell it."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def window(clock: Clock) -> LiveWindow:
    return LiveWindow(clock=clock)


def answer(total: float = 0.01, *, failed: bool = False) -> Prediction:
    error = ResultError(type="engine-failed", detail="") if failed else None
    return Prediction(
        id="0",
        image=ImageFacts(width=1, height=1, format="png", sha256=""),
        results=(Result(model="m", version="1", task=Task.CLASSIFY, error=error),),
        seconds=Seconds(run=total / 2, total=total),
    )


def test_a_new_window_is_empty(window: LiveWindow):
    """Nothing was asked, and no stage has a duration."""
    live = window.view()
    assert (0, 0, 0, 0.0, ()) == (
        live.answered,
        live.failed,
        live.refused,
        live.a_second,
        live.stages,
    )
    assert 30 == len(live.steps)


def test_answers_failures_and_refusals_are_counted_apart(window: LiveWindow):
    """A failure is an answer in which some model gave none."""
    window.answered(REQUEST, answer())
    window.answered(REQUEST, answer(failed=True))
    window.refused(REQUEST, ImageCorrupt("no"), seconds=0.1)
    live = window.view()
    assert (2, 1, 1) == (live.answered, live.failed, live.refused)


def test_the_rate_is_that_of_the_last_whole_step(window: LiveWindow, clock: Clock):
    """The step that has just begun would tell too little."""
    for _ in range(50):
        window.answered(REQUEST, answer())
    clock.now += 10
    window.answered(REQUEST, answer())
    assert 5.0 == window.view().a_second


def test_what_is_older_than_the_window_is_forgotten(window: LiveWindow, clock: Clock):
    """Counts and durations."""
    window.answered(REQUEST, answer())
    clock.now += 301
    live = window.view()
    assert (0, (), 300) == (live.answered, live.stages, live.seconds)


def test_memory_is_bounded(window: LiveWindow, clock: Clock):
    """However long and however much is asked."""
    for _ in range(10_000):
        clock.now += 1
        window.answered(REQUEST, answer())
    assert (31, 4000) == (len(window._steps), len(window._times))


def test_stages_are_told_by_percentiles(window: LiveWindow):
    """A hundred durations from 1 to 100 ms."""
    for number in range(1, 101):
        window.answered(REQUEST, answer(total=number / 1000))
    stages = {each.stage: each for each in window.view().stages}
    assert ["decode", "prepare", "queue", "run", "total"] == list(stages)
    total = stages["total"]
    assert (0.0505, 0.09505, 0.09901) == pytest.approx((total.p50, total.p95, total.p99))
    assert total.p50 / 2 == pytest.approx(stages["run"].p50)
