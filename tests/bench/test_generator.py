"""The open loop reads whole answers, however their end is told, and counts each once."""

import asyncio

import pytest

ANSWERS = {
    "a length": [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", b"lo"],
    "chunks": [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"0\r\n\r\n",
    ],
    "a refusal": [b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"],
}


class Scripted(asyncio.Protocol):
    """Answers each request with the parts given, a turn of the loop between them."""

    def __init__(self, parts):
        self.parts = parts
        self.tasks = set()

    def connection_made(self, transport):
        """It is open."""
        self.transport = transport

    def data_received(self, _):
        """A request, whole in these tests."""
        self.tasks.add(asyncio.ensure_future(self.answer()))

    async def answer(self):
        """The parts, one after the other."""
        for part in self.parts:
            self.transport.write(part)
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("kind", "status"), [("a length", "200"), ("chunks", "200"), ("a refusal", "503")]
)
async def test_every_request_has_one_answer(serving, kind, status):
    """As many as were offered, each with its status."""
    generator = serving("generator")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Scripted(ANSWERS[kind]), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        load = generator.Load(port, generator.request("/", b"picture"))
        told = await generator.offer(load, rate=200, seconds=0.2)
    assert {status} == told["statuses"].keys()
    assert 30 <= told["statuses"][status] <= 40


async def test_requests_over_the_most_connections_are_told_as_not_sent(serving):
    """A server that never answers, and one connection: the first is asked, no other is sent."""
    generator = serving("generator")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Scripted([]), "127.0.0.1", 0)
    async with server:
        load = generator.Load(server.sockets[0].getsockname()[1], generator.request("/", b"a"))
        load.most = 1
        tally = await load.when_due(0.2, rate=100)
        for line in list(load.lines):
            line.transport.abort()
    assert {"not sent"} == tally.statuses.keys()
