"""Bodies of all requests together: a bound on what many large uploads at once may take."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tintype.errors import Overloaded
from tintype.metrics import BODY_BYTES, Metrics


class BodiesInFlight:
    """Middleware: counts the bytes of bodies that arrive, until their requests are answered.

    Above ``most`` bytes the request that asks for more of its body is refused as Overloaded, at
    once; the others go on.
    """

    def __init__(self, app: ASGIApp, *, most: int, metrics: Metrics | None = None) -> None:
        self._app = app
        self._most = most
        self._held = 0
        if metrics is not None:
            metrics.watch(BODY_BYTES, lambda: [((), self._held)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; give back what its body took when it is done."""
        mine = 0

        async def receive_counted() -> Message:
            nonlocal mine
            message = await receive()
            size = len(message.get("body", b"")) if message["type"] == "http.request" else 0
            mine += size
            self._held += size
            if self._held > self._most:
                raise Overloaded(
                    f"the bodies of all requests together have more than {self._most} bytes",
                    hint="try again later; the setting uploads.max_bytes_in_flight moves the limit",
                    limit=self._most,
                )
            return message

        try:
            await self._app(scope, receive_counted, send)
        finally:
            self._held -= mine
