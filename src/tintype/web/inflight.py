"""Pictures of all requests together: a bound on what many large ones at once may take."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tintype.errors import Overloaded


class BytesInFlight:
    """Counts bytes that are held for requests, up to ``most``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._held

    def take(self, size: int) -> None:
        """Count ``size`` bytes. Raises Overloaded above the bound; they are counted all the same.

        So whoever takes gives back, in one way, however it ends.
        """
        self._held += size
        if self._held > self._most:
            raise Overloaded(
                f"the pictures of all requests together have more than {self._most} bytes",
                hint="try again later; the setting uploads.max_bytes_in_flight moves the limit",
                limit=self._most,
            )

    def give(self, size: int) -> None:
        """Count ``size`` bytes no more."""
        self._held -= size


class BodiesInFlight:
    """Middleware: counts the bytes of bodies that arrive, until their requests are answered.

    Above the bound the request that asks for more of its body is refused as Overloaded, at once;
    the others go on.
    """

    def __init__(self, app: ASGIApp, *, held: BytesInFlight) -> None:
        self._app = app
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; give back what its body took when it is done."""
        mine = 0

        async def receive_counted() -> Message:
            nonlocal mine
            message = await receive()
            if message["type"] == "http.request":
                size = len(message.get("body", b""))
                mine += size
                self._held.take(size)
            return message

        try:
            await self._app(scope, receive_counted, send)
        finally:
            self._held.give(mine)
