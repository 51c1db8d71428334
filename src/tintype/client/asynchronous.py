"""The client for programs on asyncio."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress

from tintype.client.answers import Answer
from tintype.client.calls import (
    MAX_ANSWER_BYTES,
    Ask,
    Conversation,
    Feedback,
    Outcome,
    Pause,
    Reply,
    read_refusal,
    reply_of,
)
from tintype.client.policy import ClientPolicy
from tintype.client.session import Session, broken_off, unreachable
from tintype.types import Point, ResultError
from tintype.wire.http_exchange import (
    READ_BYTES,
    AnswerBroken,
    AnswerTooLarge,
    Exchange,
    Request,
)


class AsyncClient:
    """``Client`` for asyncio: the same calls, awaited. See there."""

    def __init__(
        self,
        url: str,
        *,
        policy: ClientPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._session = Session(url, policy=policy or ClientPolicy(), headers=headers or {})
        self._tls = tls

    def _context(self) -> ssl.SSLContext | None:
        if self._session.server.tls and self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls if self._session.server.tls else None

    async def predict(
        self,
        image: bytes,
        *,
        models: Sequence[str] = (),
        points: Sequence[Point] = (),
        top: int | None = None,
        threshold: float | None = None,
    ) -> Answer:
        """Ask about one picture: the bytes of its file. Options as in ``POST /api/predict``."""
        ask = Ask(models=tuple(models), points=tuple(points), top=top, threshold=threshold)
        return self._session.answer(await self._hold(self._session.predict(image, ask)), ask)

    async def predict_batch(
        self,
        images: Sequence[bytes],
        *,
        models: Sequence[str] = (),
        points: Sequence[Point] = (),
        top: int | None = None,
        threshold: float | None = None,
    ) -> tuple[Answer, ...]:
        """Ask about many pictures; an answer for each, in their order."""
        ask = Ask(models=tuple(models), points=tuple(points), top=top, threshold=threshold)
        if not images:
            return ()
        outcome = await self._hold(self._session.batch(images, ask))
        return self._session.answers(outcome, ask, count=len(images))

    async def feedback(self, prediction: str, said: Feedback) -> ResultError | None:
        """Say what became of the prediction of that id; None once it is committed, else why not.

        Asked again where the answer breaks off: what is said twice is kept once.
        """
        return read_refusal(await self._hold(self._session.feedback(prediction, said)))

    async def ready(self) -> bool:
        """Whether the server says, in time, that every model is ready."""
        outcome = await self._hold(self._session.ready())
        return isinstance(outcome, Reply) and outcome.status == 200

    async def _hold(self, talk: Conversation) -> Outcome:
        """Hold the conversation to its end or to the deadline."""
        outcome: Outcome | None = self._session.resting()
        if outcome is not None:
            return outcome
        attempt = _Attempt(self._session, self._context())
        try:
            async with asyncio.timeout(self._session.policy.seconds):
                outcome = await _held(talk, attempt)
        except TimeoutError:
            outcome = self._session.late(sent=attempt.connected)
        self._session.note(outcome)
        return outcome


async def _held(talk: Conversation, attempt: _Attempt) -> Outcome:
    outcome: Outcome | None = None
    try:
        while True:
            step = talk.send(outcome)
            outcome = None
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            else:
                outcome = await attempt.made(step)
    except StopIteration as end:
        last: Outcome = end.value
        return last


class _Attempt:
    """Sends a request over a connection of its own."""

    def __init__(self, session: Session, tls: ssl.SSLContext | None) -> None:
        self._server = session.server
        self._tls = tls
        self.connected = False

    async def made(self, request: Request) -> Outcome:
        """How it went."""
        self.connected = False
        exchange = Exchange(request, limit=MAX_ANSWER_BYTES)
        data = exchange.first_bytes()
        try:
            reader, writer = await asyncio.open_connection(
                self._server.host, self._server.port, ssl=self._tls
            )
        except (OSError, UnicodeError) as error:
            return unreachable(error)
        self.connected = True
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # it may have answered already
                writer.write(data)
                await writer.drain()
            while not exchange.done:
                exchange.feed(await reader.read(READ_BYTES))
        except (AnswerBroken, AnswerTooLarge, OSError) as error:
            return broken_off(error)
        finally:
            writer.transport.abort()
        return reply_of(exchange)
