"""Asking the model about every labelled picture, several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tintype.errors import TintypeError
from tintype.evaluation.folder import LabelledPicture
from tintype.predict import PredictRequest
from tintype.types import LabelScore, Prediction, ResultError


class Asks(Protocol):
    """What is asked: a ``Predictor``."""

    async def predict(self, request: PredictRequest) -> Prediction:
        """Answer one picture."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One picture with the answer, best label first, or with why there is none."""

    file: Path
    right: str
    labels: tuple[LabelScore, ...] = ()
    error: ResultError | None = None

    @property
    def correct(self) -> bool:
        """Whether the first label is the right one."""
        return bool(self.labels) and self.labels[0].label == self.right


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How pictures are asked: ``read`` gives a file's bytes, ``at_once`` are at work together."""

    read: Callable[[Path], bytes]
    asked: PredictRequest
    at_once: int


async def examine(
    pictures: Sequence[LabelledPicture],
    predictor: Asks,
    work: Work,
    *,
    done: Callable[[Examined], None],
) -> tuple[Examined, ...]:
    """Ask about every picture; one that fails stops no other. ``done`` is told of each as it comes.

    The answer has the order of ``pictures``.
    """
    found: dict[int, Examined] = {}
    waiting = iter(enumerate(pictures))

    async def take(waiting: Iterator[tuple[int, LabelledPicture]]) -> None:
        for number, picture in waiting:  # shared: each takes the next that nobody has taken
            found[number] = await _one(picture, predictor, work)
            done(found[number])

    async with asyncio.TaskGroup() as group:
        for _ in range(work.at_once):
            group.create_task(take(waiting))
    return tuple(found[number] for number in range(len(pictures)))


async def _one(picture: LabelledPicture, predictor: Asks, work: Work) -> Examined:
    try:
        image = await asyncio.to_thread(work.read, picture.file)
        prediction = await predictor.predict(_with(work.asked, image))
    except TintypeError as error:
        problem = ResultError(type=error.type, detail=error.message)
        return Examined(file=picture.file, right=picture.label, error=problem)
    result = prediction.results[0]
    return Examined(
        file=picture.file, right=picture.label, labels=result.labels or (), error=result.error
    )


def _with(asked: PredictRequest, image: bytes) -> PredictRequest:
    return PredictRequest(
        image=image, models=asked.models, points=asked.points, top=asked.top, threshold=0.0
    )
