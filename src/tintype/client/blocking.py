"""The client for programs with threads."""

from __future__ import annotations

import socket
import ssl
import threading
import time
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


class Client:
    """Asks one Tintype server, such as ``http://127.0.0.1:8000``. Safe to share between threads.

    Every call is over within ``policy.seconds`` and raises nothing: what cannot be answered by
    the server is answered by ``policy.defaults``. ``headers`` go with each request (an API key,
    say); ``tls`` trusts an authority of your own. Proxies of the environment are not used.

    Raises SettingsError for an address that is none.
    """

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

    def predict(
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
        return self._session.answer(self._hold(self._session.predict(image, ask)), ask)

    def predict_batch(
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
        outcome = self._hold(self._session.batch(images, ask))
        return self._session.answers(outcome, ask, count=len(images))

    def feedback(self, prediction: str, said: Feedback) -> ResultError | None:
        """Say what became of the prediction of that id; None once it is committed, else why not.

        Asked again where the answer breaks off: what is said twice is kept once.
        """
        return read_refusal(self._hold(self._session.feedback(prediction, said)))

    def ready(self) -> bool:
        """Whether the server says, in time, that every model is ready."""
        outcome = self._hold(self._session.ready())
        return isinstance(outcome, Reply) and outcome.status == 200

    def _hold(self, talk: Conversation) -> Outcome:
        """Hold the conversation to its end or to the deadline."""
        resting = self._session.resting()
        if resting is not None:
            return resting
        deadline = _Deadline(self._session.policy.seconds)
        outcome: Outcome | None = None
        try:
            while True:
                step = talk.send(outcome)
                outcome = None
                if isinstance(step, Pause):
                    time.sleep(min(step.seconds, max(deadline.left(), 0)))
                else:
                    outcome = self._attempt(step, deadline)
        except StopIteration as end:
            last: Outcome = end.value
            self._session.note(last)
            return last

    def _attempt(self, request: Request, deadline: _Deadline) -> Outcome:
        exchange = Exchange(request, limit=MAX_ANSWER_BYTES)
        connection: socket.socket | None = None
        try:
            data = exchange.first_bytes()
            connection = self._connect(deadline)
            with connection:
                _talk(connection, exchange, data, deadline)
        except TimeoutError:
            return self._session.late(sent=connection is not None)
        except (AnswerBroken, AnswerTooLarge) as error:
            return broken_off(error)
        except OSError as error:
            return broken_off(error) if connection else unreachable(error)
        return reply_of(exchange)

    def _connect(self, deadline: _Deadline) -> socket.socket:
        """A connection to the first address that takes one. Raises OSError, TimeoutError."""
        server = self._session.server
        addresses = _resolve(server.host, server.port, deadline)
        failed: OSError = OSError("the host has no address")
        for index, address in enumerate(addresses):
            share = deadline.ahead() / (len(addresses) - index)
            try:
                connection = socket.create_connection(address, timeout=share)
            except OSError as error:
                failed = error
                continue
            if not server.tls:
                return connection
            try:
                connection.settimeout(deadline.ahead())
                return self._context().wrap_socket(connection, server_hostname=server.host)
            except BaseException:
                connection.close()
                raise
        raise failed

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


class _Deadline:
    """A moment on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then; below 0 when it is over."""
        return self._end - time.monotonic()

    def ahead(self) -> float:
        """Seconds until then. Raises TimeoutError when it is over."""
        left = self.left()
        if left <= 0:
            raise TimeoutError
        return left


def _talk(connection: socket.socket, exchange: Exchange, data: bytes, deadline: _Deadline) -> None:
    """Send the request and feed the answer. Each step has what is left of the time."""
    view = memoryview(data)
    with suppress(BrokenPipeError, ConnectionResetError):  # it may have answered all the same
        while view:
            connection.settimeout(deadline.ahead())
            view = view[connection.send(view[: 1 << 18]) :]
    while not exchange.done:
        connection.settimeout(deadline.ahead())
        exchange.feed(connection.recv(READ_BYTES))


def _resolve(host: str, port: int, deadline: _Deadline) -> list[tuple[str, int]]:
    """The addresses of a host. The system takes no deadline for this, so a thread asks it."""
    found: list[list[tuple[str, int]]] = []
    failed: list[OSError] = []

    def ask() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            failed.append(OSError(str(error)))
        else:
            found.append([(str(info[4][0]), port) for info in infos])

    with suppress(OSError):  # an address needs no thread
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return [(str(info[4][0]), port) for info in infos]
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(deadline.ahead())
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError
    return list(dict.fromkeys(found[0]))
