"""What every answer carries: a request id and the headers that keep a browser safe."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import MutableMapping
from typing import Any, TypeAlias

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
_QUIET = ("/live", "/ready", "/static/")

log = structlog.get_logger(__name__)


def request_id(scope: Scope) -> str:
    """The id of a request: the caller's ``X-Request-ID`` if it is a plain word, else a new one."""
    state: MutableMapping[str, Any] = scope.setdefault("state", {})
    known = state.get("tintype_request_id")
    if known is None:
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        known = given.decode() if _ID.fullmatch(given) else uuid.uuid4().hex
        state["tintype_request_id"] = known
        state["tintype_begun"] = time.monotonic()
    return str(known)


def answer_headers(scope: Scope) -> dict[bytes, bytes]:
    """Further headers of the answer, whatever becomes of the request. May be added to."""
    state: MutableMapping[str, Any] = scope.setdefault("state", {})
    found: dict[bytes, bytes] = state.setdefault("tintype_headers", {})
    return found


class Trace:
    """Middleware: gives the request its id, the response its headers, and the log its line."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id in every log line written on its behalf."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id(scope))

        async def send_traced(message: Message) -> None:
            if message["type"] == "http.response.start":
                _finish(message, scope)
            await send(message)

        await self._app(scope, receive, send_traced)


def _finish(message: Message, scope: Scope) -> None:
    """Add the headers that every response carries, and write the request's line to the log."""
    name = request_id(scope)
    message["headers"] = [
        *message["headers"],
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
            path=path,
            status=message["status"],
            milliseconds=round((time.monotonic() - scope["state"]["tintype_begun"]) * 1000, 2),
        )
