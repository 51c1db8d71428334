"""What only a real connection shows: early answers, chunks, clients that leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

HEAD = b"POST /api/predict HTTP/1.1\r\nHost: tintype.test\r\n"
PIECE = bytes(16 << 10)


class Server(uvicorn.Server):
    """Tells when it listens, and leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets=None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.listening.set()


@pytest.fixture
async def connect(app):
    """Opens connections to the application behind a real server."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, lifespan="off", log_level="critical", access_log=False
    )
    server = Server(config)
    task = asyncio.ensure_future(server._serve())
    await asyncio.wait_for(server.listening.wait(), 20)
    port = server.servers[0].sockets[0].getsockname()[1]

    @asynccontextmanager
    async def connect() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            writer.close()

    yield connect
    server.should_exit = True
    await asyncio.wait_for(task, 20)


async def status(reader: asyncio.StreamReader) -> int:
    line = await asyncio.wait_for(reader.readline(), 20)
    return int(line.split()[1])


async def test_a_declared_length_above_the_limit_is_answered_at_once(connect):
    """Not one byte of the body has been sent."""
    async with connect() as (reader, writer):
        writer.write(HEAD + b"Content-Length: 99999999999\r\n\r\n")
        assert 413 == await status(reader)


async def test_a_client_that_sends_all_the_same_still_reads_its_answer(connect):
    """The answer is not lost in a broken connection; the next request on it is answered."""
    async with connect() as (reader, writer):
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % (40 * len(PIECE)))
        for _ in range(40):
            writer.write(PIECE)
            await writer.drain()
        assert 413 == await status(reader)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        writer.write(b"GET /live HTTP/1.1\r\nHost: tintype.test\r\n\r\n")
        assert 200 == await status(reader)


async def test_chunks_are_counted(connect):
    """No length is declared; the limit holds, and the answer comes before the end."""
    async with connect() as (reader, writer):
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(20):
            writer.write(b"%x\r\n%s\r\n" % (len(PIECE), PIECE))
        await writer.drain()
        assert 413 == await status(reader)


async def test_a_client_that_leaves_takes_its_work_with_it(connect, predictor, png):
    """The connection is closed while the model works: the work is cancelled."""
    predictor.hold = asyncio.Event()
    async with connect() as (_, writer):
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(png), png))
        await asyncio.wait_for(predictor.waiting.wait(), 20)
    await asyncio.wait_for(predictor.dropped.wait(), 20)
    assert 1 == predictor.cancelled
