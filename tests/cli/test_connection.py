"""A connection's own limits, driven by hand: no network, no clock."""

from __future__ import annotations

import asyncio
import json

import pytest
import uvicorn
from uvicorn.server import ServerState

from tintype.cli.connection import MAX_HEAD_BYTES, MAX_PIPELINED, Connection


class Wire(asyncio.Transport):
    """Takes what is written; closed at once."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.unsent = 0

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.written += data

    def close(self) -> None:
        """Be closed."""
        self.closed = True

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def get_write_buffer_size(self) -> int:
        """As much as it is told."""
        return self.unsent

    def abort(self) -> None:
        """Be closed."""
        self.closed = True

    def pause_reading(self) -> None:
        """Nothing is read."""

    def resume_reading(self) -> None:
        """Nothing is read."""


async def never(_scope, _receive, _send) -> None:
    """An application that is at work for ever."""
    await asyncio.Event().wait()


@pytest.fixture
async def connection():
    """A connection, just made."""
    config = uvicorn.Config(never, lifespan="off", log_config=None)
    config.load()
    made = Connection(config=config, server_state=ServerState(), app_state={})
    made.connection_made(Wire())
    yield made
    made.connection_lost(None)
    for task in made.tasks.copy():
        task.cancel()


GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def problem(connection: Connection) -> tuple[bytes, str]:
    """The status line and the type of the problem that was written."""
    head, _, body = connection.transport.written.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return head.split(b"\r\n")[0], json.loads(body)["type"]


async def test_an_endless_head_is_refused(connection):
    """It is not held until memory ends."""
    connection.data_received(b"GET / HTTP/1.1\r\nA: ")
    for _ in range(5):
        connection.data_received(bytes(b"a" * (MAX_HEAD_BYTES // 4)))
    assert (b"HTTP/1.1 431 Request Header Fields Too Large", "/problems/head-too-large") == problem(
        connection
    )
    assert connection.transport.closed


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * MAX_HEAD_BYTES + b"\r\n",
        b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["headers", "address"],
)
async def test_a_large_head_that_comes_in_one_piece_is_refused(connection, head):
    """As one that comes bit by bit."""
    connection.data_received(head)
    assert (b"HTTP/1.1 431 Request Header Fields Too Large", "/problems/head-too-large") == problem(
        connection
    )
    assert connection.cycle is None


UPGRADE = (
    b"POST /a?b=c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQC\r\nContent-Length: 7\r\n\r\npict"
)


@pytest.mark.parametrize("cut", [0, 30, len(UPGRADE) - 4, len(UPGRADE) - 2])
async def test_who_asks_for_another_protocol_is_answered_in_this_one(connection, cut):
    """The body is not lost, wherever the pieces are cut; curl's --http2 and Java ask so."""
    connection.data_received(UPGRADE[:cut])
    connection.data_received(UPGRADE[cut:])
    connection.data_received(b"ure")
    cycle = connection.cycle
    assert (b"picture", False) == (bytes(cycle.body), cycle.more_body)
    assert ("POST", "/a", b"b=c") == tuple(
        cycle.scope[key] for key in ("method", "path", "query_string")
    )
    assert [(b"host", b"a"), (b"content-length", b"7")] == cycle.scope["headers"]


async def test_a_websocket_is_not_opened(connection):
    """It gets the page as any GET would; the request behind it is read too."""
    connection.data_received(
        b"GET / HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n" + GET
    )
    assert 1 == len(connection.pipeline)
    assert connection.cycle.keep_alive


async def test_a_tunnel_is_refused(connection):
    """What CONNECT asks for is in the method, which cannot be taken out of the head."""
    connection.data_received(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
    assert (b"HTTP/1.1 400 Bad Request", "/problems/bad-request") == problem(connection)
    assert connection.transport.closed


async def test_an_endless_row_of_upgrades_is_cut(connection):
    """As any other pipeline."""
    one = b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    connection.data_received(one * 2000)
    assert MAX_PIPELINED == len(connection.pipeline)
    assert connection.transport.closed


async def test_a_large_body_is_no_large_head(connection):
    """Only the head counts."""
    connection.data_received(b"POST / HTTP/1.1\r\nContent-Length: 999999\r\n\r\n")
    connection.data_received(bytes(MAX_HEAD_BYTES * 2))
    assert not connection.transport.closed


async def test_what_is_no_http_is_told_as_a_problem(connection):
    """As every other error."""
    connection.data_received(b"\x16\x03\x01\x00\xc8")
    assert (b"HTTP/1.1 400 Bad Request", "/problems/bad-request") == problem(connection)


async def test_an_endless_pipeline_is_cut(connection):
    """Requests wait behind the first; not any number of them."""
    connection.data_received(GET * (MAX_PIPELINED + 10))
    assert MAX_PIPELINED == len(connection.pipeline)
    assert connection.transport.closed


async def test_a_connection_that_asks_nothing_is_closed(connection):
    """It never began a request."""
    connection.look()
    assert connection.transport.closed


async def test_half_a_head_is_no_request(connection):
    """A head that comes a letter at a time does not keep the connection."""
    connection.data_received(GET[:10])
    connection.look()
    assert connection.transport.closed


async def test_a_request_at_work_keeps_its_connection(connection):
    """However long it takes: its limits are elsewhere."""
    connection.data_received(GET)
    connection.look()
    connection.look()
    assert not connection.transport.closed


async def test_an_upload_that_stalls_does_not_hold_the_end(connection):
    """When the server ends, half a body is given up after a moment."""
    connection.data_received(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")
    connection.shutdown()
    assert not connection.transport.closed
    connection.drop_upload()
    assert connection.transport.closed


async def test_who_has_just_come_is_waited_for_a_moment(connection):
    """It may have asked already; its answer is the last on this connection."""
    connection.shutdown()
    assert not connection.transport.closed
    connection.data_received(GET)
    connection.end_wait()
    assert (False, False) == (connection.transport.closed, connection.cycle.keep_alive)


async def test_half_a_head_is_waited_for_a_moment(connection):
    """And no longer."""
    connection.data_received(GET[:9])
    connection.shutdown()
    assert not connection.transport.closed
    connection.end_wait()
    assert connection.transport.closed


async def test_who_has_its_answer_is_let_go_at_once(connection):
    """A connection that is kept open for the next request does not hold the end."""
    connection.data_received(GET)
    await answer(connection.cycle)
    connection.shutdown()
    assert connection.transport.closed


async def test_a_request_that_has_arrived_is_finished(connection):
    """It was accepted: the end waits for its answer."""
    connection.data_received(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
    connection.shutdown()
    connection.drop_upload()
    assert not connection.transport.closed


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"


async def answer(cycle) -> None:
    """Answer a request with nothing."""
    headers = [(b"content-length", b"0")]
    await cycle.send({"type": "http.response.start", "status": 200, "headers": headers})
    await cycle.send({"type": "http.response.body"})


async def test_trailers_are_no_headers(connection):
    """They would speak for the caller behind all that was checked."""
    connection.data_received(CHUNKED + b"X-API-Key: forged\r\n\r\n")
    assert {b"host", b"transfer-encoding"} == {name for name, _ in connection.scope["headers"]}
    assert not connection.cycle.more_body


@pytest.mark.parametrize("piece", [b"X: y\r\n" * 5000, b"a" * 30000])
async def test_endless_trailers_are_refused(connection, piece):
    """Whether they are many or one without an end."""
    connection.data_received(CHUNKED + b"X: ")
    for _ in range(3):
        connection.data_received(piece)
    status, _ = problem(connection)
    assert (b"HTTP/1.1 431 Request Header Fields Too Large", True) == (
        status,
        connection.transport.closed,
    )


async def test_endless_trailers_behind_an_answer_end_the_connection(connection):
    """It was answered before: nothing is said twice."""
    connection.data_received(CHUNKED)
    await answer(connection.cycle)
    written = connection.transport.written
    for _ in range(3):
        connection.data_received(b"X: y\r\n" * 5000)
    assert (written, True) == (connection.transport.written, connection.transport.closed)


async def test_a_long_body_in_chunks_is_no_trailer(connection):
    """Its pieces are the body."""
    connection.data_received(CHUNKED[:-3])
    for _ in range(5):
        connection.data_received(b"7530\r\n" + bytes(30000) + b"\r\n")
    assert not connection.transport.closed


async def test_what_cannot_be_read_ends_the_connection_behind_the_answer_before(connection):
    """Answers keep the order of their requests."""
    connection.data_received(GET + b"BOGUS\r\n\r\n")
    connection.data_received(bytes(1 << 20))
    assert (b"", False) == (connection.transport.written, connection.transport.closed)
    await answer(connection.cycle)
    assert connection.transport.written.startswith(b"HTTP/1.1 200 OK")
    assert (1, True) == (
        connection.transport.written.count(b"HTTP/1.1"),
        connection.transport.closed,
    )


async def test_a_body_that_cannot_be_read_is_not_answered_before_its_turn(connection):
    """The request before it is at work: it is answered, and the connection ends."""
    connection.data_received(GET)
    first = connection.cycle
    connection.data_received(CHUNKED[:-3] + b"no length\r\n")
    assert b"" == connection.transport.written
    await answer(first)
    assert (1, True) == (
        connection.transport.written.count(b"HTTP/1.1"),
        connection.transport.closed,
    )


async def test_who_leaves_leaves_with_all_requests(connection):
    """Also the one at work, behind which another waits."""
    connection.data_received(GET)
    first = connection.cycle
    connection.data_received(GET)
    connection.connection_lost(None)
    assert (True, True) == (first.disconnected, connection.cycle.disconnected)
    assert first.message_event.is_set()


EXPECTS = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"


async def test_behind_an_answer_to_who_was_not_told_to_send_the_connection_ends(connection):
    """What comes next could be the body or a request."""
    connection.data_received(EXPECTS)
    await answer(connection.cycle)
    assert b"connection: close" in connection.transport.written
    assert connection.transport.closed


async def test_who_was_told_to_send_keeps_the_connection(connection):
    """Its body is there."""
    connection.data_received(EXPECTS)
    cycle = connection.cycle
    connection.data_received(b"abc")
    assert b"abc" == (await cycle.receive())["body"]
    await answer(cycle)
    assert connection.transport.written.startswith(b"HTTP/1.1 100 Continue")
    assert not connection.transport.closed


async def test_who_does_not_read_is_watched(connection):
    """Until it reads on."""
    connection.transport.unsent = 100_000
    connection.pause_writing()
    assert connection._unsent._later is not None
    connection.resume_writing()
    assert connection._unsent._later is None
