"""An answer written at once is what uvicorn writes header by header."""

from __future__ import annotations

import asyncio
import logging

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from tintype.cli.cycles import write_whole

HELLO = [(b"content-length", b"5"), (b"content-type", b"text/plain"), (b"x-a", b"b, c")]


class Wire(asyncio.Transport):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.written += data

    def close(self) -> None:
        """Be closed."""
        self.closed = True

    def pause_reading(self) -> None:
        """Nothing is read."""

    def resume_reading(self) -> None:
        """Nothing is read."""


def cycle_of(method: str = "GET", *, keep_alive: bool = True) -> RequestResponseCycle:
    wire = Wire()
    return RequestResponseCycle(
        scope={"method": method},
        transport=wire,
        flow=FlowControl(wire),
        logger=logging.getLogger("none"),
        access_logger=logging.getLogger("none"),
        access_log=False,
        default_headers=[(b"date", b"Thu, 26 Nov 2026 11:00:00 GMT")],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: None,
    )


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [200, 404, 503])
async def test_the_same_bytes_as_uvicorn_s(status, method, keep_alive):
    """For every way an answer may go out, and the connection is left alike."""
    ours, its = (cycle_of(method, keep_alive=keep_alive) for _ in range(2))
    assert write_whole(ours, status, HELLO, b"hello")
    await its.send({"type": "http.response.start", "status": status, "headers": HELLO})
    await its.send({"type": "http.response.body", "body": b"hello"})

    assert its.transport.written == ours.transport.written
    assert its.transport.closed == ours.transport.closed
    assert its.response_complete
    assert ours.response_complete
    assert ours.message_event.is_set()


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-length", b"5"), (b"x", b"a\r\nset-cookie: b")],
        [(b"content-length", b"5"), (b"x", b"a\nb")],
        [(b"content-length", b"5"), (b"x", b"a\rb")],
        [(b"content-length", b"5"), (b"x", b"\0")],
        [(b"content-length", b"5"), (b"connection", b"close")],
        [(b"transfer-encoding", b"chunked")],
        [(b"content-length", b"6")],
        [],
    ],
)
async def test_what_is_unusual_is_left_to_uvicorn(headers):
    """It frames a body that tells no length, and refuses headers of several lines."""
    cycle = cycle_of()
    assert not write_whole(cycle, 200, headers, b"hello")
    assert (b"", False) == (cycle.transport.written, cycle.response_started)


async def test_nothing_is_piled_up_for_who_does_not_read():
    """Sending waits there until some was taken."""
    cycle = cycle_of()
    cycle.flow.pause_writing()
    assert not write_whole(cycle, 200, HELLO, b"hello")


async def test_nothing_is_written_for_who_has_gone():
    """And nobody is told that it could not be."""
    cycle = cycle_of()
    cycle.disconnected = True
    assert write_whole(cycle, 200, HELLO, b"hello")
    assert b"" == cycle.transport.written


async def test_an_answer_is_written_once():
    """A second one is an error of the application, which uvicorn tells."""
    cycle = cycle_of()
    assert write_whole(cycle, 200, HELLO, b"hello")
    assert not write_whole(cycle, 200, HELLO, b"hello")
