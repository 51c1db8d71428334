"""Answers that are written in one piece, and those that cannot be."""

from __future__ import annotations

import asyncio

import httptools
import pytest
import uvicorn
from uvicorn.server import ServerState

from tintype.cli.connection import Connection

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PLAIN = [(b"content-length", b"5"), (b"x-kind", b"plain"), (b"set-cookie", b"a=1")]


class Wire(asyncio.Transport):
    """Keeps each piece that is written."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.pieces.append(data)

    def close(self) -> None:
        """Be closed."""
        self.closed = True

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def pause_reading(self) -> None:
        """Nothing is read."""

    def resume_reading(self) -> None:
        """Nothing is read."""


class Answer:
    """What a client reads out of the pieces."""

    def __init__(self, wire: Wire) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.whole = False
        parser = httptools.HttpResponseParser(self)
        for piece in wire.pieces:
            parser.feed_data(piece)
        self.status = parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep it."""
        self.headers.append((name, value))

    def on_body(self, data: bytes) -> None:
        """Keep it."""
        self.body += data

    def on_message_complete(self) -> None:
        """It was whole."""
        self.whole = True


async def asked(*messages: dict, request: bytes = GET, write_paused: bool = False) -> Wire:
    """What is written for a request that an application answers with these messages."""

    async def app(_scope, _receive, send) -> None:
        for message in messages:
            await send(message)

    config = uvicorn.Config(app, lifespan="off", log_config=None, date_header=False)
    config.load()
    connection = Connection(config=config, server_state=ServerState(), app_state={})
    wire = Wire()
    connection.connection_made(wire)
    if write_paused:
        connection.pause_writing()
    connection.data_received(request)
    if write_paused:
        await asyncio.sleep(0)
        assert [] == wire.pieces
        connection.resume_writing()
    while connection.tasks:
        await asyncio.gather(*connection.tasks)
    connection.connection_lost(None)
    return wire


def start(headers: list[tuple[bytes, bytes]], status: int = 200) -> dict:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(data: bytes, *, more: bool = False) -> dict:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def test_a_whole_answer_is_one_piece():
    """Every header in its order, then the body; the connection stays open."""
    wire = await asked(start(PLAIN), body(b"12345"))
    answer = Answer(wire)
    assert 1 == len(wire.pieces)
    assert (200, PLAIN, b"12345", True) == (
        answer.status,
        answer.headers,
        answer.body,
        answer.whole,
    )


async def test_requests_in_one_packet_are_a_piece_each():
    """They are answered in their order."""
    wire = await asked(start(PLAIN), body(b"12345"), request=GET + GET)
    first, second = wire.pieces
    assert first == second


async def test_who_wants_no_more_is_told_and_left():
    """``Connection: close`` of the caller is answered in kind."""
    wire = await asked(
        start(PLAIN),
        body(b"12345"),
        request=b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    assert (b"connection", b"close") == Answer(wire).headers[-1]
    assert wire.closed


async def test_an_answer_in_parts_goes_out_as_it_comes():
    """Without a length it is sent in chunks."""
    wire = await asked(start([]), body(b"12", more=True), body(b"345"))
    answer = Answer(wire)
    assert [(b"transfer-encoding", b"chunked")] == answer.headers
    assert (b"12345", True) == (answer.body, answer.whole)


async def test_head_and_what_has_no_body_keep_it_out():
    """HEAD tells the length of a body that is not sent; 304 has none."""
    head = await asked(start(PLAIN), body(b"12345"), request=GET.replace(b"GET", b"HEAD"))
    unchanged = await asked(start([(b"etag", b"1")], status=304), body(b""))
    assert b"".join(head.pieces).endswith(b"set-cookie: a=1\r\n\r\n")
    assert b"HTTP/1.1 304 Not Modified\r\netag: 1\r\n\r\n" == b"".join(unchanged.pieces)


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b=2", b"a\nb", b"\0"])
async def test_no_value_can_be_two_headers(value):
    """Neither where another header of the name hides it; nothing is written, and it is closed."""
    two = [(b"content-length", b"5"), (b"x-one", value), (b"x-one", b"plain")]
    wire = await asked(start(two), body(b"12345"))
    assert ([], True) == (wire.pieces, wire.closed)


@pytest.mark.parametrize("data", [b"1234", b"123456"])
async def test_a_wrong_length_closes_the_connection(data):
    """The client would wait for what never comes, or take the rest for the next answer."""
    wire = await asked(start(PLAIN), body(data))
    assert wire.closed
    assert not b"".join(wire.pieces).endswith(b"6")


async def test_a_slow_reader_is_waited_for():
    """Nothing is written while its connection takes no more."""
    wire = await asked(start(PLAIN), body(b"12345"), write_paused=True)
    assert b"12345" == Answer(wire).body
