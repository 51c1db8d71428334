"""What every answer carries: a request id and the headers that keep a browser safe."""

from __future__ import annotations

import re
import time
from collections.abc import MutableMapping
from typing import Any, TypeAlias

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tintype.ids import new_id
from tintype.metrics import REQUEST_SECONDS, REQUESTS, Metrics

Header: TypeAlias = tuple[bytes, bytes]

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

SECURITY_HEADERS: tuple[Header, ...] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_QUIET = ("/live", "/ready", "/static/", "/metrics")
_SECRET = ("/score/",)
"""Addresses that open what they name: the log tells their route, not who could open it."""
_ROUTE = "tintype_route"
_UNKNOWN_ROUTE = "unknown"

log = structlog.get_logger(__name__)


def request_id(scope: Scope) -> str:
    """The id of a request: the caller's ``X-Request-ID`` if it is a plain word, else a new one."""
    state: MutableMapping[str, Any] = scope.setdefault("state", {})
    known = state.get("tintype_request_id")
    if known is None:
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        known = given.decode() if given and _ID.fullmatch(given) else new_id()
        state["tintype_request_id"] = known
        state["tintype_begun"] = time.monotonic()
    return str(known)


def answer_headers(scope: Scope) -> dict[bytes, bytes]:
    """Further headers of the answer, whatever becomes of the request. May be added to."""
    state: MutableMapping[str, Any] = scope.setdefault("state", {})
    found: dict[bytes, bytes] = state.setdefault("tintype_headers", {})
    return found


def note_route(scope: Scope, route: str) -> None:
    """Remember which route answers: a text of ours, so that metrics have few labels."""
    scope["state"][_ROUTE] = route


def route_of(scope: Scope) -> str:
    """The route that answers; ``unknown`` for an address or method that is not served."""
    return str(scope["state"].get(_ROUTE, _UNKNOWN_ROUTE))


class Trace:
    """Middleware: the request's id, the response's headers, the line in the log, the count."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics | None = None) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id in every log line written on its behalf."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id(scope))

        async def send_traced(message: Message) -> None:
            if message["type"] == "http.response.start":
                seconds = time.monotonic() - scope["state"]["tintype_begun"]
                _finish(message, scope, seconds)
                if self._metrics is not None:
                    _count(self._metrics, scope, message["status"], seconds)
            await send(message)

        await self._app(scope, receive, send_traced)


def _count(metrics: Metrics, scope: Scope, status: int, seconds: float) -> None:
    route = route_of(scope)
    metrics.count(REQUESTS, route, str(status))
    metrics.observe(REQUEST_SECONDS, seconds, route)


def _finish(message: Message, scope: Scope, seconds: float) -> None:
    """Add the headers that every response carries, and write the request's line to the log."""
    name = request_id(scope)
    headers = message["headers"]
    if b"server-timing" not in dict(headers):
        headers = [*headers, (b"server-timing", b"total;dur=%.3f" % (seconds * 1000))]
    message["headers"] = [
        *headers,
        (b"x-request-id", name.encode()),
        *SECURITY_HEADERS,
        *scope["state"].get("tintype_headers", {}).items(),
    ]
    path = scope["path"]
    if not path.startswith(_QUIET):
        log.info(
            "request",
            request_id=name,
            method=scope.get("method"),
            path=scope["state"].get(_ROUTE, "") if path.startswith(_SECRET) else path,
            status=message["status"],
            milliseconds=round(seconds * 1000, 2),
        )
