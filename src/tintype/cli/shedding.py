"""Refusing at the connection: what an overloaded server spends on those it cannot serve.

A request that reaches the application costs some ten times as much as its refusal here, and would
have its body read first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.routing import Route

from tintype.errors import Overloaded
from tintype.web.access import Need
from tintype.web.errors import PROBLEM_JSON, problem_of
from tintype.web.trace import SECURITY_HEADERS

_TOLD_EACH_SECONDS: Final = 1.0
_PRESSED_SECONDS: Final = 1.0
_HOLDS_SECONDS: Final = 0.002
"""How long a refusal holds: many ask within that time, and room does not come sooner."""

log = structlog.get_logger(__name__)


class Refusal(Protocol):
    """Why a request would be refused now that comes behind ``arriving`` others."""

    def __call__(self, *, arriving: int) -> Overloaded | None:
        """None where there is room."""
        ...


class Shedding:
    """Knows which requests ask a model, and answers them while all models have too many.

    ``refused`` counts them. They have no line each in the log, but one a second together.

    Many requests are read in one turn of the loop, and those let in reach the model's line in the
    next: until then they are counted here, or all of them would be let into the one free place
    and the application would refuse them, at its price. ``soon`` is the loop's ``call_soon``.
    """

    def __init__(
        self,
        paths: frozenset[bytes],
        refusal: Refusal,
        *,
        soon: Callable[[Callable[[], None]], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths = paths
        self._refusal = refusal
        self._soon = soon
        self._clock = clock
        self._arriving = 0
        self._asked = -1.0
        self._written: bytes | None = None
        self._last = (Overloaded(""), b"")
        self._pressed_until = -1.0
        self._told = (clock() - _TOLD_EACH_SECONDS, 0)
        self.refused = 0

    @property
    def is_shedding(self) -> bool:
        """Whether a request was refused a moment ago: the next are likely to be, too."""
        return self._clock() < self._pressed_until

    def answer(self, method: bytes, url: bytes) -> bytes | None:
        """The answer to write instead of reading on, None to go on as always."""
        if method != b"POST" or url.partition(b"?")[0] not in self._paths:
            return None
        now = self._clock()
        if self._written is None or now >= self._asked + _HOLDS_SECONDS:
            error = self._refusal(arriving=self._arriving)
            if error is None:
                self._written = None
                self._let_in()
                return None
            self._asked, self._written = now, self._response(error)
            self._pressed_until = now + _PRESSED_SECONDS
        self._count(now)
        return self._written

    def _response(self, error: Overloaded) -> bytes:
        """What is written; the words are mostly those of the refusal before."""
        told, written = self._last
        if told.args != error.args or told.facts != error.facts:
            written = _response(error)
        self._last = (error, written)
        return written

    def _let_in(self) -> None:
        if not self._arriving:
            # this is called in the next turn, before the request itself goes on: once more, then
            self._soon(self._in_next_turn)
        self._arriving += 1

    def _in_next_turn(self) -> None:
        self._soon(self._all_arrived)

    def _all_arrived(self) -> None:
        self._arriving = 0

    def _count(self, now: float) -> None:
        self.refused += 1
        when, count = self._told
        if now - when >= _TOLD_EACH_SECONDS:
            log.warning("overloaded: requests refused unread", count=self.refused - count)
            self._told = (now, self.refused)


def asking_paths(app: Starlette) -> frozenset[bytes]:
    """The paths of the application that take a picture by POST, as they stand in a request."""
    return frozenset(
        route.path.encode()
        for route in app.routes
        if isinstance(route, Route)
        and "{" not in route.path
        and getattr(route.endpoint, "needs", {}).get("POST") is Need.PREDICT
    )


def _response(error: Overloaded) -> bytes:
    """Headers and body, without the status line and the words on the connection."""
    body = msgspec.json.encode(problem_of(error))
    headers = (
        (b"content-type", PROBLEM_JSON.encode()),
        (b"cache-control", b"no-store"),
        (b"retry-after", str(error.facts.get("retry_after", 1)).encode()),
        (b"content-length", b"%d" % len(body)),
        *SECURITY_HEADERS,
    )
    return b"".join(b"%s: %s\r\n" % header for header in headers) + b"\r\n" + body
