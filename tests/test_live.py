"""The window of the last minutes, with a clock that the test moves."""

from __future__ import annotations

import msgspec
import pytest

from tintype.errors import ImageCorrupt
from tintype.live import LivePart, LiveWindow
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


@pytest.fixture
def others(clock: Clock) -> tuple[LiveWindow, LiveWindow]:
    """Two processes of one machine; the second was started 7 seconds after the first."""
    first = LiveWindow(clock=clock)
    clock.now += 7
    return first, LiveWindow(clock=clock)


def test_the_windows_of_processes_add_up_step_by_step(others, clock: Clock):
    """Their steps begin at the same moments, whenever they themselves began."""
    for window in others:
        for _ in range(10):
            clock.now += 5
            window.answered(REQUEST, answer(failed=True))
            window.refused(REQUEST, ImageCorrupt("no"), seconds=0.1)
    first, second = others
    live, mirrored = first.view([second.part()]), second.view([first.part()])
    assert live == mirrored
    assert (20, 20, 20) == (live.answered, live.failed, live.refused)
    parts = [window.view() for window in others]
    assert [
        one.answered + two.answered for one, two in zip(*(p.steps for p in parts), strict=True)
    ] == [step.answered for step in live.steps]
    assert (107, 0.2) == (live.seconds, live.a_second)


def test_percentiles_are_of_the_durations_of_all(others):
    """As if one process had answered everything."""
    first, second = others
    for number in range(1, 101):
        others[number % 2].answered(REQUEST, answer(total=number / 1000))
    stages = {each.stage: each for each in first.view([second.part()]).stages}
    total = stages["total"]
    assert (0.0505, 0.09505, 0.09901) == pytest.approx((total.p50, total.p95, total.p99))


def test_a_busy_process_counts_for_as_much_as_a_quiet_one(others, clock: Clock):
    """It has forgotten its first answers: those of the quiet one from then do not count either."""
    busy, quiet = others
    quiet.answered(REQUEST, answer(total=9.0))
    for _ in range(8000):
        clock.now += 0.01
        busy.answered(REQUEST, answer(total=0.001))
    quiet.answered(REQUEST, answer(total=1.0))
    total = busy.view([quiet.part()]).stages[-1]
    assert (0.001, 0.001) == (total.p50, total.p99)
    alone = quiet.view().stages[-1]
    assert pytest.approx(5.0) == alone.p50
    assert 4001 == len(_since(busy, quiet))


def _since(*windows: LiveWindow) -> list[float]:
    """The durations that count."""
    parts = [window.part() for window in windows]
    since = max(part.whole_since for part in parts)
    return [took[-1] for part in parts for at, took in part.times if at >= since]


def test_a_part_travels_between_processes(others):
    """As it is, in MessagePack."""
    others[0].answered(REQUEST, answer())
    for window in others:
        part = window.part()
        assert part == msgspec.msgpack.decode(msgspec.msgpack.encode(part), type=LivePart)
