"""The last minutes, for the dashboard: how much was asked, and how long it took.

Several processes on one machine tell each other their parts. Their clock is the machine's, and the
steps of their windows begin at the same moments.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from msgspec.structs import astuple

from tintype.errors import TintypeError
from tintype.predict import PredictRequest
from tintype.types import Prediction, Seconds

WINDOW_SECONDS: Final = 300
STEP_SECONDS: Final = 10
LIVE_QUESTION: Final = "live"
"""What processes of one machine ask each other for a ``LivePart``."""

_MOST_TIMES: Final = 4000
_STAGES: Final = Seconds.__struct_fields__


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimes:
    """Percentiles of one stage's duration, in seconds."""

    stage: str
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the window: answers, answers in which a model failed, and refusals."""

    answered: int
    failed: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What the window holds: its steps, the oldest first, and the stages of the latest answers.

    ``seconds``: how much of the window the server has lived. ``a_second``: answers a second, over
    the last whole step.
    """

    seconds: float
    steps: tuple[Step, ...]
    a_second: float
    stages: tuple[StageTimes, ...]

    @property
    def answered(self) -> int:
        """Answers in the window."""
        return sum(step.answered for step in self.steps)

    @property
    def failed(self) -> int:
        """Answers in which a model failed."""
        return sum(step.failed for step in self.steps)

    @property
    def refused(self) -> int:
        """Requests that ended with an error."""
        return sum(step.refused for step in self.steps)


class LivePart(msgspec.Struct, frozen=True, array_like=True):
    """What one process has of the window, by the machine's clock in seconds.

    ``steps``: answers, failures and refusals by the number of the step. ``times``: when each of
    the latest answers was given, and its stages; from ``whole_since`` on they are all there.
    """

    begun: float
    steps: dict[int, tuple[int, int, int]]
    whole_since: float
    times: list[tuple[float, tuple[float, ...]]]


class LiveWindow:
    """An Observer that keeps five minutes in steps of ten seconds, and the latest 4000 durations.

    Its memory is bounded. Belongs to the event loop; ``clock`` is for tests.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._steps: deque[tuple[int, list[int]]] = deque(maxlen=WINDOW_SECONDS // STEP_SECONDS + 1)
        self._times: deque[tuple[float, Seconds]] = deque(maxlen=_MOST_TIMES)

    def answered(self, request: PredictRequest, prediction: Prediction) -> None:  # noqa: ARG002 - every observer takes it
        """Count an answer and keep its durations."""
        step = self._step()
        step[0] += 1
        step[1] += any(result.error is not None for result in prediction.results)
        self._times.append((self._clock(), prediction.seconds))

    def refused(self, request: PredictRequest, error: TintypeError, *, seconds: float) -> None:  # noqa: ARG002 - every observer takes it
        """Count a refusal."""
        self._step()[2] += 1

    def view(self, others: Iterable[LivePart] = ()) -> Live:
        """The window as it is now, with the parts of other processes of this machine."""
        return together([self.part(), *others], now=self._clock())

    def part(self) -> LivePart:
        """What this process has of it."""
        is_full = len(self._times) == _MOST_TIMES
        return LivePart(
            begun=self._begun,
            steps={number: (a, f, r) for number, (a, f, r) in self._steps},
            whole_since=self._times[0][0] if is_full else -math.inf,
            times=[(at, astuple(seconds)) for at, seconds in self._times],
        )

    def _step(self) -> list[int]:
        number = _number(self._clock())
        if not self._steps or self._steps[-1][0] != number:
            self._steps.append((number, [0, 0, 0]))
        return self._steps[-1][1]


def together(parts: Sequence[LivePart], *, now: float) -> Live:
    """The window of all these processes at the time ``now``.

    Percentiles are of every answer since the moment from which each process has all of its own: a
    busy one has forgotten what a quiet one still knows, and would count for too little.
    """
    number = _number(now)
    first = number - WINDOW_SECONDS // STEP_SECONDS + 1
    none = (0, 0, 0)
    steps = tuple(
        Step(answered=answered, failed=failed, refused=refused)
        for each in range(first, number + 1)
        for answered, failed, refused in [
            tuple(map(sum, zip(*(part.steps.get(each, none) for part in parts), strict=True)))
        ]
    )
    since = max(now - WINDOW_SECONDS, *(part.whole_since for part in parts))
    return Live(
        seconds=min(now - min(part.begun for part in parts), WINDOW_SECONDS),
        steps=steps,
        a_second=steps[-2].answered / STEP_SECONDS,
        stages=_percentiles([took for part in parts for at, took in part.times if at >= since]),
    )


def _number(now: float) -> int:
    """The step in which a moment lies: the same in every process of the machine."""
    return int(now // STEP_SECONDS)


def _percentiles(times: Sequence[tuple[float, ...]]) -> tuple[StageTimes, ...]:
    if not times:
        return ()
    table = np.percentile(np.array(times), (50, 95, 99), axis=0)
    return tuple(
        StageTimes(stage=stage, p50=float(p50), p95=float(p95), p99=float(p99))
        for stage, (p50, p95, p99) in zip(_STAGES, table.T, strict=True)
    )
