"""What comes of asking models about one picture, and the way it is asked for: here, or far away.

In the place of a model that gave no answer stand its error and the fallback labels of its card.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from tintype.batching.admission import Hold
from tintype.errors import DeadlineExceeded, TintypeError
from tintype.imaging.header import Header
from tintype.models.absent import AbsentModel, fallback_labels
from tintype.models.hosted import Hosted
from tintype.predict.request import PredictRequest
from tintype.types import ImageFacts, PictureLook, Point, Result, ResultError, Seconds

T = TypeVar("T")
A = TypeVar("A")
Asked: TypeAlias = Hosted | AbsentModel
"""A model that a request names, or that answers because none is named."""


class Asking(Struct, frozen=True, kw_only=True):
    """One request on its way through the models.

    ``line`` is its place in line, ``deadline`` (``time.monotonic``) the end of its time.
    """

    request: PredictRequest
    header: Header
    asked: tuple[Asked, ...]
    line: Hold
    deadline: float

    @property
    def points(self) -> tuple[Point | None, ...]:
        """The points asked about; None for the whole picture."""
        return self.request.points or (None,)


class Answered(Struct, frozen=True, kw_only=True):
    """One question's result, and the error behind a failed one."""

    result: Result
    failure: TintypeError | None = None
    queue_seconds: float = 0.0
    run_seconds: float = 0.0


class Answers(Struct, frozen=True, kw_only=True):
    """All that was said of one picture: one group a model, in the order asked, one answer a point.

    ``seconds`` are those of decoding, preparing, and of waiting before that.
    """

    facts: ImageFacts
    look: PictureLook | None
    groups: Sequence[Sequence[Answered]]
    seconds: Seconds


class Answering(Protocol):
    """Gets the answers of models about a picture that is within the limits."""

    async def answer(self, asking: Asking) -> Answers:
        """Ask every model about every point.

        A model that fails is an answer. Raises ImageError, and ServingError where the picture
        could not be looked at in time; the first failure where nobody answered.
        """
        ...


async def ask_each(
    ask: Callable[[A], Coroutine[Any, Any, T]], items: Sequence[A], *, parallel: bool = True
) -> list[T]:
    """Everything side by side, or one after the other; one alone needs no task of its own."""
    if parallel and len(items) > 1:
        return await asyncio.gather(*(ask(item) for item in items))
    return [await ask(item) for item in items]


def raise_if_none_answered(groups: Sequence[Sequence[Answered]]) -> None:
    """Raise the first failure where there is neither an answer nor a fallback."""
    answers = [answer for group in groups for answer in group]
    failure = answers[0].failure
    if failure and all(each.failure and not each.result.fallback for each in answers):
        raise failure


def deadline_of(host: Hosted, *, deadline: float) -> float:
    """When the wait for a model ends that is asked now: its own deadline, or the request's."""
    own = host.deadline_seconds
    return deadline if own is None else min(deadline, time.monotonic() + own)


def late(host: Hosted, error: DeadlineExceeded) -> DeadlineExceeded:
    """The error with the card's own limit in its words, where there is one."""
    own = host.deadline_seconds
    if own is None:
        return error
    return DeadlineExceeded(
        f"{error.message}; its card allows {own:g} s",
        hint="deadline_seconds in its model.toml moves it",
        limit=own,
    )


def absence(model: AbsentModel, point: Point | None) -> Answered:
    """The answer of a model that is not there."""
    labels = fallback_labels(model.fallback, labels=())
    return Answered(
        result=Result(
            model=model.name,
            version=model.version,
            task=model.task,
            point=point,
            labels=labels,
            error=told(model.error),
            fallback=labels is not None,
        ),
        failure=model.error,
    )


def told(error: TintypeError | None) -> ResultError | None:
    """An error as a result tells it."""
    return None if error is None else ResultError(type=error.type, detail=error.message)
