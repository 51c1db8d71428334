"""The bodies of all requests together are bounded."""

from __future__ import annotations

import asyncio

import pytest

from tintype.errors import Overloaded
from tintype.web.inflight import BodiesInFlight, BytesInFlight


def request(app: BodiesInFlight, *chunks: bytes) -> asyncio.Task:
    """One request whose body comes in chunks."""
    left = list(chunks)

    async def receive() -> dict:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(_message: dict) -> None:
        pass

    return asyncio.ensure_future(app({"type": "http"}, receive, send))


class Reading:
    """An application that reads a body, and holds it until it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.read = asyncio.Event()

    async def __call__(self, _scope, receive, _send) -> None:
        """Read, tell, wait."""
        while (await receive())["more_body"]:
            pass
        self.read.set()
        await self.go.wait()


async def test_more_than_the_bound_is_refused_at_once():
    """Each body alone would fit; the one that passes the bound is told so."""
    reading = Reading()
    app = BodiesInFlight(reading, held=BytesInFlight(10))
    first = request(app, bytes(4), bytes(4))
    await reading.read.wait()
    with pytest.raises(Overloaded):
        await request(app, bytes(2), bytes(1))
    reading.go.set()
    await first


async def test_an_answered_request_gives_its_bytes_back():
    """One after the other, any number fit."""
    reading = Reading()
    reading.go.set()
    app = BodiesInFlight(reading, held=BytesInFlight(10))
    for _ in range(3):
        await request(app, bytes(10))


async def test_a_refused_request_gives_its_bytes_back():
    """The refusal itself takes nothing."""
    reading = Reading()
    reading.go.set()
    app = BodiesInFlight(reading, held=BytesInFlight(10))
    with pytest.raises(Overloaded):
        await request(app, bytes(11))
    await request(app, bytes(10))
