"""An answer that is written in one piece, head and body."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import (
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)

_BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_CLOSE: Final = b"connection: close\r\n"


class AtOnce(RequestResponseCycle):
    """A request and its answer. uvicorn makes them, and ``Connection`` makes them these.

    uvicorn writes the head and the body one after the other, and looks at each header by itself.
    Here an answer that is there whole, of the length that it tells, is joined and written once.
    Whatever else is sent goes uvicorn's way.
    """

    _kept: Any = None
    """The head, until its body comes."""

    async def send(self, message: ASGISendEvent) -> None:
        """Keep the head until its body comes; write both."""
        if message["type"] == "http.response.start" and not self.response_started:
            self._kept = message
            return
        head, self._kept = self._kept, None
        if head is not None:
            if self.flow.write_paused and not self.disconnected:
                await self.flow.drain()
            if self.disconnected:
                return
            answer = self._whole(head, message)
            if answer is not None:
                self._write(answer)
                return
            await super().send(head)
        await super().send(message)

    def _whole(self, head: Mapping[str, Any], message: Mapping[str, Any]) -> bytes | None:
        """The bytes of an answer, None for one that is not whole or not plain."""
        body, status = message.get("body", b""), head["status"]
        headers = self.default_headers + head["headers"]
        told = dict(headers)
        if (
            message.get("more_body", False)
            or told.get(b"content-length") != b"%d" % len(body)
            or b"connection" in told
            or b"transfer-encoding" in told
            or self.scope["method"] == "HEAD"
            or status in _BODILESS
            or HEADER_VALUE_RE.search(b"".join([value for _, value in headers]))
        ):
            return None
        lines = [b"%b: %b\r\n" % header for header in headers]
        if not self.keep_alive:
            lines.append(_CLOSE)
        return b"".join((STATUS_LINE[status], *lines, b"\r\n", body))

    def _write(self, answer: bytes) -> None:
        """Write, and leave everything as uvicorn's own ``send`` does."""
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(answer)
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
