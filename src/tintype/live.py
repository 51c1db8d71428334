"""The last minutes of this process, for the dashboard: how much was asked, and how long it took."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from msgspec.structs import astuple

from tintype.errors import TintypeError
from tintype.predict import PredictRequest
from tintype.types import Prediction, Seconds

WINDOW_SECONDS: Final = 300
STEP_SECONDS: Final = 10
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

    ``seconds``: how much of the window this process has lived. ``a_second``: answers a second,
    over the last whole step.
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

    def view(self) -> Live:
        """The window as it is now."""
        now = self._clock()
        number = self._number(now)
        found = dict(self._steps)
        first = number - WINDOW_SECONDS // STEP_SECONDS + 1
        steps = [found.get(each, [0, 0, 0]) for each in range(first, number + 1)]
        since = now - WINDOW_SECONDS
        return Live(
            seconds=min(now - self._begun, WINDOW_SECONDS),
            steps=tuple(Step(answered=a, failed=f, refused=r) for a, f, r in steps),
            a_second=found.get(number - 1, [0])[0] / STEP_SECONDS,
            stages=_percentiles([seconds for at, seconds in self._times if at >= since]),
        )

    def _step(self) -> list[int]:
        number = self._number(self._clock())
        if not self._steps or self._steps[-1][0] != number:
            self._steps.append((number, [0, 0, 0]))
        return self._steps[-1][1]

    def _number(self, now: float) -> int:
        return int((now - self._begun) // STEP_SECONDS)


def _percentiles(times: Sequence[Seconds]) -> tuple[StageTimes, ...]:
    if not times:
        return ()
    table = np.percentile(np.array([astuple(each) for each in times]), (50, 95, 99), axis=0)
    return tuple(
        StageTimes(stage=stage, p50=float(p50), p95=float(p95), p99=float(p99))
        for stage, (p50, p95, p99) in zip(_STAGES, table.T, strict=True)
    )
