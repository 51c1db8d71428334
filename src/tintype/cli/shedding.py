"""Refusing at the connection: what an overloaded server spends on those it cannot serve.

A request that reaches the application costs some ten times as much as its refusal here, and would
have its body read first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol
from urllib.parse import parse_qsl

import msgspec
import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from tintype.errors import Overloaded
from tintype.web.access import Need
from tintype.web.errors import PROBLEM_JSON, problem_of
from tintype.web.routes import Route
from tintype.web.trace import SECURITY_HEADERS

_TOLD_EACH_SECONDS: Final = 1.0
_PRESSED_SECONDS: Final = 1.0
_MOST_CROWDS: Final = 64
_MOST_A_SECOND: Final = 2000
_COUNTED_SECONDS: Final = 0.25
_LONGEST_COUNT_SECONDS: Final = 1.0
_REST_SECONDS: Final = 0.05
_LONGEST_REST_SECONDS: Final = 0.4
_LONGEST_QUERY: Final = 1024
_HOLDS_SECONDS: Final = 0.002

log = structlog.get_logger(__name__)


class Refusal(Protocol):
    """Why a request to these models (without names: any) would be refused now."""

    def __call__(self, names: tuple[str, ...], *, arriving: int) -> Overloaded | None:
        """None where there is room behind ``arriving`` others."""
        ...


@dataclass(slots=True)
class _Crowd:
    """Those who ask the same models: who was let in this turn, and how the others are refused.

    ``answer`` stands until ``until``: many ask within that time, and room does not come sooner.
    """

    names: tuple[str, ...]
    arriving: int = 0
    last: Overloaded | None = None
    answer: bytes = b""
    until: float = -1.0

    def refuse(self, error: Overloaded, *, until: float) -> bytes:
        """The answer from now on; its words are mostly those of the refusal before."""
        if self.last is None or (self.last.args, self.last.facts) != (error.args, error.facts):
            self.last, self.answer = error, _response(error)
        self.until = until
        return self.answer


class Shedding:
    """Knows which requests ask a model, and answers them while those models have too many.

    ``refused`` counts them. They have no line each in the log, but one a second together.
    ``rest_seconds``: so many were refused a moment ago that answering them all at once would leave
    the models too little of the processors; who asks again at once waits so long. 0 otherwise. It
    lasts while somebody rests: fewer come then, and as many as before if they need not.

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
        self._asking = dict.fromkeys(paths, _Crowd(()))
        self._refusal = refusal
        self._soon = soon
        self._clock = clock
        self._crowds: dict[tuple[str, ...], _Crowd] = {}
        self._pressed_until = -1.0
        self._told = (clock() - _TOLD_EACH_SECONDS, 0)
        self._counted = (clock(), 0)
        self.refused = 0
        self.rest_seconds = 0.0
        self._rested = False

    def now(self) -> float | None:
        """The time while the next requests are likely to be refused: one was a moment ago."""
        now = self._clock()
        return now if now < self._pressed_until else None

    def answer(self, method: bytes, url: bytes) -> bytes | None:
        """The answer to write instead of reading on, None to go on as always."""
        return self.answer_post(url, self._clock()) if method == b"POST" else None

    def answer_post(self, url: bytes, now: float) -> bytes | None:
        """The same for what was posted; most of a flood has its answer from a moment before."""
        crowd = self._asking.get(url) or self._crowd(url)
        if crowd is None:
            return None
        if now >= crowd.until:
            return self._ask(crowd, now)
        self.refused += 1
        return crowd.answer

    def _ask(self, crowd: _Crowd, now: float) -> bytes | None:
        """Whether they are refused now."""
        error = self._refusal(crowd.names, arriving=crowd.arriving)
        if error is None:
            self._let_in(crowd)
            return None
        self._pressed_until = now + _PRESSED_SECONDS
        self._count(now)
        return crowd.refuse(error, until=now + _HOLDS_SECONDS)

    def _crowd(self, url: bytes) -> _Crowd | None:
        """Those who ask as this URL with a query does; None where it asks no model."""
        path, _, query = url.partition(b"?")
        asking = self._asking.get(path)
        names = named_models(query)
        if asking is None or not names:
            return asking
        found = self._crowds.get(names)
        if found is None:
            if len(self._crowds) >= _MOST_CROWDS:  # names are the callers' words
                self._crowds.clear()
            found = self._crowds[names] = _Crowd(names)
        return found

    def _let_in(self, crowd: _Crowd) -> None:
        if not crowd.arriving:
            # this is called in the next turn, before the request itself goes on: once more, then
            self._soon(partial(self._in_next_turn, crowd))
        crowd.arriving += 1

    def _in_next_turn(self, crowd: _Crowd) -> None:
        self._soon(partial(setattr, crowd, "arriving", 0))

    def note_rest(self) -> None:
        """Somebody who asked again at once rests."""
        self._rested = True

    def _rest_after(self, refused: int, *, seconds: float) -> float:
        """The rest behind so many refusals: as long as it takes that they become fewer."""
        rate, before = refused / seconds, self.rest_seconds
        if rate > _MOST_A_SECOND:
            return min(before * rate / _MOST_A_SECOND, _LONGEST_REST_SECONDS) or _REST_SECONDS
        return before if self._rested and seconds < _LONGEST_COUNT_SECONDS else 0.0

    def _count(self, now: float) -> None:
        """One more, and how many there were of late."""
        self.refused += 1
        since, before = self._counted
        if now - since >= _COUNTED_SECONDS:
            self.rest_seconds = self._rest_after(self.refused - before, seconds=now - since)
            self._counted, self._rested = (now, self.refused), False
        when, count = self._told
        if now - when >= _TOLD_EACH_SECONDS:
            log.warning("overloaded: requests refused unread", count=self.refused - count)
            self._told = (now, self.refused)


def named_models(query: bytes) -> tuple[str, ...]:
    """The models that a query names, sorted; none where it is too long to be looked at here."""
    if b"model" not in query or len(query) > _LONGEST_QUERY:
        return ()
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return tuple(sorted({value for name, value in pairs if name == "model"}))


def asking_paths(routes: Iterable[Route]) -> frozenset[bytes]:
    """The paths that take a picture by POST, as they stand in a request."""
    return frozenset(
        route.path.encode()
        for route in routes
        if "{" not in route.path and route.needs.get("POST") is Need.PREDICT
    )


def _response(error: Overloaded) -> bytes:
    """The whole answer, without words on the connection."""
    body = msgspec.json.encode(problem_of(error))
    headers = (
        (b"content-type", PROBLEM_JSON.encode()),
        (b"cache-control", b"no-store"),
        (b"retry-after", str(error.facts.get("retry_after", 1)).encode()),
        (b"content-length", b"%d" % len(body)),
        *SECURITY_HEADERS,
    )
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    return STATUS_LINE[503] + lines + b"\r\n" + body
