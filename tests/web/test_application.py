"""What every request goes through, beside what ``test_app`` asks of the whole."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from tintype.web.access import Need
from tintype.web.application import WHOLE, Application
from tintype.web.errors import ClientGone
from tintype.web.inflight import BytesInFlight
from tintype.web.routes import Route, Routes


def application(handler) -> Application:
    """One route, ``/here``."""
    route = Route("/here", {"GET": (handler, Need.OPEN)}, door=None)
    return Application(Routes([route]), held=BytesInFlight(10))


async def hello(_: Request) -> Response:
    return Response(b"hello")


async def said(app: Application, scope: dict, *messages: dict) -> list[dict]:
    """What the application says when it is told these messages."""
    left, told = list(messages), []

    async def receive() -> dict:
        return left.pop(0)

    async def send(message: dict) -> None:
        told.append(message)

    await app(scope, receive, send)
    return told


def asked(path: str, **more: object) -> dict:
    return {"type": "http", "method": "GET", "path": path, "headers": [], **more}


async def test_an_answer_is_a_head_and_a_body():
    """The two messages of ASGI, the body whole."""
    start, body = await said(application(hello), asked("/here"))
    assert (200, b"hello") == (start["status"], body["body"])


async def test_a_server_may_write_an_answer_at_once():
    """It gets the same status, headers and body; one that cannot gets the two messages."""
    at_once: list[tuple[int, list[tuple[bytes, bytes]], bytes]] = []

    for can in (True, False):

        def write(status, headers, body, *, can=can) -> bool:
            at_once.append((status, headers, body))
            return can

        told = await said(application(hello), asked("/here", extensions={WHOLE: write}))
        status, headers, body = at_once.pop()
        assert (200, b"hello", b"5") == (status, body, dict(headers)[b"content-length"])
        assert ([] if can else [200]) == [each["status"] for each in told[:1]]


async def test_an_application_under_a_prefix_knows_its_addresses():
    """ASGI's ``root_path`` is in front of every address; one that is not in front stays."""
    for path, status in (("/models/here", 200), ("/here", 200), ("/modelshere", 404)):
        start, _ = await said(application(hello), asked(path, root_path="/models"))
        assert status == start["status"], path


async def test_a_body_is_not_counted_while_its_answer_is_sent():
    """A client that takes its time holds nobody's room."""
    held = BytesInFlight(10)

    async def read(request: Request) -> Response:
        return Response(b"%d" % (len(await request.body()) + held.held))

    route = Route("/here", {"POST": (read, Need.OPEN)}, door=None)
    sent = []

    async def receive() -> dict:
        return {"type": "http.request", "body": b"abc"}

    async def send(message: dict) -> None:
        sent.append((held.held, message.get("body")))

    scope = asked("/here") | {"method": "POST"}
    await Application(Routes([route]), held=held)(scope, receive, send)
    assert [(0, None), (0, b"6")] == sent


async def test_it_starts_and_ends_when_it_is_told():
    """Nothing is done then; a server that asks must hear it."""
    told = await said(
        application(hello),
        {"type": "lifespan"},
        {"type": "lifespan.startup"},
        {"type": "lifespan.shutdown"},
    )
    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == [
        each["type"] for each in told
    ]


async def test_a_websocket_is_closed():
    """There are none."""
    assert [{"type": "websocket.close"}] == await said(application(hello), {"type": "websocket"})


async def test_who_has_gone_is_noted_as_proxies_note_it():
    """Nobody reads it, and the log has its line."""

    async def leave(_: Request) -> Response:
        raise ClientGone

    start, _ = await said(application(leave), asked("/here"))
    assert 499 == start["status"]


async def test_what_nobody_foresaw_is_a_problem_without_details(logs):
    """The log has them."""

    async def fail(_: Request) -> Response:
        raise ValueError("a secret")

    start, body = await said(application(fail), asked("/here"))
    assert (500, False) == (start["status"], b"secret" in body["body"])
    assert "unexpected error" in [line["event"] for line in logs]


async def test_a_cancelled_request_is_not_answered():
    """The server ends it; that is no fault to tell of."""

    async def wait(_: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(said(application(wait), asked("/here")))
    await asyncio.sleep(0)
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(outcome, asyncio.CancelledError)
