"""A request whose front ended before it answered: told in our words, in Ray's own HTTP server.

Ray would answer it with a bare 500. Its server takes middleware from a function that a variable of
its process names (``VARIABLES``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tintype.errors import ModelUnavailable
from tintype.web.errors import on_tintype_error
from tintype.web.trace import SECURITY_HEADERS, request_id

VARIABLES: Final[Mapping[str, str]] = MappingProxyType(
    {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "tintype.cluster.unanswered:middlewares"}
)
"""Of the processes in which Ray's server runs."""
_RETRY_AFTER: Final = 1


class Unanswered:
    """Middleware around Ray's server: a 503 with ``Retry-After`` where nothing was answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. Ray's server returns without a word when it knows no answer."""
        begun = False

        async def send_noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        await self._app(scope, receive, send_noting)
        if scope["type"] == "http" and not begun:
            await _answer(scope, receive, send)


def middlewares() -> list[Middleware]:
    """What Ray's server puts around itself."""
    return [Middleware(Unanswered)]


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    error = ModelUnavailable(
        "the front that had this request ended before it answered",
        hint="try again: another front takes its place",
        retry_after=_RETRY_AFTER,
    )
    response = on_tintype_error(Request(scope), error)
    name = (b"x-request-id", request_id(scope).encode())
    response.raw_headers.extend([name, *SECURITY_HEADERS])
    await response(scope, receive, send)
