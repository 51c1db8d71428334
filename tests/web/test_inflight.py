"""The bodies of all requests together are bounded."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from tintype.web.access import Need
from tintype.web.application import Application
from tintype.web.inflight import BytesInFlight
from tintype.web.routes import Route, Routes


def application(bound: int, reading: Reading) -> Application:
    """One route, whose handler reads."""
    route = Route("/", {"POST": (reading, Need.OPEN)}, door=None)
    return Application(Routes([route]), held=BytesInFlight(bound))


def request(app: Application, *chunks: bytes) -> asyncio.Task[int]:
    """One request whose body comes in chunks: the status of its answer."""
    left = list(chunks)
    statuses: list[int] = []

    async def receive() -> dict:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message: dict) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def answer() -> int:
        scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
        await app(scope, receive, send)
        return statuses[0]

    return asyncio.ensure_future(answer())


class Reading:
    """A handler that reads a body, and holds it until it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.read = asyncio.Event()

    async def __call__(self, request: Request) -> Response:
        """Read, tell, wait."""
        while (await request.receive())["more_body"]:
            pass
        self.read.set()
        await self.go.wait()
        return Response(b"")


async def test_more_than_the_bound_is_refused_at_once():
    """Each body alone would fit; the one that passes the bound is told so."""
    reading = Reading()
    app = application(10, reading)
    first = request(app, bytes(4), bytes(4))
    await reading.read.wait()
    assert 503 == await request(app, bytes(2), bytes(1))
    reading.go.set()
    assert 200 == await first


async def test_an_answered_request_gives_its_bytes_back():
    """One after the other, any number fit."""
    reading = Reading()
    reading.go.set()
    app = application(10, reading)
    for _ in range(3):
        assert 200 == await request(app, bytes(10))


async def test_a_refused_request_gives_its_bytes_back():
    """The refusal itself takes nothing."""
    reading = Reading()
    reading.go.set()
    app = application(10, reading)
    assert 503 == await request(app, bytes(11))
    assert 200 == await request(app, bytes(10))
