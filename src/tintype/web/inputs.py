"""Pictures that a request names instead of sending: by a path on the server. Off by default."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tintype.errors import InputDisabled, InputUnreachable
from tintype.web.inflight import BytesInFlight
from tintype.web.paths import Root, read_path
from tintype.web.uploads import NamedPicture


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPolicy:
    """Which pictures a request may name. ``paths`` are the folders it may name files in.

    ``max_seconds`` is the longest that getting one picture may take.
    """

    paths: tuple[str, ...] = ()
    max_seconds: float = 5.0


class Inputs:
    """Gets named pictures. Without roots every path is refused: the default.

    ``threads`` read the files; they are apart from all others, since a network disk that hangs
    keeps a thread for as long as it likes.
    """

    def __init__(
        self,
        policy: InputPolicy | None = None,
        *,
        roots: tuple[Root, ...] = (),
        threads: Executor | None = None,
    ) -> None:
        self._policy = policy or InputPolicy()
        self._roots = roots
        self._threads = threads

    async def read(self, named: NamedPicture, *, limit: int) -> bytes:
        """The bytes of the picture, at most ``limit``.

        Raises InputDisabled, InputNotAllowed, InputUnreachable, BodyTooLarge, MalformedRequest.
        """
        if named.kind == "url":
            raise InputDisabled(
                "pictures by url are not switched on in this server",
                hint="send the bytes of the picture",
            )
        loop = asyncio.get_running_loop()
        seconds = self._policy.max_seconds
        try:
            async with asyncio.timeout(seconds):
                return await loop.run_in_executor(
                    self._threads,
                    lambda: read_path(named.text, roots=self._roots, limit=limit),
                )
        except TimeoutError:
            raise InputUnreachable(
                f"the picture could not be read within {seconds:g} seconds",
                hint="the operator's setting is inputs.max_seconds",
                limit=seconds,
            ) from None


class Pictures:
    """Pictures of requests, sent or named, as bytes that are counted while they are held."""

    def __init__(self, inputs: Inputs, *, held: BytesInFlight, limit: int) -> None:
        self._inputs = inputs
        self._held = held
        self._limit = limit

    @asynccontextmanager
    async def bytes_of(self, picture: bytes | NamedPicture) -> AsyncIterator[bytes]:
        """The picture's bytes. Those of a named one are got here, and counted until the end.

        Raises Overloaded, and what ``Inputs.read`` raises.
        """
        if isinstance(picture, bytes):  # counted as the body that it came with
            yield picture
            return
        data = await self._inputs.read(picture, limit=self._limit)
        try:
            self._held.take(len(data))
            yield data
        finally:
            self._held.give(len(data))
