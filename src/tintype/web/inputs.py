"""Pictures that a request names instead of sending: by path, or by URL. Off by default."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from tintype.errors import InputDisabled, InputUnreachable, SettingsError
from tintype.web.inflight import BytesInFlight
from tintype.web.paths import Root, read_path
from tintype.web.uploads import NamedPicture, Picture
from tintype.web.urls import UrlPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPolicy:
    """Which pictures a request may name.

    ``paths`` are the folders it may name files in; without any, ``path`` is off. ``url_hosts``
    empty means every host on the public internet. ``max_seconds`` is the longest that getting one
    picture may take, all of it together.
    """

    paths: tuple[str, ...] = ()
    urls: bool = False
    url_hosts: tuple[str, ...] = ()
    url_schemes: tuple[str, ...] = ("https",)
    url_ports: tuple[str, ...] = ("443",)
    url_redirects: int = 3
    max_seconds: float = 5.0

    def url_policy(self) -> UrlPolicy:
        """What is to be held of URLs. Raises SettingsError."""
        if not self.url_schemes or not {*self.url_schemes} <= {"http", "https"}:
            raise SettingsError(
                f"inputs.url_schemes: {', '.join(self.url_schemes)!r}, expected http and https"
            )
        ports = [int(port) if port.isascii() and port.isdigit() else 0 for port in self.url_ports]
        if not ports or not all(0 < port < 65536 for port in ports):
            raise SettingsError(
                f"inputs.url_ports: {', '.join(self.url_ports)!r}, expected numbers from 1 to 65535"
            )
        return UrlPolicy(schemes=self.url_schemes, ports=tuple(ports), hosts=self.url_hosts)


class Fetch(Protocol):
    """Fetches a URL: ``tintype.web.fetch`` has it, loaded only where URLs are switched on."""

    async def __call__(self, url: str, *, limit: int, count: Callable[[int], None]) -> bytes:
        """The bytes at ``url``, at most ``limit``; ``count`` is told of them as they come."""
        ...


class Inputs:
    """Gets named pictures. Without roots every path is refused, without ``fetch`` every URL.

    ``threads`` read the files; they are apart from all others, since a network disk that hangs
    keeps a thread for as long as it likes.
    """

    def __init__(
        self,
        policy: InputPolicy | None = None,
        *,
        roots: tuple[Root, ...] = (),
        threads: Executor | None = None,
        fetch: Fetch | None = None,
    ) -> None:
        self._seconds = (policy or InputPolicy()).max_seconds
        self._roots = roots
        self._threads = threads
        self._fetch = fetch

    async def read(self, named: NamedPicture, *, limit: int, count: Callable[[int], None]) -> bytes:
        """The bytes of the picture, at most ``limit``; ``count`` is told of them.

        Raises InputDisabled, InputNotAllowed, InputUnreachable, BodyTooLarge, MalformedRequest,
        Overloaded, and what ``count`` raises.
        """
        try:
            async with asyncio.timeout(self._seconds):
                if named.kind == "path":
                    data = await self._read_path(named.text, limit=limit)
                    count(len(data))
                    return data
                if self._fetch is not None:
                    return await self._fetch(named.text, limit=limit, count=count)
        except TimeoutError:
            raise InputUnreachable(
                f"the picture could not be got within {self._seconds:g} seconds",
                hint="the operator's setting is inputs.max_seconds",
                limit=self._seconds,
            ) from None
        raise InputDisabled(
            "pictures by url are not switched on in this server",
            hint="send the bytes of the picture; the operator's setting is inputs.urls",
        )

    async def _read_path(self, text: str, *, limit: int) -> bytes:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, lambda: read_path(text, roots=self._roots, limit=limit)
        )


class Pictures:
    """Pictures of requests, sent or named, as bytes that are counted while they are held."""

    def __init__(self, inputs: Inputs, *, held: BytesInFlight, limit: int) -> None:
        self._inputs = inputs
        self._held = held
        self._limit = limit

    def bytes_of(self, picture: Picture) -> AbstractAsyncContextManager[bytes]:
        """The picture's bytes. Those of a named one are got here, and counted until the end.

        Raises what ``Inputs.read`` raises.
        """
        if isinstance(picture, bytes):  # counted as the body that it came with
            return nullcontext(picture)
        return self._named(picture)

    @asynccontextmanager
    async def _named(self, picture: NamedPicture) -> AsyncIterator[bytes]:
        with self._held.counted() as count:
            yield await self._inputs.read(picture, limit=self._limit, count=count)
