"""Fetching over real sockets, from servers that mean no good."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trustme

from tintype.errors import (
    BodyTooLarge,
    InputNotAllowed,
    InputUnreachable,
    MalformedRequest,
    Overloaded,
)
from tintype.web.fetch import Fetcher, resolve_host
from tintype.web.inputs import InputPolicy, Inputs
from tintype.web.uploads import NamedPicture
from tintype.web.urls import UrlPolicy

LIMIT = 1 << 20
PICTURE = b"\xff\xd8\xff picture"
HERE = "127.0.0.1"
"""The one address that tests allow; 127.0.0.2 is on this machine too, and stands for a secret."""

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Origin:
    """A server of the test: what it was asked, where it listens."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.port = 0


@asynccontextmanager
async def origin(
    answer: bytes | Answer, *, host: str = HERE, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Origin]:
    """Answers every connection with these bytes, or as the function likes."""
    told = Origin()
    tasks: set[asyncio.Task] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            told.asked.append(await reader.readuntil(b"\r\n\r\n"))
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, port, ssl=tls)
    told.port = server.sockets[0].getsockname()[1]
    try:
        yield told
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def ok(body: bytes, *headers: str) -> bytes:
    """A plain answer."""
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def moved(where: str, status: int = 302) -> bytes:
    """An answer that leads on."""
    return f"HTTP/1.1 {status} X\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode()


def ignore(_size: int) -> None:
    """Counts nothing."""


async def only_here(_host: str, _port: int) -> list[str]:
    return [HERE]


def fetcher(port: int, *ports: int, **others) -> Fetcher:
    """One that may reach the test's own servers, and them alone."""
    policy = UrlPolicy(schemes=("http", "https"), ports=(port, *ports))
    given = {"resolve": only_here, "allowed": lambda address: address == HERE, **others}
    return Fetcher(policy, **given)


async def get(answer: bytes | Answer, *, path: str = "/cat.jpg", seconds: float = 20) -> bytes:
    """Fetch from a server that answers so, within a deadline as a request has one."""
    async with origin(answer) as server:
        inputs = Inputs(InputPolicy(max_seconds=seconds), fetch=fetcher(server.port).fetch)
        named = NamedPicture(kind="url", text=f"http://pictures.test:{server.port}{path}")
        return await inputs.read(named, limit=LIMIT, count=ignore)


async def test_a_picture_is_fetched():
    """The bytes, whatever the type says."""
    assert PICTURE == await get(ok(PICTURE, "Content-Type: text/html"))


async def test_the_request_tells_the_host_and_nothing_of_us():
    """Host with its port, no cookies, no credentials, no compression, one request a connection."""
    async with origin(ok(PICTURE)) as server:
        url = f"http://Pictures.test:{server.port}/a?b=c#d"
        await fetcher(server.port).fetch(url, limit=LIMIT, count=ignore)
    lines = server.asked[0].decode().split("\r\n")
    assert "GET /a?b=c HTTP/1.1" == lines[0]
    names = {line.partition(":")[0].lower() for line in lines[1:] if line}
    assert {"host", "connection", "user-agent", "accept", "accept-encoding"} == names
    assert f"Host: pictures.test:{server.port}" in lines
    assert {"Connection: close", "Accept-Encoding: identity"} <= {*lines}


async def test_proxies_of_the_environment_are_ignored(monkeypatch):
    """They could be anywhere."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.9:1")
    assert PICTURE == await get(ok(PICTURE))


async def test_a_body_in_chunks_is_fetched():
    """Without a declared length."""
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(PICTURE), PICTURE) for _ in range(9)) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert PICTURE * 9 == await get(head + chunks)


async def test_a_body_up_to_the_end_of_the_connection_is_fetched():
    """As HTTP/1.0 servers send it."""
    assert PICTURE == await get(b"HTTP/1.0 200 OK\r\n\r\n" + PICTURE)


# Addresses.


async def test_the_name_is_resolved_once_and_the_address_pinned():
    """A name that means this server when it is checked and a secret one right after."""
    answers = [[HERE], ["127.0.0.2"]]
    asked = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return answers[min(len(asked), 2) - 1]

    async with (
        origin(ok(PICTURE)) as server,
        origin(ok(b"secret"), host="127.0.0.2", port=server.port) as secret,
    ):
        it = fetcher(server.port, resolve=rebinding)
        url = f"http://evil.test:{server.port}/"
        assert PICTURE == await it.fetch(url, limit=LIMIT, count=ignore)
        assert [("evil.test", server.port)] == asked
        with pytest.raises(InputNotAllowed, match="not on the public internet"):
            await it.fetch(url, limit=LIMIT, count=ignore)
    assert [] == secret.asked


async def test_one_private_address_among_several_refuses_all():
    """Which of them is connected to is not left to chance."""

    async def both(_host: str, _port: int) -> list[str]:
        return [HERE, "127.0.0.2"]

    async with origin(ok(PICTURE)) as server:
        with pytest.raises(InputNotAllowed, match="not on the public internet") as caught:
            await fetcher(server.port, resolve=both).fetch(
                f"http://x.test:{server.port}/", limit=LIMIT, count=ignore
            )
    assert [] == server.asked
    assert "127" not in caught.value.message


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "169.254.169.254",
        "2852039166",
        "[64:ff9b::a9fe:a9fe]",
        "10.0.0.1",
    ],
)
async def test_this_machine_is_not_reached_under_any_name(host):
    """With the guard and the system's resolver as they ship: each notation leads to no fetch."""
    async with origin(ok(b"secret")) as server:
        it = Fetcher(UrlPolicy(schemes=("http",), ports=(server.port,)))
        with pytest.raises((InputNotAllowed, InputUnreachable)):
            await it.fetch(f"http://{host}:{server.port}/", limit=LIMIT, count=ignore)
    assert [] == server.asked


async def test_the_systems_resolver_is_asked():
    """Addresses as text, each once."""
    assert "127.0.0.1" in await resolve_host("localhost", 80)


async def test_the_next_address_is_tried_when_one_does_not_answer():
    """A host may have several."""

    async def several(_host: str, _port: int) -> list[str]:
        return ["127.0.0.3", HERE]

    async with origin(ok(PICTURE)) as server:
        it = fetcher(server.port, resolve=several, allowed=lambda _address: True)
        url = f"http://x.test:{server.port}/"
        assert PICTURE == await it.fetch(url, limit=LIMIT, count=ignore)


async def test_an_unknown_host_and_a_closed_port_are_told():
    """In our words."""

    async def unknown(_host: str, _port: int) -> list[str]:
        raise OSError

    async with origin(ok(b"")) as server:
        port = server.port
    with pytest.raises(InputUnreachable, match="not known"):
        await fetcher(port, resolve=unknown).fetch(f"http://x:{port}/", limit=LIMIT, count=ignore)
    with pytest.raises(InputUnreachable, match="cannot be reached"):
        await fetcher(port).fetch(f"http://x:{port}/", limit=LIMIT, count=ignore)


# Redirects.


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(status):
    """To another path of the same host, say."""

    async def answer(_reader, writer):
        writer.write(moved("/b", status) if len(server.asked) == 1 else ok(PICTURE))
        await writer.drain()

    async with origin(answer) as server:
        url = f"http://x.test:{server.port}/a"
        assert PICTURE == await fetcher(server.port).fetch(url, limit=LIMIT, count=ignore)
    assert ["/a", "/b"] == [asked.split()[1].decode() for asked in server.asked]


@pytest.mark.parametrize(
    "where",
    [
        "http://127.0.0.2:{port}/",
        "//127.0.0.2:{port}/",
        "http://169.254.169.254:{port}/latest/meta-data/",
        "http://[::ffff:127.0.0.2]:{port}/",
        "http://2130706434:{port}/",
        "http://0177.0.0.2:{port}/",
        "http://127.0.0.2:22/",
        "http://user@127.0.0.2:{port}/",
        "file:///etc/passwd",
        "gopher://127.0.0.2:{port}/",
        "http://[::1",
        "http:\\\\127.0.0.2:{port}\\",
        "javascript:alert(1)",
    ],
)
async def test_a_redirect_is_checked_like_the_first_url(where):
    """Every hop: scheme, port, user, and where its name leads."""

    async def resolve(host: str, port: int) -> list[str]:
        return [HERE] if host == "good.test" else await resolve_host(host, port)

    async with (
        origin(lambda _r, w: answer(w)) as server,
        origin(ok(b"secret"), host="127.0.0.2", port=server.port) as secret,
    ):

        async def answer(writer):
            writer.write(moved(where.format(port=server.port)))
            await writer.drain()

        it = fetcher(server.port, resolve=resolve)
        with pytest.raises((InputNotAllowed, MalformedRequest)):
            await it.fetch(f"http://good.test:{server.port}/", limit=LIMIT, count=ignore)
    assert (1, []) == (len(server.asked), secret.asked)


async def test_redirects_come_to_an_end():
    """Three are followed, a fourth is not."""
    async with origin(moved("/again")) as server:
        with pytest.raises(InputUnreachable, match="more than 3 times"):
            await fetcher(server.port).fetch(
                f"http://x.test:{server.port}/", limit=LIMIT, count=ignore
            )
    assert 4 == len(server.asked)


async def test_a_status_without_a_picture_is_told():
    """Its number, and nothing that the other server wrote."""
    answer = ok(b"secret words").replace(b"200 OK", b"404 secret reason")
    with pytest.raises(InputUnreachable, match="status 404") as caught:
        await get(answer)
    assert "secret" not in caught.value.message


async def test_how_long_a_refusal_or_a_redirect_is_does_not_matter():
    """A page of many megabytes with a status 404 is a 404, and with a place to go on a redirect."""
    long = b"Content-Length: 99999999999\r\n\r\n"
    with pytest.raises(InputUnreachable, match="status 404"):
        await get(b"HTTP/1.1 404 X\r\n" + long)
    with pytest.raises(InputUnreachable, match="more than 3 times"):
        await get(b"HTTP/1.1 302 X\r\nLocation: /again\r\n" + long)


# Size, time, damage.


async def test_a_declared_length_above_the_limit_is_refused_at_once():
    """Not one byte of the body has come."""

    async def answer(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n")
        await asyncio.Event().wait()

    with pytest.raises(BodyTooLarge):
        await get(answer)


@pytest.mark.parametrize("head", [b"Transfer-Encoding: chunked\r\n", b""])
async def test_an_endless_body_ends_at_the_limit(head):
    """In chunks, and up to an end of the connection that never comes."""
    sent = 0

    async def answer(_reader, writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        piece = bytes(64 << 10)
        while True:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if head else piece)
            await writer.drain()
            sent += len(piece)

    with pytest.raises(BodyTooLarge):
        await get(answer)
    assert sent < 16 * LIMIT


async def test_bytes_are_counted_as_they_come():
    """So that many fetches together stay within the bound of all requests."""
    counted = []

    def count(size: int) -> None:
        counted.append(size)
        if sum(counted) > 100_000:
            raise Overloaded("enough")

    async with origin(ok(bytes(LIMIT))) as server:
        with pytest.raises(Overloaded, match="enough"):
            await fetcher(server.port).fetch(
                f"http://x.test:{server.port}/", limit=LIMIT, count=count
            )
    assert 100_000 < sum(counted) < 200_000


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\n", ok(bytes(1000))[:-999]])
async def test_a_server_that_drips_is_left_at_the_deadline(first):
    """A byte now and then, in the head or in the body: the whole has its time, not each byte."""

    async def answer(_reader, writer):
        writer.write(first or b"HTTP/1.1 200")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    begun = time.monotonic()
    with pytest.raises(InputUnreachable, match=r"within 0\.3 seconds"):
        await get(answer, seconds=0.3)
    assert time.monotonic() - begun < 3


async def test_redirects_share_one_deadline():
    """Each hop is slow, all of them together too slow."""

    async def answer(_reader, writer):
        await asyncio.sleep(0.2)
        writer.write(moved("/again"))
        await writer.drain()

    with pytest.raises(InputUnreachable, match=r"within 0\.3 seconds"):
        await get(answer, seconds=0.3)


async def test_a_resolver_that_hangs_is_left_at_the_deadline():
    """It belongs to whoever owns the name."""

    async def never(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    inputs = Inputs(InputPolicy(max_seconds=0.1), fetch=fetcher(80, resolve=never).fetch)
    with pytest.raises(InputUnreachable, match=r"within 0\.1 seconds"):
        await inputs.read(
            NamedPicture(kind="url", text="http://x.test/"), limit=LIMIT, count=ignore
        )


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, gzip"])
async def test_compressed_answers_are_refused(coding):
    """A megabyte of zeros is a kilobyte of gzip: nothing is ever unpacked."""
    bomb = gzip.compress(bytes(50 << 20))
    with pytest.raises(InputUnreachable, match="compressed"):
        await get(ok(bomb, f"Content-Encoding: {coding}"))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
        b"HTTP/1.1 101 Switching\r\n\r\n",
    ],
    ids=lambda answer: repr(answer[:60]),
)
async def test_broken_answers_are_told(answer):
    """Wrong lengths, wrong codings, heads without an end."""
    with pytest.raises(InputUnreachable, match="broken or ends too early"):
        await get(answer)


async def test_more_than_the_declared_length_is_not_read():
    """What follows is not part of the answer."""
    assert PICTURE == await get(ok(PICTURE) + b"HTTP/1.1 200 OK\r\n\r\nmore")


async def test_chunks_of_single_bytes_are_refused():
    """They would cost much work for little picture."""
    chunks = b"1\r\nx\r\n" * 50_000
    with pytest.raises(InputUnreachable, match="broken"):
        await get(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)


async def test_only_so_many_are_fetched_at_once():
    """The next is refused at once, and the places come back."""
    waiting = asyncio.Event()

    async def held(_host: str, _port: int) -> list[str]:
        await waiting.wait()
        return []

    it = fetcher(80, resolve=held)
    tasks = [
        asyncio.ensure_future(it.fetch("http://x.test/", limit=LIMIT, count=ignore))
        for _ in range(64)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await it.fetch("http://x.test/", limit=LIMIT, count=ignore)
    waiting.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {InputUnreachable} == {*map(type, outcomes)}
    with pytest.raises(InputUnreachable):
        await it.fetch("http://x.test/", limit=LIMIT, count=ignore)


# TLS.


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority of the test's own."""
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def certified(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """A server's side, with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


async def test_tls_is_asked_for_the_name_not_the_address(authority, trusting):
    """The connection goes to the pinned address, the certificate is that of the name."""
    names = []
    context = certified(authority, "pictures.test")
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    async with origin(ok(PICTURE), tls=context) as server:
        it = fetcher(server.port, tls=trusting)
        url = f"https://pictures.test:{server.port}/"
        assert PICTURE == await it.fetch(url, limit=LIMIT, count=ignore)
    assert ["pictures.test"] == names


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_wrong_certificate_is_refused(authority, trusting, trusted):
    """For another name, or of an authority that nobody knows."""
    name = "other.test" if trusted else "pictures.test"
    async with origin(ok(PICTURE), tls=certified(authority, name)) as server:
        it = fetcher(server.port, tls=trusting if trusted else None)
        with pytest.raises(InputUnreachable, match="certificate is not valid"):
            await it.fetch(f"https://pictures.test:{server.port}/", limit=LIMIT, count=ignore)
    assert [] == server.asked


async def test_a_redirect_from_https_to_http_is_refused(authority, trusting):
    """Even where both are allowed."""
    async with origin(ok(PICTURE)) as plain:
        where = f"http://pictures.test:{plain.port}/"
        context = certified(authority, "pictures.test")
        async with origin(moved(where), tls=context) as server:
            it = fetcher(server.port, plain.port, tls=trusting)
            with pytest.raises(InputNotAllowed, match="from https to http"):
                await it.fetch(f"https://pictures.test:{server.port}/", limit=LIMIT, count=ignore)
    assert [] == plain.asked
