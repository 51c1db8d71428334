"""What every request goes through: its id, its route, an answer whatever happens, a line, a count.

It is all in one place, and an answer is a value until it is sent: layers around layers, each a
call or two on the way in, on the way out and whenever the request waits, took a tenth of what the
event loop does for a prediction.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, TypeAlias

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from tintype.errors import TintypeError
from tintype.metrics import REQUEST_SECONDS, REQUESTS, Metrics
from tintype.tracing import Tracing
from tintype.web.access import Handler
from tintype.web.errors import (
    ClientGone,
    gone,
    on_http_error,
    on_tintype_error,
    on_unexpected,
)
from tintype.web.inflight import BytesInFlight
from tintype.web.routes import Routes
from tintype.web.spans import carried
from tintype.web.trace import Header, log_request, note_route, request_id, route_of, traced_headers

WHOLE: Final = "tintype.whole"
"""An extension of ASGI by the server: a ``Whole``."""

Whole: TypeAlias = Callable[[int, list[Header], bytes], bool]
"""Writes status, headers and body at once if it can, and tells whether it did."""


class Application:
    """An ASGI application around a table of routes. ``held`` counts the bodies in flight.

    Whatever nobody foresaw becomes a problem document, never a traceback.
    """

    def __init__(
        self,
        routes: Routes,
        *,
        held: BytesInFlight,
        metrics: Metrics | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._routes = routes
        self._held = held
        self._metrics = metrics
        self._tracing = tracing
        self.routes = routes.all

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await _no_request(scope, receive, send)
            return
        structlog.contextvars.bind_contextvars(request_id=request_id(scope))
        if self._tracing is None:
            await self._answer(scope, receive, send)
            return
        with self._tracing.request(scope["method"], carried(scope)) as span:
            status = await self._answer(scope, receive, send)
            span.answered(route=route_of(scope), status=status)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Send the answer, and tell its status. The request's body is counted until there is one.

        Sending takes as long as the client likes: it holds nobody's room.
        """
        with self._held.counted() as count:
            response = await self._respond(Request(scope, _counting(receive, count)))
        status = response.status_code
        seconds = time.monotonic() - scope["state"]["tintype_begun"]
        headers = traced_headers(response.raw_headers, scope, seconds)
        if self._metrics is not None:
            route = route_of(scope)
            self._metrics.count(REQUESTS, route, str(status))
            self._metrics.observe(REQUEST_SECONDS, seconds, route)
        log_request(scope, status=status, seconds=seconds)
        whole: Whole | None = scope.get("extensions", {}).get(WHOLE)
        if whole is None or not whole(status, headers, bytes(response.body)):
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": response.body})
        return status

    async def _respond(self, request: Request) -> Response:
        """The handler's answer, or the one that tells why there is none."""
        try:
            return await self._handler(request.scope)(request)
        except TintypeError as error:
            return on_tintype_error(request, error)
        except HTTPException as error:
            return on_http_error(request, error)
        except ClientGone:
            return gone()
        except Exception as error:  # noqa: BLE001 - the last handler, of what nobody foresaw
            return on_unexpected(request, error)

    def _handler(self, scope: Scope) -> Handler:
        """Who answers. Raises HTTPException: 404 for an address, 405 for a method."""
        found = self._routes.find(_path(scope), scope["method"])
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        route, scope["path_params"] = found
        handler = route.handlers.get(scope["method"])
        if handler is None:
            allowed = ", ".join(self._routes.methods(_path(scope)))
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": allowed})
        note_route(scope, route.told)
        return handler


def _path(scope: Scope) -> str:
    """The address without the part under which the application was put (ASGI's root_path)."""
    path, root = str(scope["path"]), scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def _counting(receive: Receive, count: Callable[[int], None]) -> Receive:
    """Receive, and count the bytes of the body."""

    async def receive_counted() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            count(len(message.get("body", b"")))
        return message

    return receive_counted


async def _no_request(scope: Scope, receive: Receive, send: Send) -> None:
    """Nothing is begun and ended here, and there are no websockets (ASGI 3.0)."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})
        return
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
