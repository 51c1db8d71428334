"""HTTP/1.1 on one connection, with the limits and the words that uvicorn's own lacks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from tintype.cli.cycles import DroppedHeaders, close_unless_received, tell_gone, write_whole
from tintype.cli.unsent import Unsent
from tintype.web.application import WHOLE
from tintype.web.errors import PROBLEM_JSON, http_problem, status_of
from tintype.web.trace import SECURITY_HEADERS, Header

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

MAX_HEAD_BYTES: Final = 64 << 10
MAX_PIPELINED: Final = 64
IDLE_SECONDS: Final = 30.0
UPLOAD_SECONDS: Final = 2.0
FIRST_SECONDS: Final = 0.5
MAX_DROPPED_BYTES: Final = 64 << 20
LINGER_SECONDS: Final = 5.0

_OF_AN_UPGRADE: Final = frozenset({b"upgrade", b"http2-settings"})


class Connection(HttpToolsProtocol):
    """Refuses endless headers and endless pipelines, and drops connections that ask nothing.

    What follows a body in chunks and looks like headers (trailers) is not kept: it could speak for
    the caller, past all that was checked (RFC 9110, 6.5.1).

    A connection on which no request is at work, and none has begun to be since the last look, is
    closed: one look each ``IDLE_SECONDS``. A request's own body and work have limits elsewhere.
    """

    _between = True
    """No request has begun that has not arrived whole."""
    _read_over = False
    _unread = False
    _unread_bytes = 0
    _closes = False
    _leaves = False
    """The server ends."""
    _running: RequestResponseCycle | None = None
    _unsent: Unsent
    _head_bytes = 0
    _aside_bytes = 0
    """Read since the request began, or since the last of its body."""
    _in_head = False
    _may_be_large = False
    _requests = 0
    _look: asyncio.TimerHandle | None = None

    @staticmethod
    def gone() -> None:
        """Called when it has ended; ``connection_with`` may set another."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """A client is there."""
        super().connection_made(transport)
        self._unsent = Unsent(transport, self.loop)
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        if self._look is not None:
            self._look.cancel()
        self._unsent.rest()
        self.gone()
        tell_gone((self._running, *(cycle for cycle, _ in self.pipeline)))
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some of a request came."""
        if self._read_over or self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        data = self._left_to_parse(data)
        if not data:
            return
        self._may_be_large = self._head_bytes + len(data) > MAX_HEAD_BYTES
        self._aside_bytes += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response("this is no HTTP/1.1 request that can be read")
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()
        elif self._aside_bytes > MAX_HEAD_BYTES and not self._between:
            self._refuse_aside()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head, self._head_bytes, self._aside_bytes, self._unread = True, 0, 0, False
        self._between = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A request's head is there."""
        self._in_head = False
        if self.parser.should_upgrade():
            return  # it comes again, without that
        self._requests += 1
        if self._may_be_large and self._head_size() > MAX_HEAD_BYTES:
            self._unread, self._unread_bytes, self._closes = True, 0, True
            self._refuse_head()
        elif len(self.pipeline) >= MAX_PIPELINED:
            self.transport.close()
        elif not self._refused_unread():
            super().on_headers_complete()
            if self._leaves:
                self.cycle.keep_alive = False
            if self.expect_100_continue:
                close_unless_received(self.cycle)
        self.headers = DroppedHeaders()

    def on_body(self, body: bytes) -> None:
        """Some of its body is there."""
        self._aside_bytes = 0
        if not self._unread:
            super().on_body(body)
            return
        self._unread_bytes += len(body)
        if self._unread_bytes > MAX_DROPPED_BYTES:
            self._read_no_more()

    def on_message_complete(self) -> None:
        """The request is there whole."""
        if self.parser.should_upgrade():
            return
        self._between = True
        if not self._unread:
            super().on_message_complete()
        elif self._closes:
            self.transport.close()

    def shutdown(self) -> None:
        """The server ends: finish what has arrived, wait a little for what has not.

        Who has just come may have asked already, and is not read yet.
        """
        self._leaves = True
        if not self._at_work() and (self.cycle is None or self._in_head):
            self.loop.call_later(FIRST_SECONDS, self.end_wait)
            return
        super().shutdown()
        self._unsent.watch(UPLOAD_SECONDS)
        if self._uploading():
            self.loop.call_later(UPLOAD_SECONDS, self.drop_upload)

    def end_wait(self) -> None:
        """Wait no more for who came just before the end."""
        if self._uploading():
            self.loop.call_later(UPLOAD_SECONDS, self.drop_upload)
        elif not self._at_work():
            self.transport.close()

    def drop_upload(self) -> None:
        """Close the connection if its request has not arrived whole."""
        if self._uploading():
            self.transport.close()

    def pause_writing(self) -> None:
        """The client does not read as fast as is written."""
        super().pause_writing()
        self._unsent.watch(IDLE_SECONDS)

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self._unsent.rest()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse("bad-request", msg)

    def look(self) -> None:
        """Close the connection when nothing happens on it."""
        if self._at_work() or self._requests:
            self._requests = 0
            self._look_later()
        else:
            self.transport.close()
            self._unsent.watch(UPLOAD_SECONDS)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        cycle.scope["extensions"] = {WHOLE: self._write_whole}  # type: ignore[dict-item]  # ours is no dict
        super()._start_asgi_task(cycle, app)

    def _write_whole(self, status: int, headers: list[Header], body: bytes) -> bool:
        assert self._running is not None  # noqa: S101 - whoever answers was started
        return write_whole(self._running, status, headers, body)

    def _left_to_parse(self, data: bytes) -> bytes:
        """What is left for the parser, where some is answered before."""
        return data

    def _refused_unread(self) -> bool:
        """Refuse the request whose head is there, if it should be; tell whether it was."""
        return False

    def _parse(self, data: bytes) -> None:
        """Read on. Who asks for another protocol is answered in this one (RFC 9110, 7.8).

        curl's ``--http2`` and Java's client ask for HTTP/2 so in their first request. The parser
        takes what follows such a head for the other protocol, and the body would be lost: a new
        one gets the head again without the question, and then the body.
        """
        while not self.transport.is_closing():
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as asked:
                if self.parser.get_method() == b"CONNECT":  # asks so by itself: it would come again
                    self.send_400_response("this is no proxy: CONNECT is not answered")
                    return
                data = self._head_without_upgrade() + data[asked.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
            else:
                return

    def _head_without_upgrade(self) -> bytes:
        lines = [
            b"%s %s HTTP/%s"
            % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        ]
        for name, value in self.headers:
            kept = value
            if name == b"connection":
                words = (word.strip() for word in value.split(b","))
                kept = b", ".join(word for word in words if word.lower() not in _OF_AN_UPGRADE)
            if kept and name not in _OF_AN_UPGRADE:
                lines.append(b"%s: %s" % (name, kept))
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse_head(self) -> None:
        if not self.transport.is_closing():
            self._refuse("head-too-large", f"the head has more than {MAX_HEAD_BYTES} bytes")

    def _refuse_aside(self) -> None:
        if self._at_work() and not self._unread:
            self._refuse("head-too-large", f"more than {MAX_HEAD_BYTES} bytes aside from the body")
        else:  # it has its answer
            self.transport.close()

    def _ends_behind_answers(self) -> bool:
        """Have the connection end behind the answers that are due; tell whether any are."""
        running, last = self._running, self.cycle
        if running is None or running.response_complete or (running is last and last.more_body):
            return False
        if last.more_body:  # it is what cannot be read
            self.pipeline.clear()
            last = running
        last.keep_alive = False
        self._read_over = True
        return True

    def _at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _read_no_more(self) -> None:
        self._read_over = True
        self.transport.pause_reading()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _uploading(self) -> bool:
        cycle = self.cycle
        return cycle is not None and cycle.more_body and not cycle.response_complete

    def _look_later(self) -> None:
        self._look = self.loop.call_later(IDLE_SECONDS, self.look)

    def _refuse(self, slug: str, detail: str) -> None:
        """Write a problem document past the application, and close: behind answers that are due."""
        if self._ends_behind_answers():
            return
        problem = http_problem(slug, detail)
        body = msgspec.json.encode(problem)
        headers = (
            (b"content-type", PROBLEM_JSON.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *SECURITY_HEADERS,
        )
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        status = STATUS_LINE[status_of(problem)]
        self.transport.write(status + lines + b"\r\n" + body)
        self.transport.close()
