from __future__ import annotations

import asyncio
import tracemalloc

import pytest
from starlette.requests import Request

from tintype.errors import BodyTooLarge, BodyTooSlow, MalformedRequest, UnsupportedEncoding
from tintype.web.body import read_body, unless_gone
from tintype.web.errors import ClientGone
from tintype.web.uploads import UploadLimits

LIMITS = UploadLimits(max_body_bytes=10)


class Wire:
    """A client's messages, handed out one by one; counts how many were taken."""

    def __init__(self, *chunks: bytes, ends: bool = True, leaves: bool = False) -> None:
        last = len(chunks) - 1
        self.messages: list[dict] = [
            {"type": "http.request", "body": chunk, "more_body": not (ends and index == last)}
            for index, chunk in enumerate(chunks)
        ]
        if leaves:
            self.messages.append({"type": "http.disconnect"})
        self.taken = 0

    async def receive(self) -> dict:
        """The next message; for ever nothing after the last."""
        if self.taken == len(self.messages):
            await asyncio.Event().wait()
        self.taken += 1
        return self.messages[self.taken - 1]


async def read(wire: Wire, limits: UploadLimits = LIMITS, **headers: str) -> bytes:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    request = Request({"type": "http", "headers": named}, wire.receive)
    return await read_body(request, limits=limits)


async def test_a_body_is_put_together():
    """Chunks in their order; a body in one piece as it is."""
    assert b"abcdef" == await read(Wire(b"ab", b"", b"cdef"))
    assert b"abc" == await read(Wire(b"abc"), content_length="3")
    assert b"" == await read(Wire(b""))


async def test_a_body_as_long_as_the_limit_is_taken():
    """The limit itself is allowed."""
    assert b"0123456789" == await read(Wire(b"01234", b"56789"), content_length="10")


async def test_a_declared_length_above_the_limit_is_answered_before_reading():
    """Nothing is received; the error names both numbers."""
    wire = Wire(b"0123456789a")
    with pytest.raises(BodyTooLarge) as caught:
        await read(wire, content_length="11")
    assert {"limit": 10, "actual": 11} == caught.value.facts
    assert 0 == wire.taken


@pytest.mark.parametrize("length", [{}, {"content_length": "3"}])
async def test_received_bytes_count_and_not_the_promised_ones(length):
    """Chunked bodies, and bodies longer than they said, stop at the limit at once."""
    wire = Wire(b"01234", b"56789", b"a", b"never taken")
    with pytest.raises(BodyTooLarge):
        await read(wire, **length)
    assert 3 == wire.taken


async def test_one_huge_chunk_is_not_copied():
    """A chunk above the limit is refused as it is."""
    wire = Wire(bytes(8 << 20))
    tracemalloc.start()
    with pytest.raises(BodyTooLarge):
        await read(wire)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "x" * 9999])
async def test_a_compressed_body_is_refused_unread(encoding):
    """Inflating is a way around every limit on bytes."""
    wire = Wire(b"x")
    with pytest.raises(UnsupportedEncoding) as caught:
        await read(wire, content_encoding=encoding)
    assert 0 == wire.taken
    assert len(caught.value.message) < 200


async def test_identity_is_no_compression():
    """The word for none is allowed."""
    assert b"x" == await read(Wire(b"x"), content_encoding="Identity")


@pytest.mark.parametrize("length", ["-1", "ten", "1e3", "٣", "", "+1"])
async def test_a_length_that_is_no_number_is_refused(length):
    """Servers differ in what they let through."""
    with pytest.raises(MalformedRequest):
        await read(Wire(b"x"), content_length=length)


async def test_a_length_of_very_many_digits_is_too_large():
    """It is not turned into a number first."""
    with pytest.raises(BodyTooLarge):
        await read(Wire(b"x"), content_length="9" * 10_000)


async def test_a_body_that_never_ends_runs_out_of_time():
    """A client that sends nothing more does not hold the server."""
    limits = UploadLimits(max_body_bytes=10, max_body_seconds=0.01)
    with pytest.raises(BodyTooSlow):
        await read(Wire(b"x", ends=False), limits)


async def test_a_client_that_leaves_while_sending_ends_the_reading():
    """There is nobody to answer."""
    with pytest.raises(ClientGone):
        await read(Wire(b"x", ends=False, leaves=True))


async def test_work_ends_with_its_client():
    """When the client goes away, what is done for it is cancelled."""
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(ClientGone):
        await unless_gone(Wire(leaves=True).receive, work())
    assert ended.is_set()


async def test_work_that_is_done_is_handed_on():
    """Its result, or what it raised; nothing is left waiting for the client."""

    async def fail() -> None:
        raise MalformedRequest("no")

    assert 3 == await unless_gone(Wire().receive, asyncio.sleep(0, 3))
    with pytest.raises(MalformedRequest):
        await unless_gone(Wire().receive, fail())
    await asyncio.sleep(0)  # what watched the client ends in the loop's next turn
    assert {asyncio.current_task()} == asyncio.all_tasks()
