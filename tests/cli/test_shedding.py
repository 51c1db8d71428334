"""Refusing at the connection, driven by hand: no network, no clock."""

from __future__ import annotations

import asyncio
import json

import pytest
import structlog
import uvicorn
from uvicorn.server import ServerState

from tintype.cli.connection import MAX_DROPPED_BYTES
from tintype.cli.shedding import Shedding, asking_paths, named_models
from tintype.cli.shedding_connection import MAX_UNREAD_BYTES, connection_with
from tintype.errors import Overloaded
from tintype.web.app import create_app
from tintype.web.fake import FakePredictor
from tintype.web.services import Services
from tintype.web.uploads import UploadLimits

FULL = Overloaded("too much is asked", hint="try again later", retry_after=3)
POST = b"POST /api/predict?top=1 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%s\r\n"


class Wire(asyncio.Transport):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.aborted = False
        self.reading = True

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.written += data

    def close(self) -> None:
        """Be closed."""
        self.closed = True

    def abort(self) -> None:
        """Be closed, whatever is still to be written."""
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def get_write_buffer_size(self) -> int:
        """Nothing was taken."""
        return len(self.written)

    def pause_reading(self) -> None:
        """Nothing is read any more."""
        self.reading = False

    def resume_reading(self) -> None:
        """It is again."""
        self.reading = True


class Server:
    """What is served: whether it is full, and which requests reached the application."""

    def __init__(self) -> None:
        self.full = True
        self.full_models: set[str] = set()
        self.places = 1000
        """How many may come in while it is not."""
        self.reached: list[str] = []
        self.hold = asyncio.Event()

    async def __call__(self, scope, _receive, _send) -> None:
        """The application: never answers."""
        self.reached.append(scope["path"])
        await self.hold.wait()

    def refusal(self, names: tuple[str, ...], *, arriving: int) -> Overloaded | None:
        """As the predictor's."""
        full = self.full or bool(self.full_models.intersection(names))
        return FULL if full or arriving >= self.places else None


class Clock:
    """Tells the time it is set to."""

    now = 10.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def shedding(server, clock) -> Shedding:
    soon = asyncio.get_running_loop().call_soon
    return Shedding(frozenset({b"/api/predict"}), server.refusal, soon=soon, clock=clock)


@pytest.fixture
async def connection(server, shedding):
    config = uvicorn.Config(server, lifespan="off", log_config=None)
    config.load()
    made = connection_with(shedding)(config=config, server_state=ServerState(), app_state={})
    made.connection_made(Wire())
    yield made
    made.connection_lost(None)
    for task in made.tasks.copy():
        task.cancel()


@pytest.fixture(autouse=True)
def logs():
    with structlog.testing.capture_logs() as entries:
        yield entries


def answers(connection) -> list[tuple[bytes, dict[bytes, bytes], dict]]:
    """Status line, headers and problem of every answer."""
    found, rest = [], connection.transport.written
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        headers = dict(line.split(b": ", 1) for line in lines)
        length = int(headers[b"content-length"])
        found.append((status, headers, json.loads(rest[:length])))
        rest = rest[length:]
    return found


async def test_it_is_refused_before_its_body_is_there(connection, server):
    """As a problem document with Retry-After and the headers of every answer."""
    connection.data_received(POST % (5, b""))
    ((status, headers, problem),) = answers(connection)
    assert b"HTTP/1.1 503 Service Unavailable" == status
    assert (b"3", b"application/problem+json") == (
        headers[b"retry-after"],
        headers[b"content-type"],
    )
    assert b"content-security-policy" in headers
    assert ("/problems/overloaded", 503) == (problem["type"], problem["status"])
    await asyncio.sleep(0)
    assert [] == server.reached


async def test_the_connection_goes_on_behind_a_short_body(connection, server, clock):
    """The body is dropped, and the next request is answered as ever."""
    connection.data_received(POST % (5, b"") + b"abcde")
    server.full = False
    clock.now += 1
    connection.data_received(POST % (5, b"") + b"abcde")
    await asyncio.sleep(0)
    assert not connection.transport.closed
    assert (1, ["/api/predict"]) == (len(answers(connection)), server.reached)


async def test_a_long_body_is_dropped_and_ends_the_connection(connection):
    """The client is told; closed before it has sent all, the answer would be lost to it."""
    connection.data_received(POST % (MAX_UNREAD_BYTES + 1, b""))
    ((_, headers, _),) = answers(connection)
    assert b"close" == headers[b"connection"]
    connection.data_received(bytes(MAX_UNREAD_BYTES))
    assert (True, False) == (connection.transport.reading, connection.transport.closed)
    connection.data_received(b"z")
    assert connection.transport.closed


async def test_a_body_without_a_length_is_not_dropped_for_ever(connection):
    """In the end it is not received any more."""
    head = b"POST /api/predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%s\r\n" % (MAX_DROPPED_BYTES // 4, bytes(MAX_DROPPED_BYTES // 4))
    connection.data_received(head)
    for _ in range(4):
        connection.data_received(chunk)
    assert connection.transport.reading
    connection.data_received(chunk)
    assert not connection.transport.reading
    assert 1 == len(answers(connection))


async def test_who_waits_for_a_sign_to_send_gets_none(connection):
    """Curl asks first with large pictures (Expect: 100-continue)."""
    connection.data_received(POST % (5, b"Expect: 100-continue\r\n"))
    ((status, headers, _),) = answers(connection)
    assert (b"HTTP/1.1 503 Service Unavailable", b"close") == (status, headers[b"connection"])


async def test_a_client_that_wants_no_more_is_closed_behind_its_body(connection):
    """Not before: it would not get to read the answer."""
    connection.data_received(POST % (5, b"Connection: close\r\n") + b"abc")
    assert not connection.transport.closed
    connection.data_received(b"de")
    assert connection.transport.closed


async def test_who_asks_and_never_reads_is_cut(connection):
    """Answers are not piled up in memory for it."""
    connection.pause_writing()
    connection.data_received(POST % (0, b""))
    assert connection.transport.aborted


async def test_behind_a_request_at_work_the_order_is_kept(connection, server, clock):
    """A refusal may not overtake an answer on the same connection."""
    server.full = False
    connection.data_received(POST % (0, b""))
    server.full = True
    clock.now += 1
    connection.data_received(POST % (0, b""))
    assert [] == answers(connection)


async def test_a_flood_is_refused_without_the_parser(connection):
    """Whatever pieces it comes in, each request has its answer."""
    flood = (POST % (5, b"") + b"abcde") * 4
    for start in range(0, len(flood), 7):
        connection.data_received(flood[start : start + 7])
    connection.data_received(flood)
    assert 8 == len(answers(connection))


async def test_a_refused_body_that_comes_in_pieces_is_dropped_to_its_end(connection):
    """What follows its last byte is the next request."""
    connection.data_received(POST % (0, b""))
    connection.data_received(POST % (6, b"") + b"ab")
    connection.data_received(b"cd")
    connection.data_received(b"ef" + POST % (0, b""))
    assert 3 == len(answers(connection))


async def test_behind_a_refused_body_the_next_request_is_heard(connection, server):
    """In the same piece; one of a kind that is not refused."""
    connection.data_received(POST % (5, b"") + b"abcde")
    connection.data_received(POST % (5, b"") + b"abcde" + b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0)
    assert (2, ["/live"]) == (len(answers(connection)), server.reached)


async def test_who_floods_and_never_reads_is_cut(connection):
    """Also where the parser is not asked."""
    connection.data_received(POST % (0, b""))
    connection.pause_writing()
    connection.data_received(POST % (0, b"") * 3)
    assert connection.transport.aborted


async def test_a_flood_keeps_its_connection(connection):
    """A look at it finds requests."""
    connection.data_received(POST % (0, b""))
    connection.look()
    connection.data_received(POST % (0, b""))
    connection.look()
    assert not connection.transport.closed


async def test_who_hammers_waits_a_little(connection, shedding, clock):
    """Refused as fast as they ask, a few clients would take a processor."""
    for _ in range(1000):
        shedding.answer(b"POST", b"/api/predict")
    clock.now += 0.3
    connection.data_received(POST % (0, b""))
    assert (0.05, True) == (shedding.rest_seconds, connection.transport.reading)
    connection.data_received(POST % (0, b""))
    assert (2, False) == (len(answers(connection)), connection.transport.reading)
    async with asyncio.timeout(10):
        while not connection.transport.reading:  # noqa: ASYNC110 - a timer of the connection
            await asyncio.sleep(0)
    connection.data_received(POST % (0, b""))
    assert 3 == len(answers(connection))


def hammer(shedding, clock, *, rate: int) -> float:
    """Ask so often for a while; the rest that follows."""
    for _ in range(rate // 3):
        shedding.answer(b"POST", b"/api/predict")
    clock.now += 1 / 3
    shedding.answer(b"POST", b"/api/predict")
    return shedding.rest_seconds


async def test_the_rest_grows_until_they_are_few_enough(shedding, clock):
    """A thousand connections that rest 50 ms would still ask 20,000 times a second."""
    rests = [hammer(shedding, clock, rate=4000) for _ in range(5)]
    assert pytest.approx([0.05, 0.1, 0.2, 0.4, 0.4], rel=0.01) == rests


async def test_the_rest_lasts_while_somebody_rests(shedding, clock):
    """Also a single one: without it, it would ask ten thousand times a second."""
    hammer(shedding, clock, rate=3000)
    for _ in range(3):
        shedding.note_rest()
        assert 0.05 == hammer(shedding, clock, rate=30)
    assert 0.0 == hammer(shedding, clock, rate=30)


async def test_the_rest_does_not_outlast_a_pause(shedding, clock):
    """Those who rested have gone."""
    hammer(shedding, clock, rate=3000)
    shedding.note_rest()
    clock.now += 2
    assert 0.0 == hammer(shedding, clock, rate=30)


async def test_who_asks_again_right_behind_a_long_rest_rests_again(connection, shedding, clock):
    """It is as hasty as before."""
    loop = asyncio.get_running_loop()
    while hammer(shedding, clock, rate=3000) < 0.4:
        pass
    connection.data_received(POST % (0, b""))
    connection._refused_at = loop.time() - 0.4
    connection.data_received(POST % (0, b""))
    assert not connection.transport.reading


async def test_a_flood_of_many_clients_is_told_at_once(connection, shedding, clock):
    """What can be afforded is."""
    for _ in range(100):
        shedding.answer(b"POST", b"/api/predict")
    clock.now += 0.3
    connection.data_received(POST % (0, b"") * 2)
    assert (0.0, True) == (shedding.rest_seconds, connection.transport.reading)


async def test_no_more_are_let_in_than_there_are_places(shedding, server):
    """Those let in reach the line in the next turn; until then they are counted."""
    server.full, server.places = False, 2
    asked = [shedding.answer(b"POST", b"/api/predict") for _ in range(3)]
    assert [True, True, False] == [answer is None for answer in asked]


async def test_those_let_in_stand_in_line_themselves_from_then_on(shedding, server, clock):
    """They are not counted twice."""
    server.full, server.places = False, 1
    assert shedding.answer(b"POST", b"/api/predict") is None
    for _ in range(3):
        await asyncio.sleep(0)
    clock.now += 1
    assert shedding.answer(b"POST", b"/api/predict") is None


@pytest.mark.parametrize(
    "line", [b"GET /live", b"GET /api/predict", b"POST /api/predictions", b"POST /", b"PUT /x"]
)
async def test_everything_else_is_served_as_ever(connection, server, line):
    """Health, pages, feedback: an overloaded server can still be asked how it is."""
    connection.data_received(line + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    await asyncio.sleep(0)
    assert (1, []) == (len(server.reached), answers(connection))


async def test_who_names_a_full_model_is_refused_unread(shedding, server):
    """Others are let in."""
    server.full, server.full_models = False, {"pets"}
    url = b"/api/predict?top=1&model=%s"
    assert shedding.answer(b"POST", url % b"pets") is not None
    assert shedding.answer(b"POST", url % b"%70ets") is not None
    assert shedding.answer(b"POST", url % b"colours") is None
    assert shedding.answer(b"POST", b"/api/predict") is None


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (b"", ()),
        (b"top=3", ()),
        (b"model=b&x=1&model=a&model=b", ("a", "b")),
        (b"model=pets%402", ("pets@2",)),
        (b"models=a", ()),
        (b"model=" + b"a" * 2000, ()),
    ],
)
def test_the_models_that_a_query_names(query, names):
    """A long query is left to the application."""
    assert names == named_models(query)


async def test_whatever_models_callers_name_memory_is_bounded(shedding, server):
    """Names are theirs to choose."""
    server.full = False
    for number in range(1000):
        shedding.answer(b"POST", b"/api/predict?model=%d" % number)
    assert len(shedding._crowds) <= 64


async def test_the_log_has_one_line_a_second(shedding, clock, logs):
    """With the number of those refused."""
    for _ in range(5):
        shedding.answer(b"POST", b"/api/predict")
    clock.now += 1
    shedding.answer(b"POST", b"/api/predict")
    assert [1, 5] == [line["count"] for line in logs]
    assert 6 == shedding.refused


def test_the_routes_that_ask_models_are_found_in_the_table():
    """Those that take a picture; the page's form gets its words as a page."""
    app = create_app(Services(predictor=FakePredictor()), limits=UploadLimits())
    assert {b"/api/predict", b"/api/predict/batch"} <= asking_paths(app.routes)
    assert b"/" not in asking_paths(app.routes)
