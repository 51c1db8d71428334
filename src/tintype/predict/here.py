"""The models of this process are asked: the picture is decoded, each answers in its deadline."""

from __future__ import annotations

import time

from tintype.batching.admission import Hold
from tintype.errors import DeadlineExceeded, ServingError
from tintype.models.absent import AbsentModel
from tintype.models.host import Found, ModelHost
from tintype.predict.answers import (
    Answered,
    Answers,
    Asked,
    Asking,
    absence,
    ask_each,
    deadline_of,
    late,
    told,
)
from tintype.predict.prepare import Preparer, Question
from tintype.predict.request import PredictRequest
from tintype.types import Result, Seconds


class Here:
    """An Answering. ``parallel``: the models side by side, else one after the other."""

    def __init__(self, preparer: Preparer, *, parallel: bool) -> None:
        self._preparer = preparer
        self._parallel = parallel

    async def answer(self, asking: Asking) -> Answers:
        """Make the picture ready in a thread, then ask."""
        hosts = tuple(model for model in asking.asked if isinstance(model, ModelHost))
        header, deadline = asking.header, asking.deadline
        async with self._preparer.turn(header, asking.asked, deadline=deadline) as turn:
            prepared = await self._preparer.prepare(
                asking.request, header, hosts, deadline=deadline
            )

            async def ask(model: Asked) -> list[Answered]:
                if isinstance(model, AbsentModel):
                    return [absence(model, point) for point in asking.points]
                assert isinstance(model, ModelHost)  # noqa: S101 - all of a registry are
                within = deadline_of(model, deadline=deadline)
                return await ask_each(
                    lambda each: _in_line(each, asking.request, asking.line, deadline=within),
                    prepared.questions[model],
                )

            groups = await ask_each(ask, asking.asked, parallel=self._parallel)
        return Answers(
            facts=prepared.facts,
            look=prepared.look,
            groups=groups,
            seconds=Seconds(
                decode=prepared.decode_seconds,
                prepare=prepared.prepare_seconds,
                queue=turn.waited,
            ),
        )


async def _in_line(
    question: Question, request: PredictRequest, line: Hold, *, deadline: float
) -> Answered:
    answered = await _one(question, request, deadline=deadline)
    if answered.failure is None:
        line.answered(question.host.name)
    return answered


async def _one(question: Question, request: PredictRequest, *, deadline: float) -> Answered:
    host = question.host
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
        failure = late(host, error)
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
        error=told(failure),
        fallback=fallback is not None,
        seconds=seconds,
        input=question.input,
    )
