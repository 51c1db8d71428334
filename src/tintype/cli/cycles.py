"""Requests of one connection and their answers (uvicorn's cycles): what uvicorn leaves open."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

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


class DroppedHeaders(list[tuple[bytes, bytes]]):
    """Where trailers go: they came behind all that was checked (RFC 9110, 6.5.1)."""

    def append(self, _: tuple[bytes, bytes]) -> None:
        """Keep nothing."""
