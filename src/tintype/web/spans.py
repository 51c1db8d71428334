"""A span around every request, where requests are traced."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tintype.tracing import Tracing
from tintype.web.trace import route_of

_CARRIED: Final = (b"traceparent", b"tracestate")


class Spans:
    """Middleware: the request's span, inside which the prediction's spans are made."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on within its span."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        carried = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in _CARRIED
        }
        with self._tracing.request(scope["method"], carried) as span:

            async def send_noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.answered(route=route_of(scope), status=message["status"])
                await send(message)

            await self._app(scope, receive, send_noted)
