"""Models that run elsewhere are asked: the encoded picture travels, and is decoded where they are.

Models at one place are asked in one call, and decode a picture they share once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from msgspec.structs import replace

from tintype.errors import (
    DeadlineExceeded,
    ImageError,
    ModelUnavailable,
    RequestError,
    ServingError,
    TintypeError,
)
from tintype.models.absent import AbsentModel
from tintype.models.far import FarModel, Place
from tintype.predict.answers import (
    Answered,
    Answers,
    Asked,
    Asking,
    absence,
    ask_each,
    deadline_of,
    late,
    raise_if_none_answered,
    told,
)
from tintype.predict.message import error_of, question_bytes, read_reply
from tintype.predict.prepare import Preparer
from tintype.types import Prediction, Result, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """What a place said, ``seconds`` after it was asked."""

    outcome: Prediction | TintypeError
    seconds: float


class Far:
    """An Answering. ``preparer`` is for pictures that no place has looked at."""

    def __init__(self, preparer: Preparer, *, parallel: bool) -> None:
        self._preparer = preparer
        self._parallel = parallel

    async def answer(self, asking: Asking) -> Answers:
        """Ask every place once, side by side or one after the other."""
        places: dict[Place, list[FarModel]] = {}
        for model in asking.asked:
            if isinstance(model, FarModel):
                places.setdefault(model.place, []).append(model)
        heard = await ask_each(
            lambda models: _ask(models, asking), [*places.values()], parallel=self._parallel
        )
        told_by = dict(zip(places, heard, strict=True))
        groups = [_group(model, asking, told_by) for model in asking.asked]
        raise_if_none_answered(groups)
        for group in groups:
            for answered in group:
                if answered.failure is None:
                    asking.line.answered(answered.result.model)
        predictions = [each.outcome for each in heard if isinstance(each.outcome, Prediction)]
        if not predictions:
            return await self._looked_at_here(asking, groups)
        return Answers(
            facts=predictions[0].image,
            look=predictions[0].look,
            groups=groups,
            seconds=Seconds(
                decode=max(each.seconds.decode for each in predictions),
                prepare=max(each.seconds.prepare for each in predictions),
            ),
        )

    async def _looked_at_here(self, asking: Asking, groups: list[list[Answered]]) -> Answers:
        """Fallbacks alone: what the picture is must be told all the same."""
        prepared = await self._preparer.prepare(
            asking.request, asking.header, (), deadline=asking.deadline
        )
        return Answers(
            facts=prepared.facts,
            look=prepared.look,
            groups=groups,
            seconds=Seconds(decode=prepared.decode_seconds, prepare=prepared.prepare_seconds),
        )


async def _ask(models: list[FarModel], asking: Asking) -> _Heard:
    """Ask the models of one place. Raises ImageError: every model would say so of the picture."""
    begun = time.monotonic()
    within = max(deadline_of(model, deadline=asking.deadline) for model in models) - begun
    outcome = await _told(models, asking, within=within)
    if isinstance(outcome, ImageError):
        raise outcome
    return _Heard(outcome=outcome, seconds=time.monotonic() - begun)


async def _told(
    models: list[FarModel], asking: Asking, *, within: float
) -> Prediction | TintypeError:
    """What their place says. What it says of itself is an error of serving."""
    if within <= 0:
        return DeadlineExceeded("the deadline passed before the model was asked")
    names = tuple(model.address for model in models)
    question = question_bytes(asking.request, names, seconds=within)
    try:
        reply = await models[0].place.ask(asking.request.image, question, within=within)
    except ServingError as error:
        return error
    outcome = read_reply(reply)
    if isinstance(outcome, RequestError):  # of the version, which the request did not name
        return ModelUnavailable(
            f"the model {models[0].name!r} is being replaced by another version",
            hint="try again",
        )
    return outcome


def _group(model: Asked, asking: Asking, told_by: dict[Place, _Heard]) -> list[Answered]:
    """One model's answers, a point each."""
    if isinstance(model, AbsentModel):
        return [absence(model, point) for point in asking.points]
    assert isinstance(model, FarModel)  # noqa: S101 - all of a registry are
    heard = told_by[model.place]
    outcome = heard.outcome
    if isinstance(outcome, TintypeError):
        failure = late(model, outcome) if isinstance(outcome, DeadlineExceeded) else outcome
        return [_unanswered(model, asking, at, heard, failure) for at in range(len(asking.points))]
    results = [
        result
        for result in outcome.results
        if (result.model, result.version) == (model.name, model.version)
    ]
    if len(results) != len(asking.points):
        failure = ModelUnavailable(f"no answer of {model.address!r} came back", hint="try again")
        return [_unanswered(model, asking, at, heard, failure) for at in range(len(asking.points))]
    return [_answered(result, heard, outcome.seconds) for result in results]


def _answered(result: Result, heard: _Heard, spent: Seconds) -> Answered:
    """A result as it came. What the way there and back took counts as waiting."""
    failure = None if result.error is None else error_of(result.error.type, result.error.detail)
    way = max(0.0, heard.seconds - spent.total)
    return Answered(
        result=replace(result, seconds=result.seconds + way),
        failure=failure,
        queue_seconds=spent.queue + way,
        run_seconds=spent.run,
    )


def _unanswered(
    model: FarModel, asking: Asking, at: int, heard: _Heard, failure: TintypeError
) -> Answered:
    return Answered(
        result=Result(
            model=model.name,
            version=model.version,
            task=model.task,
            point=asking.points[at],
            labels=model.fallback,
            error=told(failure),
            fallback=model.fallback is not None,
            seconds=heard.seconds,
        ),
        failure=failure,
    )
