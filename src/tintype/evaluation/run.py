"""Asking the model about every labelled picture, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from tintype.bulk.items import Item, Piece, in_pieces
from tintype.bulk.road import in_order
from tintype.evaluation.folder import LabelledPicture
from tintype.predict import Given, PredictRequest, Told
from tintype.types import LabelScore, Prediction, ResultError, name_text


class Asks(Protocol):
    """What is asked: a ``Direct``."""

    def answer(self, images: Sequence[Given], asked: PredictRequest) -> list[Told]:
        """Answer some pictures, in any thread."""
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
    """How pictures are asked: ``read`` gives a file's bytes, ``threads`` ask side by side."""

    read: Callable[[Path], bytes]
    asked: PredictRequest
    threads: int


def examine(
    pictures: Sequence[LabelledPicture],
    direct: Asks,
    work: Work,
    *,
    done: Callable[[Examined], None],
) -> tuple[Examined, ...]:
    """Ask about every picture; one that fails stops no other. ``done`` is told of each in turn.

    The answer has the order of ``pictures``. Raises ServingError where the model is away.
    """
    asked = PredictRequest(
        image=b"",
        models=work.asked.models,
        points=work.asked.points,
        top=work.asked.top,
        threshold=0.0,  # the rank of the right label counts, however low its score
    )

    def ask(piece: Piece, images: Sequence[Given]) -> list[Told]:
        del piece
        return direct.answer(images, asked)

    items = (
        Item(name=name_text(str(each.file)), size=0, read=partial(work.read, each.file))
        for each in pictures
    )
    found: list[Examined] = []
    for piece, answers in in_order(in_pieces(items), ask, threads=work.threads):
        for place, told in enumerate(answers, start=piece.first):
            found.append(_examined(pictures[place], told))
            done(found[-1])
    return tuple(found)


def _examined(picture: LabelledPicture, told: Told) -> Examined:
    if not isinstance(told, Prediction):
        problem = ResultError(type=told.type, detail=told.message)
        return Examined(file=picture.file, right=picture.label, error=problem)
    result = told.results[0]
    return Examined(
        file=picture.file, right=picture.label, labels=result.labels or (), error=result.error
    )
