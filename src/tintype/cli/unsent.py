"""Clients that do not read: what was written for them is kept only while some of it goes."""

from __future__ import annotations

import asyncio


class Unsent:
    """Watches the bytes of one connection that its client has not taken yet.

    One that takes nothing for so many seconds is cut off: it would keep its answers, the place of
    its request and in the end the server's leaving for as long as it likes.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._bytes = 0
        self._later: asyncio.TimerHandle | None = None

    def watch(self, seconds: float) -> None:
        """Look again after so long, for as long as something is unsent."""
        self.rest()
        self._bytes = self._transport.get_write_buffer_size()
        if self._bytes:
            self._later = self._loop.call_later(seconds, self._look, seconds)

    def rest(self) -> None:
        """All was taken, or nobody is there any more."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _look(self, seconds: float) -> None:
        if self._transport.get_write_buffer_size() < self._bytes:
            self.watch(seconds)
        else:
            self._transport.abort()
