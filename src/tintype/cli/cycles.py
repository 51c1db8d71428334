"""Requests of one connection and their answers (uvicorn's cycles): what uvicorn leaves open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent


def tell_gone(cycles: Iterable[RequestResponseCycle | None]) -> None:
    """End the work of all: uvicorn tells the last alone, which may still wait for its turn."""
    for cycle in cycles:
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()


def close_unless_received(cycle: RequestResponseCycle) -> None:
    """Close behind an answer to who was never told to send its body.

    What comes next may be that body all the same, or another request (RFC 9110, 10.1.1).
    """
    keeps, receive = cycle.keep_alive, cycle.receive

    async def receive_and_keep() -> ASGIReceiveEvent:
        cycle.keep_alive = keeps
        return await receive()

    cycle.keep_alive = False
    cycle.receive = receive_and_keep  # type: ignore[method-assign]


_FRAMING: Final = frozenset({b"connection", b"transfer-encoding"})


def write_whole(
    cycle: RequestResponseCycle, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes
) -> bool:
    """Write an answer, head and body, at once; tell whether that was possible.

    Names of headers are in small letters. Where the client does not read, or the answer says more
    about its connection or less about its body than usual, nothing is written: ``cycle.send`` does
    all that, a header at a time, for a multiple of the time.
    """
    if cycle.disconnected:
        return True
    named = dict(headers)
    if (
        cycle.flow.write_paused
        or cycle.response_started
        or named.get(b"content-length") != b"%d" % len(body)
        or not _FRAMING.isdisjoint(named)
    ):
        return False
    lines = [b"%s: %s" % header for header in (*cycle.default_headers, *headers)]
    if not cycle.keep_alive:
        lines.append(b"connection: close")
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1 or b"\0" in head:
        return False  # a header of several lines: it is refused there
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    shown = b"" if cycle.scope["method"] == "HEAD" else body
    cycle.transport.write(b"".join((STATUS_LINE[status], head, b"\r\n\r\n", shown)))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True


class DroppedHeaders(list[tuple[bytes, bytes]]):
    """Where trailers go: they came behind all that was checked (RFC 9110, 6.5.1)."""

    def append(self, _: tuple[bytes, bytes]) -> None:
        """Keep nothing."""
