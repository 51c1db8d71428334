"""Fetches a picture by URL from a server that nobody here trusts.

The name is resolved once; each of its addresses must be public; the connection goes to one of
these very addresses, while TLS and HTTP still tell the name. No proxies, no cookies, no
credentials, no compression. A redirect is a new URL under the same rules. The caller's deadline
holds for all of it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias
from urllib.parse import urljoin

from tintype import __version__
from tintype.errors import BodyTooLarge, InputNotAllowed, InputUnreachable, Overloaded
from tintype.web.urls import Target, UrlPolicy, is_public, target_of
from tintype.wire.http_exchange import (
    READ_BYTES,
    AnswerBroken,
    AnswerTooLarge,
    Exchange,
    Head,
    Request,
)

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Host and port -> network addresses as text, best first. Raises OSError."""

_AT_ONCE: Final = 64
_ADDRESSES: Final = 4
_CONNECT_SECONDS: Final = 2.0
_HEADERS: Final = (
    ("User-Agent", f"tintype/{__version__}"),
    ("Accept", "image/*"),
    ("Accept-Encoding", "identity"),
)


async def resolve_host(host: str, port: int) -> list[str]:
    """Ask the system for the addresses of a host. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Fetcher:
    """Fetches pictures under a policy.

    ``resolve`` and ``allowed`` are there to be tried without the internet; ``tls`` to trust an
    authority of one's own.
    """

    def __init__(
        self,
        policy: UrlPolicy,
        *,
        redirects: int = 3,
        resolve: Resolve = resolve_host,
        allowed: Callable[[str], bool] = is_public,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._redirects = redirects
        self._resolve = resolve
        self._allowed = allowed
        self._tls = tls
        self._at_work = 0

    async def fetch(self, url: str, *, limit: int, count: Callable[[int], None]) -> bytes:
        """The bytes at ``url``, at most ``limit``. ``count`` is told of bytes as they come.

        Keeps no time: the caller cancels. Raises MalformedRequest, InputNotAllowed,
        InputUnreachable, BodyTooLarge, Overloaded, and what ``count`` raises.
        """
        if self._at_work >= _AT_ONCE:
            raise Overloaded(
                f"{_AT_ONCE} pictures are being fetched already", hint="try again later"
            )
        self._at_work += 1
        try:
            return await self._follow(url, limit=limit, count=count)
        finally:
            self._at_work -= 1

    async def _follow(self, url: str, *, limit: int, count: Callable[[int], None]) -> bytes:
        target = target_of(url, policy=self._policy)
        for _ in range(self._redirects + 1):
            async with self._connected(target) as (reader, writer):
                answer = await _ask(reader, writer, target, limit=limit, count=count)
            if isinstance(answer, bytes):
                return answer
            target = self._next(target, answer)
        raise InputUnreachable(f"the URL leads on more than {self._redirects} times")

    def _next(self, target: Target, location: str) -> Target:
        try:
            joined = urljoin(target.url, location)
        except ValueError:
            joined = ""
        found = target_of(joined, policy=self._policy)
        if target.scheme == "https" and found.scheme != "https":
            raise InputNotAllowed("the URL leads on from https to http")
        return found

    async def _addresses(self, target: Target) -> list[str]:
        try:
            addresses = await self._resolve(target.host, target.port)
        except (OSError, UnicodeError):
            addresses = []
        if not addresses:
            raise InputUnreachable("the host of the URL is not known")
        if not all(map(self._allowed, addresses)):
            raise InputNotAllowed("the URL leads to an address that is not on the public internet")
        return addresses[:_ADDRESSES]

    @asynccontextmanager
    async def _connected(
        self, target: Target
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await self._connect(target)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def _connect(self, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        tls = self._context() if target.scheme == "https" else None
        for address in await self._addresses(target):
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    return await asyncio.open_connection(
                        address,
                        target.port,
                        ssl=tls,
                        server_hostname=target.host if tls else None,
                    )
            except ssl.SSLError as error:
                raise InputUnreachable("the other server's certificate is not valid") from error
            except OSError:  # TimeoutError is one
                continue
        raise InputUnreachable("the other server cannot be reached")

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


async def _ask(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    target: Target,
    *,
    limit: int,
    count: Callable[[int], None],
) -> bytes | str:
    """Ask for the target: its bytes, or where the answer says that they are."""
    request = Request(method="GET", target=target.path, host=target.host_header, headers=_HEADERS)
    exchange = Exchange(request, limit=limit)
    try:
        writer.write(exchange.first_bytes())
        while not exchange.done:
            before = exchange.body_bytes()
            exchange.feed(await reader.read(READ_BYTES))
            count(exchange.body_bytes() - before)
            if exchange.head is not None and (location := _checked(exchange.head)) is not None:
                return location
            await asyncio.sleep(0)  # whatever comes how fast, the others have their turn
    except AnswerTooLarge:
        if exchange.head is not None and (location := _checked(exchange.head)) is not None:
            return location  # with a page of words that nobody reads
        raise BodyTooLarge(
            f"the picture has more than {limit} bytes",
            hint="name a smaller picture, or raise uploads.max_body_bytes",
            limit=limit,
        ) from None
    except (AnswerBroken, OSError) as error:
        raise InputUnreachable("the other server's answer is broken or ends too early") from error
    return exchange.body()


def _checked(head: Head) -> str | None:
    """None for a picture to come, the address of a redirect. Raises InputUnreachable."""
    if head.status in {301, 302, 303, 307, 308} and "location" in head.headers:
        return head.headers["location"]
    if head.status != 200:
        raise InputUnreachable(f"the other server answers with status {head.status}")
    if head.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise InputUnreachable("the other server sends the picture compressed once more")
    return None
