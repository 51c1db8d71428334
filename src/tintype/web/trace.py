"""What every answer carries: a request id and the headers that keep a browser safe."""

from __future__ import annotations

import re
import time
from collections.abc import MutableMapping
from typing import Any, TypeAlias

import structlog
from starlette.types import Scope

from tintype.ids import new_id

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


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The request's headers by their names in small letters; of several of a name, the last."""
    state: MutableMapping[str, Any] = scope.setdefault("state", {})
    found: dict[bytes, bytes] | None = state.get("tintype_asked")
    if found is None:
        found = state["tintype_asked"] = dict(scope["headers"])
    return found


def request_id(scope: Scope) -> str:
    """The id of a request: the caller's ``X-Request-ID`` if it is a plain word, else a new one."""
    state: MutableMapping[str, Any] = scope.setdefault("state", {})
    known = state.get("tintype_request_id")
    if known is None:
        given = headers_of(scope).get(b"x-request-id", b"")
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


def traced_headers(headers: list[Header], scope: Scope, seconds: float) -> list[Header]:
    """The answer's headers with those that every answer carries; ``seconds`` is all it took."""
    more = scope["state"].get("tintype_headers")
    timed = b"server-timing" in dict(headers)
    return [
        *headers,
        *(() if timed else ((b"server-timing", b"total;dur=%.3f" % (seconds * 1000)),)),
        (b"x-request-id", request_id(scope).encode()),
        *SECURITY_HEADERS,
        *(more.items() if more else ()),
    ]


def log_request(scope: Scope, *, status: int, seconds: float) -> None:
    """Write the request's line to the log; none for what asks all the time."""
    path = scope["path"]
    if not path.startswith(_QUIET):
        log.info(
            "request",
            request_id=request_id(scope),
            method=scope.get("method"),
            path=scope["state"].get(_ROUTE, "") if path.startswith(_SECRET) else path,
            status=status,
            milliseconds=round(seconds * 1000, 2),
        )
