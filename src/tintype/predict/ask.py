"""Models are asked about a picture that is ready, each within its own deadline.

In the place of a model that gave no answer stand its error and the fallback labels of its card.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from tintype.batching.admission import Hold
from tintype.errors import DeadlineExceeded, ServingError, TintypeError
from tintype.models.absent import AbsentModel, fallback_labels
from tintype.models.host import Found, ModelHost
from tintype.predict.prepare import Prepared, Question
from tintype.predict.request import PredictRequest
from tintype.types import Point, Result, ResultError

T = TypeVar("T")
Asked: TypeAlias = ModelHost | AbsentModel
"""A model that a request names, or that answers because none is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One question's result, and the error behind a failed one."""

    result: Result
    failure: TintypeError | None
    queue_seconds: float = 0.0
    run_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One request on its way through the models.

    ``line`` is its place in line, ``deadline`` (``time.monotonic``) the end of its time,
    ``parallel``: the models side by side, else one after the other.
    """

    request: PredictRequest
    line: Hold
    deadline: float
    parallel: bool

    async def every(self, asked: Sequence[Asked], prepared: Prepared) -> list[list[Answered]]:
        """Ask every model about every point: one list a model, in the order asked."""

        async def ask(model: Asked) -> list[Answered]:
            if isinstance(model, AbsentModel):
                return [_absence(model, point) for point in self.request.points or (None,)]
            within = _deadline_of(model, deadline=self.deadline)
            questions = prepared.questions[model]
            return await _together([in_line(each, within) for each in questions])

        async def in_line(question: Question, within: float) -> Answered:
            answered = await self._one(question, within)
            if answered.failure is None:
                self.line.answered(question.host.name)
            return answered

        if self.parallel:
            return await _together([ask(model) for model in asked])
        return [await ask(model) for model in asked]

    async def _one(self, question: Question, deadline: float) -> Answered:
        host, request = question.host, self.request
        begun = time.monotonic()
        failure: ServingError | None = None
        found, queue, run = Found(), 0.0, 0.0
        try:
            answer = await host.submit(question.row, deadline=deadline)
            queue, run = answer.queue_seconds, answer.run_seconds
            found = host.read_out(
                answer.outputs, window=question.window, top=request.top, threshold=request.threshold
            )
        except DeadlineExceeded as error:
            failure = _late(host, error)
        except ServingError as error:
            failure = error
        return Answered(
            result=result_of(question, found, failure=failure, seconds=time.monotonic() - begun),
            failure=failure,
            queue_seconds=queue,
            run_seconds=run,
        )


def result_of(
    question: Question, found: Found, *, failure: ServingError | None, seconds: float
) -> Result:
    """The result that answers a question: what was found, or why nothing was, and the fallback."""
    host = question.host
    fallback = None if failure is None else host.fallback
    return Result(
        model=host.name,
        version=host.version,
        task=host.task,
        point=question.point,
        labels=found.labels if fallback is None else fallback,
        boxes=found.boxes,
        error=_told(failure),
        fallback=fallback is not None,
        seconds=seconds,
        input=question.input,
    )


async def _together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Everything side by side; one alone needs no task of its own."""
    if len(work) == 1:
        return [await work[0]]
    return await asyncio.gather(*work)


def _deadline_of(host: ModelHost, *, deadline: float) -> float:
    """When the wait for a model ends that is asked now: its own deadline, or the request's."""
    own = host.deadline_seconds
    return deadline if own is None else min(deadline, time.monotonic() + own)


def _late(host: ModelHost, error: DeadlineExceeded) -> DeadlineExceeded:
    """The error with the card's own limit in its words, where there is one."""
    own = host.deadline_seconds
    if own is None:
        return error
    return DeadlineExceeded(
        f"{error.message}; its card allows {own:g} s",
        hint="deadline_seconds in its model.toml moves it",
        limit=own,
    )


def _absence(model: AbsentModel, point: Point | None) -> Answered:
    labels = fallback_labels(model.fallback, labels=())
    return Answered(
        result=Result(
            model=model.name,
            version=model.version,
            task=model.task,
            point=point,
            labels=labels,
            error=_told(model.error),
            fallback=labels is not None,
        ),
        failure=model.error,
    )


def _told(error: TintypeError | None) -> ResultError | None:
    return None if error is None else ResultError(type=error.type, detail=error.message)
