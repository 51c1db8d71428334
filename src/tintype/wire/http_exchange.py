"""One HTTP/1.1 request and its answer, as bytes out and bytes in (RFC 9112). No IO and no clock.

h11 knows the rules; here are the bounds. Whoever drives an exchange owns the socket and the time,
so a deadline for the whole holds to the moment, with blocking sockets as with asyncio. One exchange
is one connection: for servers that are asked now and then, or that nobody trusts. The engine that
asks a TensorFlow Serving keeps its connections (``engines.tfserving.http_client``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import h11

MAX_HEAD_BYTES: Final = 32 << 10
READ_BYTES: Final = 16 << 10
"""How much to read at a time: what one call of ``feed`` is to work on."""

_FREE_FRAMING_BYTES: Final = 64 << 10
_BODY_PER_FRAMING: Final = 8


class AnswerBroken(Exception):
    """The answer breaks the rules of HTTP, or ends too early."""


class AnswerTooLarge(Exception):
    """The body has, or declares, more bytes than allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent. ``target`` is path and query; ``host`` names the port where it is unusual."""

    method: str
    target: str
    host: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def head(self) -> h11.Request:
        """The head, with the length of the body. Raises ValueError: no text for a header."""
        headers = [("Host", self.host), ("Connection", "close"), *self.headers]
        if self.body or self.method not in {"GET", "HEAD"}:
            headers.append(("Content-Length", str(len(self.body))))
        try:
            return h11.Request(
                method=self.method, target=self.target.encode("ascii"), headers=headers
            )
        except (h11.LocalProtocolError, UnicodeEncodeError) as error:
            raise ValueError(f"the request cannot be written: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Status and headers of the answer; names of headers in small letters, the first value wins."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


class Exchange:
    """A request on its way. Send ``first_bytes``, then feed what comes until ``done``.

    ``limit`` is the most bytes of the answer's body.
    """

    def __init__(self, request: Request, *, limit: int) -> None:
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._request = request
        self._limit = limit
        self._received = 0
        self._body = bytearray()
        self.head: Head | None = None
        self.done = False

    def first_bytes(self) -> bytes:
        """Everything that is to be sent. Raises ValueError: no text for a header."""
        send = self._connection.send
        return b"".join(
            part or b""
            for part in (
                send(self._request.head()),
                send(h11.Data(data=self._request.body)) if self._request.body else b"",
                send(h11.EndOfMessage()),
            )
        )

    def feed(self, data: bytes) -> None:
        """Take what came; no bytes mean that the other side closed.

        Raises AnswerBroken and AnswerTooLarge.
        """
        self._received += len(data)
        try:
            self._connection.receive_data(data)
            while not self.done and self._take(self._connection.next_event()):
                pass
        except h11.RemoteProtocolError as error:
            raise AnswerBroken(str(error)) from error
        if self._received - len(self._body) > (
            _FREE_FRAMING_BYTES + len(self._body) // _BODY_PER_FRAMING
        ):
            # Chunks of a byte each cost many times their size to take apart.
            raise AnswerBroken("more framing than content")

    def body(self) -> bytes:
        """What came of the body so far; all of it once ``done``."""
        return bytes(self._body)

    def body_bytes(self) -> int:
        """How much came of the body so far."""
        return len(self._body)

    def _take(self, event: object) -> bool:
        """One event of h11; whether there may be another."""
        if event is h11.NEED_DATA:
            return False
        if isinstance(event, h11.Response):
            self._begin(event)
        elif isinstance(event, h11.Data):
            if len(self._body) + len(event.data) > self._limit:
                raise AnswerTooLarge
            self._body += event.data
        elif isinstance(event, h11.EndOfMessage):
            self.done = True
        elif not isinstance(event, h11.InformationalResponse):
            raise AnswerBroken("the connection closed before the answer")
        return True

    def _begin(self, response: h11.Response) -> None:
        headers: dict[str, str] = {}
        for name, value in response.headers:
            headers.setdefault(name.decode("ascii"), value.decode("latin-1"))
        self.head = Head(status=response.status_code, headers=headers)
        # h11 has checked that it is a number of at most 20 digits, given once.
        if "transfer-encoding" not in headers and int(headers.get("content-length", 0)) > (
            self._limit
        ):
            raise AnswerTooLarge
