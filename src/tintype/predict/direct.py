"""Many pictures answered in the calling thread: no queue, no deadline, no event loop.

For work in bulk, where several threads each do this and nobody waits for a single answer. The
pictures go the same way as a server's: header, ``prepare_picture``, engine, ``read_out``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from msgspec.structs import replace

from tintype.batching.room import Room
from tintype.batching.running import RowOutcome
from tintype.errors import EngineFailed, ServingError, TintypeError
from tintype.imaging.decode import decoded_bytes
from tintype.imaging.header import Header, read_header
from tintype.imaging.limits import DecodeLimits
from tintype.models.host import Found, ModelHost
from tintype.predict.here import result_of
from tintype.predict.prepare import Prepared, Question, prepare_picture
from tintype.predict.request import PredictRequest
from tintype.types import ImageFacts, Prediction, Result, Tensor

_MOST_ROW_BYTES: Final = 64 << 20
_GONE: Final[Tensor] = np.empty(0, np.uint8)

Given: TypeAlias = bytes | TintypeError
"""A picture, or why it could not be got."""

Told: TypeAlias = Prediction | TintypeError
"""The answer to it, or why there is none."""


@dataclass(frozen=True, slots=True)
class _Ran:
    """A question that a model was asked: its row is gone, it may be large."""

    question: Question
    outcome: RowOutcome
    seconds: float


@dataclass(frozen=True, slots=True)
class _Asked:
    """A picture that every model was asked about, in their order."""

    facts: ImageFacts
    ran: list[_Ran]


class Direct:
    """Asks every host about pictures. May be used by several threads; owns nothing.

    ``room`` bounds the decoded pictures of all threads. Predictions have no id and no seconds.
    """

    def __init__(self, hosts: tuple[ModelHost, ...], *, limits: DecodeLimits, room: Room) -> None:
        self._hosts = hosts
        self._limits = limits
        self._room = room
        self._at_once = max(host.rows_at_once for host in hosts)

    def answer(self, images: Sequence[Given], asked: PredictRequest) -> list[Told]:
        """Answer ``images`` as ``asked`` says, whose own picture is not looked at, in their order.

        A bad picture harms no other; an engine that fails leaves its error in the result. Raises
        ServingError where no picture could be answered now: the model, or the remote that runs
        it, is away.

        What is small is done for all of them in a row: after a picture has been decoded and run,
        the processor's caches hold nothing of the code around that, and it takes four times as
        long.
        """
        headers = [self._header(image) for image in images]
        ran = [each for group in self._groups(images, headers, asked) for each in self._ask(group)]
        return [_told(each, asked) for each in ran]

    def _header(self, image: Given) -> Header | TintypeError:
        if isinstance(image, TintypeError):
            return image
        try:
            return read_header(image, limits=self._limits)
        except TintypeError as error:
            return error

    def _groups(
        self,
        images: Sequence[Given],
        headers: Sequence[Header | TintypeError],
        asked: PredictRequest,
    ) -> Iterator[list[Prepared | TintypeError]]:
        """Pictures made ready, as many together as the engines take and memory allows."""
        group: list[Prepared | TintypeError] = []
        size = 0
        for image, header in zip(images, headers, strict=True):
            ready = self._prepared(image, header, asked)
            group.append(ready)
            size += 0 if isinstance(ready, TintypeError) else _row_bytes(ready)
            if len(group) >= self._at_once or size >= _MOST_ROW_BYTES:
                yield group
                group, size = [], 0
        if group:
            yield group

    def _prepared(
        self, image: Given, header: Header | TintypeError, asked: PredictRequest
    ) -> Prepared | TintypeError:
        if isinstance(image, TintypeError):
            return image
        if isinstance(header, TintypeError):
            return header
        try:
            with self._room.hold(decoded_bytes(header)):
                return prepare_picture(
                    replace(asked, image=image), header, self._hosts, looks=False
                )
        except TintypeError as error:
            return error

    def _ask(self, group: Sequence[Prepared | TintypeError]) -> list[_Asked | TintypeError]:
        ready = [each for each in group if isinstance(each, Prepared)]
        ran: list[list[_Ran]] = [[] for _ in ready]
        for host in self._hosts:
            questions = [(at, one) for at, each in enumerate(ready) for one in each.questions[host]]
            begun = time.monotonic()
            outcomes = host.run_rows([one.row for _, one in questions])
            seconds = (time.monotonic() - begun) / max(1, len(questions))
            for (at, one), outcome in zip(questions, outcomes, strict=True):
                if isinstance(outcome, ServingError) and not isinstance(outcome, EngineFailed):
                    raise outcome
                ran[at].append(_Ran(replace(one, row=_GONE), outcome, seconds))
        asked = iter(_Asked(each.facts, of) for each, of in zip(ready, ran, strict=True))
        return [each if isinstance(each, TintypeError) else next(asked) for each in group]


def _told(picture: _Asked | TintypeError, asked: PredictRequest) -> Told:
    if isinstance(picture, TintypeError):
        return picture
    results = tuple(_read_out(ran, asked) for ran in picture.ran)
    return Prediction(id="", image=picture.facts, results=results)


def _read_out(ran: _Ran, asked: PredictRequest) -> Result:
    question, found, failure = ran.question, Found(), None
    try:
        if isinstance(ran.outcome, ServingError):
            raise ran.outcome
        found = question.host.read_out(
            ran.outcome, window=question.window, top=asked.top, threshold=asked.threshold
        )
    except EngineFailed as error:
        failure = error
    return result_of(question, found, failure=failure, seconds=ran.seconds)


def _row_bytes(ready: Prepared) -> int:
    return sum(one.row.nbytes for questions in ready.questions.values() for one in questions)
