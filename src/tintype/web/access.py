"""Access over HTTP: what each route needs, the key out of a request, and the answer's headers.

Routes are guarded one by one, behind the router: what is checked is the route that would answer,
so no way of spelling an address leads around it. The body has not been read by then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Final, TypeAlias
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope as HttpScope

from tintype.access.addresses import is_loopback
from tintype.access.door import Door, Visitor, check
from tintype.access.keys import Key, Scope
from tintype.access.limits import Verdict
from tintype.errors import MalformedRequest, Unauthorized
from tintype.predict import Caller
from tintype.web.forwarded import FORWARDING_HEADERS
from tintype.web.same_origin import refuse_other_sites
from tintype.web.trace import answer_headers, request_id

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

SECURE_COOKIE: Final = "__Host-tintype"
PLAIN_COOKIE: Final = "tintype"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LONGEST_KEY: Final = 256
_STATE: Final = "tintype_pass"


class Need(StrEnum):
    """What a route asks of its caller, where keys are asked for at all."""

    OPEN = "open"
    PAGE = "page"
    PREDICT = "predict"
    FEEDBACK = "feedback"
    ADMIN = "admin"
    OPERATIONS = "operations"


_SCOPES: Final[Mapping[Need, Scope]] = {
    Need.PAGE: Scope.PREDICT,
    Need.PREDICT: Scope.PREDICT,
    Need.FEEDBACK: Scope.FEEDBACK,
    Need.ADMIN: Scope.ADMIN,
    Need.OPERATIONS: Scope.ADMIN,
}
_UNCOUNTED: Final = frozenset({Need.OPERATIONS})


def guarded(handler: Handler, need: Need, *, door: Door | None) -> Handler:
    """The handler behind the door. Nothing is added where there is no door, or no need."""
    if door is None or need is Need.OPEN:
        return handler

    async def behind_the_door(request: Request) -> Response:
        if door.stands_open:
            return await handler(request)
        if need is Need.OPERATIONS and is_local(request.scope):
            return await handler(request)
        try:
            key = door.enter(visitor_of(request), _SCOPES[need])
        except Unauthorized:
            try:
                key = await door.enter_late(visitor_of(request), _SCOPES[need])
            except Unauthorized:
                visits = need is Need.PAGE or request.method in _SAFE_METHODS
                if visits and _is_for_a_person(request):
                    return _to_sign_in(request)
                raise
        if key is not None:
            _refuse_other_sites(request)
        await _take(request, door, key, cost=0 if need in _UNCOUNTED else 1)
        return await handler(request)

    return behind_the_door


async def charge(request: Request, more: int) -> None:
    """Count a request as so many more: a batch counts as its pictures.

    Raises RateLimited, QuotaExceeded.
    """
    held = request.scope["state"].get(_STATE)
    if held is not None and more > 0:
        door, key = held
        await _take(request, door, key, cost=more)


def caller_of(request: Request) -> Caller:
    """Who asks: the request's id and the name of the key."""
    held = request.scope["state"].get(_STATE)
    key: Key | None = held[1] if held is not None else None
    return Caller(request_id=request_id(request.scope), key="" if key is None else key.name)


def is_signed_in(request: Request) -> bool:
    """Whether the request came in with a session."""
    return _STATE in request.scope["state"] and bool(session_text(request))


async def _take(request: Request, door: Door, key: Key | None, *, cost: int) -> None:
    address = peer_of(request.scope)
    request.scope["state"][_STATE] = (door, key)
    verdict = await door.take(key, address, cost=cost)
    answer_headers(request.scope).update(limit_headers(verdict))
    check(verdict)


def limit_headers(verdict: Verdict) -> dict[bytes, bytes]:
    """``RateLimit-Policy`` and ``RateLimit`` (draft-ietf-httpapi-ratelimit-headers-10)."""
    if not verdict.standings:
        return {}
    policies = ", ".join(
        f'"{each.rule.name}";q={each.rule.most};w={each.rule.seconds}' for each in verdict.standings
    )
    standings = ", ".join(
        f'"{each.rule.name}";r={each.remaining};t={round(each.reset)}' for each in verdict.standings
    )
    return {b"ratelimit-policy": policies.encode(), b"ratelimit": standings.encode()}


def peer_of(scope: HttpScope) -> str:
    """The caller's address; what trusted proxies said of it is in there already."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def is_local(scope: HttpScope) -> bool:
    """Whether the caller is on this machine, and no proxy is in between."""
    return is_loopback(peer_of(scope)) and not any(
        name in FORWARDING_HEADERS for name, _ in scope["headers"]
    )


def visitor_of(request: Request) -> Visitor:
    """What the request shows. A key goes before a session.

    Raises MalformedRequest for several keys, Unauthorized for another kind of authorization.
    """
    address = peer_of(request.scope)
    headers: Iterable[tuple[bytes, bytes]] = request.scope["headers"]
    given = [_bearer(value) for name, value in headers if name == b"authorization"]
    given += [value.strip() for name, value in headers if name == b"x-api-key"]
    if len(given) > 1:
        raise MalformedRequest("the request has more than one API key", hint="send one")
    if given:
        return Visitor(address=address, key=given[0][:_LONGEST_KEY] or b"-")
    return Visitor(address=address, session=session_text(request))


def _bearer(value: bytes) -> bytes:
    scheme, _, text = value.partition(b" ")
    if scheme.lower() != b"bearer":
        raise Unauthorized(
            "the Authorization header is of another kind than Bearer",
            hint="send a key: Authorization: Bearer KEY, or X-API-Key: KEY",
        )
    return text.strip()


def cookie_name(request: Request) -> str:
    """The session's cookie. Over TLS its name makes browsers hold it to this very host."""
    return SECURE_COOKIE if request.scope["scheme"] == "https" else PLAIN_COOKIE


def session_text(request: Request) -> bytes:
    """The session's text, empty without. Two cookies of the name are none: one was slipped in."""
    name = cookie_name(request)
    found = [
        part.partition("=")[2].strip()
        for header in request.headers.getlist("cookie")
        for part in header.split(";")
        if part.partition("=")[0].strip() == name
    ]
    return found[0].encode("utf-8", "replace") if len(found) == 1 else b""


def _refuse_other_sites(request: Request) -> None:
    """Only what a browser sends by itself, its cookie, can be used by other sites."""
    by_key = "authorization" in request.headers or "x-api-key" in request.headers
    if not by_key and request.method not in _SAFE_METHODS:
        refuse_other_sites(request.headers)


def _is_for_a_person(request: Request) -> bool:
    return (
        "text/html" in request.headers.get("accept", "")
        and "x-fragment" not in request.headers
        and "authorization" not in request.headers
        and "x-api-key" not in request.headers
    )


def _to_sign_in(request: Request) -> Response:
    path = request.scope["path"]
    where = "" if path == "/" else f"?next={quote(path)}"
    return Response(
        b"",
        status_code=HTTPStatus.SEE_OTHER,
        headers={"Location": f"/sign-in{where}", "Cache-Control": "no-store"},
    )
