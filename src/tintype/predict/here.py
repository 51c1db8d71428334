"""The models of this process are asked: the picture is decoded, each answers in its deadline."""

from __future__ import annotations

import time
from concurrent.futures import Future

from tintype.batching.admission import Hold
from tintype.batching.running import Answer
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
from tintype.predict.prepare import Prepared, Preparer, Question, prepare_picture
from tintype.predict.request import PredictRequest
from tintype.types import Result, Seconds, Tensor


class Here:
    """An Answering. ``parallel``: the models side by side, else one after the other."""

    def __init__(self, preparer: Preparer, *, parallel: bool) -> None:
        self._preparer = preparer
        self._parallel = parallel

    async def answer(self, asking: Asking) -> Answers:
        """Make the picture ready in a thread, then ask; in the engine's thread, where it may be."""
        host = self._preparer.waits_with(asking.header, asking.asked)
        if host is None:
            return await self._prepared(asking)
        async with host.turn(deadline=asking.deadline) as turn:
            if host.makes_rows and len(asking.points) == 1:
                return await self._in_one_go(host, asking, waited=turn.waited)
            return await self._prepared(asking, waited=turn.waited)

    async def _in_one_go(self, host: ModelHost, asking: Asking, *, waited: float) -> Answers:
        """A thread that decodes a picture runs it: nothing changes hands, or leaves the caches."""
        made = _Made(host, asking)
        failure: Exception | None = None
        async with self._preparer.memory(asking.header, deadline=asking.deadline) as held:
            held.keep_for(made.ended)
            try:
                answer = await host.submit(made.row, deadline=asking.deadline)
            except ServingError as error:
                failure, made.failure = made.failure or error, None
            finally:
                made.ended.cancel()  # where nobody has begun: nothing is decoded any more
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # raised and held by this frame, it would keep the picture
        prepared = made.prepared
        assert prepared is not None  # noqa: S101 - there is an answer to it
        (question,) = prepared.questions[host]
        seconds = answer.queue_seconds + answer.run_seconds
        answered = _read_out(question, answer, asking.request, seconds=seconds)
        asking.line.answered(host.name)
        return _answers(prepared, [[answered]], waited=waited)

    async def _prepared(self, asking: Asking, *, waited: float = 0.0) -> Answers:
        hosts = tuple(model for model in asking.asked if isinstance(model, ModelHost))
        deadline = asking.deadline
        prepared = await self._preparer.prepare(
            asking.request, asking.header, hosts, deadline=deadline
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
        return _answers(prepared, groups, waited=waited)


class _Made:
    """A picture that is made ready when its turn comes, in a thread; or why it could not be."""

    def __init__(self, host: ModelHost, asking: Asking) -> None:
        self._host = host
        self._asking = asking
        self.prepared: Prepared | None = None
        self.failure: Exception | None = None
        self.ended: Future[None] = Future()
        """Until then the memory for decoding is in use, whoever has left."""

    def row(self) -> Tensor:
        """The row to run. Raises ImageError."""
        if not self.ended.set_running_or_notify_cancel():
            raise DeadlineExceeded("nobody waits for the picture any more")
        asking, host = self._asking, self._host
        try:
            self.prepared = prepare_picture(asking.request, asking.header, (host,))
        except Exception as failure:
            self.failure = failure
            raise
        finally:
            self.ended.set_result(None)
        (question,) = self.prepared.questions[host]
        return question.row


def _answers(prepared: Prepared, groups: list[list[Answered]], *, waited: float) -> Answers:
    return Answers(
        facts=prepared.facts,
        look=prepared.look,
        groups=groups,
        seconds=Seconds(
            decode=prepared.decode_seconds, prepare=prepared.prepare_seconds, queue=waited
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
    begun = time.monotonic()
    failure: ServingError
    try:
        answer = await question.host.submit(question.row, deadline=deadline)
        seconds = time.monotonic() - begun
        return _read_out(question, answer, request, seconds=seconds)
    except DeadlineExceeded as error:
        failure = late(question.host, error)
    except ServingError as error:
        failure = error
    seconds = time.monotonic() - begun
    return Answered(
        result=result_of(question, Found(), failure=failure, seconds=seconds), failure=failure
    )


def _read_out(
    question: Question, answer: Answer, request: PredictRequest, *, seconds: float
) -> Answered:
    """What an answer says. Raises EngineFailed."""
    found = question.host.read_out(
        answer.outputs, window=question.window, top=request.top, threshold=request.threshold
    )
    return Answered(
        result=result_of(question, found, failure=None, seconds=seconds),
        queue_seconds=answer.queue_seconds,
        run_seconds=answer.run_seconds,
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
