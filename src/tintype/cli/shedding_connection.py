"""A connection that refuses before it reads, while its server has more to do than it can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tintype.cli.connection import LINGER_SECONDS, Connection
from tintype.cli.plain_head import plain_post
from tintype.cli.shedding import Shedding

MAX_UNREAD_BYTES: Final = 1 << 20
HASTE_SECONDS: Final = 0.05


class SheddingConnection(Connection):
    """Refuses by ``shedding``: without the parser where it can, else when the head is there."""

    shedding: Shedding
    """``connection_with`` sets it."""

    _dropping = 0
    """Bytes to come of the body of a request that was refused without the parser."""
    _let_in = False
    _refused_at = -1.0

    def _left_to_parse(self, data: bytes) -> bytes:
        if self._dropping:
            data = self._drop(data)
        now = self.shedding.now()
        return data if now is None or not data else self._shed_plain(data, now)

    def _refused_unread(self) -> bool:
        """Refuse the request unread if the server has too many; tell whether it was.

        Its body is received and dropped: most clients write all of it before they read, and a
        connection that is closed with something unread is reset, answer and all (RFC 9112, 9.6).
        Behind a short body it can be used again; behind a long one it ends, at the latest after
        ``LINGER_SECONDS``. Who waits for a sign to send (Expect) reads the answer and sends none.
        """
        if self._at_work():  # answers keep the order of their requests
            return False
        if self._let_in:  # asked a moment ago, without the parser
            self._let_in = False
            return False
        answer = self.shedding.answer(self.parser.get_method(), self.url)
        if answer is None:
            return False
        self._unread, self._unread_bytes = True, 0
        long = self._declared_bytes() > MAX_UNREAD_BYTES or self.expect_100_continue
        self._closes = long or not self.parser.should_keep_alive()
        self._unset_keepalive_if_required()
        if self._closes:
            answer = answer.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)
        self._wrote_refusal(answer)
        if self.expect_100_continue:
            self._read_no_more()
        elif long:
            self.loop.call_later(LINGER_SECONDS, self.transport.close)
        return True

    def _drop(self, data: bytes) -> bytes:
        """What follows the body of a request that was refused without the parser."""
        dropped = min(self._dropping, len(data))
        self._dropping -= dropped
        return data[dropped:]

    def _shed_plain(self, data: bytes, now: float) -> bytes:
        """Refuse what can be refused without the parser, and give what is left to read.

        In a flood most of what a refusal costs is the parser's calls for each header.
        """
        at, end = 0, len(data)
        while at < end and self._between and not self._at_work():
            head = plain_post(data, at)
            if head is None or (body_bytes := int(head[2])) > MAX_UNREAD_BYTES:
                break
            answer = self.shedding.answer_post(head[1], now)
            if answer is None:
                self._let_in = True
                break
            self._requests += 1
            body_end = head.end() + body_bytes
            at = min(body_end, end)
            self._dropping = body_end - at
            if not self._wrote_refusal(answer):
                return b""
        return data[at:] if at else data

    def _wrote_refusal(self, answer: bytes) -> bool:
        if self.flow.write_paused:  # it asks and does not read: nothing is piled up for it
            self.transport.abort()
            return False
        self.transport.write(answer)
        if seconds := self.shedding.rest_seconds:
            now = self.loop.time()
            if now - self._refused_at < seconds + HASTE_SECONDS:
                self._rest(seconds)
            self._refused_at = now
        return True

    def _rest(self, seconds: float) -> None:
        """Let who asks again at once wait a little: refusing it would take all of a processor."""
        self.shedding.note_rest()
        self.flow.pause_reading()
        self.loop.call_later(seconds, self._read_on)

    def _read_on(self) -> None:
        if not (self._read_over or self.transport.is_closing()):
            self.flow.resume_reading()

    def _declared_bytes(self) -> int:
        """The body's length as told; the parser has seen that it is a number."""
        return next((int(value) for name, value in self.headers if name == b"content-length"), 0)


def connection_with(
    shedding: Shedding, *, gone: Callable[[], None] | None = None
) -> type[SheddingConnection]:
    """Connections that refuse by ``shedding``, and call ``gone`` when they have ended.

    uvicorn makes them by calling their class.
    """
    facts: dict[str, object] = {"shedding": shedding}
    if gone is not None:
        facts["gone"] = staticmethod(gone)
    return type("ConnectionOfServer", (SheddingConnection,), facts)
