"""Many pictures answered in the calling thread: no queue, no deadline, no event loop.

For work in bulk, where several threads each do this and nobody waits for a single answer. The
pictures go the same way as a server's: header, ``prepare_picture``, engine, ``read_out``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

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
from tintype.types import Prediction, Result

_ENOUGH_ROW_BYTES: Final = 2_400_000
"""Rows that are made ready before any is run: more of them leave the processor's caches again."""
_MOST_ROW_BYTES: Final = 64 << 20
"""The same for an engine that takes many rows in one run, and gains by it."""

Given: TypeAlias = bytes | TintypeError
"""A picture, or why it could not be got."""

Told: TypeAlias = Prediction | TintypeError
"""The answer to it, or why there is none."""


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

        Each step is done for many of them in a row: what ran between two pictures leaves the
        processor's caches without the code of the step, and then it takes up to four times as
        long.
        """
        headers = [self._header(image) for image in images]
        groups = self._groups(images, headers, asked)
        return [told for group in groups for told in self._told(group, asked)]

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
        """Pictures made ready, as many together as the engines take, caches hold, memory allows."""
        group: list[Prepared | TintypeError] = []
        size = 0
        for image, header in zip(images, headers, strict=True):
            ready = self._prepared(image, header, asked)
            group.append(ready)
            size += 0 if isinstance(ready, TintypeError) else _row_bytes(ready)
            enough = len(group) >= self._at_once and size >= _ENOUGH_ROW_BYTES
            if enough or size >= _MOST_ROW_BYTES:
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

    def _told(
        self, group: Sequence[Prepared | TintypeError], asked: PredictRequest
    ) -> Iterator[Told]:
        """What the models say of a group. Raises ServingError where one is away."""
        ready = [each for each in group if isinstance(each, Prepared)]
        results: list[list[Result]] = [[] for _ in ready]
        for host in self._hosts:
            pairs = zip(ready, results, strict=True)
            questions = [(one, of) for each, of in pairs for one in each.questions[host]]
            begun = time.monotonic()
            outcomes = host.run_rows([one.row for one, _ in questions])
            seconds = (time.monotonic() - begun) / max(1, len(questions))
            for (one, of), outcome in zip(questions, outcomes, strict=True):
                of.append(_read_out(one, outcome, asked, seconds=seconds))
        answered = iter(results)
        for each in group:
            if isinstance(each, TintypeError):
                yield each
            else:
                yield Prediction(id="", image=each.facts, results=tuple(next(answered)))


def _read_out(
    question: Question, outcome: RowOutcome, asked: PredictRequest, *, seconds: float
) -> Result:
    found, failure = Found(), None
    try:
        if isinstance(outcome, ServingError):
            raise outcome
        found = question.host.read_out(
            outcome, window=question.window, top=asked.top, threshold=asked.threshold
        )
    except EngineFailed as error:
        failure = error
    return result_of(question, found, failure=failure, seconds=seconds)


def _row_bytes(ready: Prepared) -> int:
    return sum(one.row.nbytes for questions in ready.questions.values() for one in questions)
