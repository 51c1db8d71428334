"""Admission by time: who cannot be answered soon is told so at once, before any work is done.

A line is kept for each model. It knows how many questions are at work or wait, and how often an
answer comes while there is something to do; the product is how long a newcomer would wait.

A burst may wait ``max_wait_seconds``. A line that has stood for that long is no burst: more comes
than can be answered, and a long line then makes everybody wait and answers nobody more. From
then on it is kept at a fifth, until it has been shorter than half of that for a second (the idea of
controlled delay, CoDel, RFC 8289: it is the standing queue that is bad, not the long one).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from tintype.errors import Overloaded

_ALWAYS: Final = 16
"""Questions let in whatever the estimate says: two batches, so that an engine never idles."""
_REMEMBERED: Final = 64
_STANDING_SHARE: Final = 0.2
_SHORT_SECONDS: Final = 1.0
"""How long a line must be short again before a burst may make it long: crowds come in gusts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionPolicy:
    """How long a burst may wait for a model, and how many questions may wait and be at work."""

    max_wait_seconds: float
    max_in_flight: int


class Line:
    """The questions to one model that are not answered yet. Belongs to one loop."""

    __slots__ = ("_each", "_full_since", "_in_flight", "_last", "_policy", "_seen", "_short_since")

    def __init__(self, policy: AdmissionPolicy) -> None:
        self._policy = policy
        self._in_flight = 0
        self._each = 0.0
        self._seen = 0
        self._last = 0.0
        self._full_since: float | None = None
        self._short_since: float | None = None

    @property
    def in_flight(self) -> int:
        """Questions at work or waiting."""
        return self._in_flight

    def wait_seconds(self, now: float, *, arriving: int = 0) -> float:
        """How long a newcomer behind ``arriving`` others would wait; 0 before the first answer.

        Answers come in batches. A pause longer than those make is a sign that the model, or the
        machine, has become slower, before the answers themselves can tell.
        """
        paused = (now - self._last) / _ALWAYS if self._in_flight and self._seen else 0.0
        return (self._in_flight + arriving) * max(self._each, paused)

    def is_full(self, now: float, *, arriving: int = 0) -> bool:
        """Whether a newcomer behind ``arriving`` others that were let in is refused."""
        ahead = self._in_flight + arriving
        if ahead >= self._policy.max_in_flight:
            return True
        if ahead < _ALWAYS:
            return False
        return self.wait_seconds(now, arriving=arriving) > self._longest(now)

    def enter(self, now: float, count: int) -> None:
        """Some more."""
        self._note_standing(now)
        if not self._in_flight:
            self._last = now
        self._in_flight += count
        self._note_standing(now)

    def answer(self, now: float) -> None:
        """One of them was answered, a moment after the one before."""
        self._seen = min(self._seen + 1, _REMEMBERED)
        self._each += (now - self._last - self._each) / self._seen
        self._last = now
        self.leave(now, 1)

    def leave(self, now: float, count: int) -> None:
        """Some left without an answer."""
        self._in_flight -= count
        self._note_standing(now)

    def _longest(self, now: float) -> float:
        most = self._policy.max_wait_seconds
        stands = self._full_since is not None and now - self._full_since > most
        return most * _STANDING_SHARE if stands else most

    def _note_standing(self, now: float) -> None:
        standing = self._policy.max_wait_seconds * _STANDING_SHARE
        wait = self.wait_seconds(now)
        if wait < standing / 2 or self._in_flight < _ALWAYS / 2:
            if self._short_since is None:
                self._short_since = now
            elif now - self._short_since >= _SHORT_SECONDS:
                self._full_since = None
            return
        self._short_since = None
        if self._full_since is None and wait >= standing:
            self._full_since = now


class Admission:
    """A line for each model."""

    def __init__(
        self, policy: AdmissionPolicy, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._lines: dict[str, Line] = {}
        self._held = 0

    def line(self, name: str) -> Line:
        """The line of a model."""
        found = self._lines.get(name)
        if found is None:
            found = self._lines[name] = Line(self._policy)
        return found

    def is_quiet(self, *, arriving: int = 0) -> bool:
        """Whether so few are asked, all models together, that nobody can be refused."""
        return self._held + arriving < min(_ALWAYS, self._policy.max_in_flight)

    def refusal(self, names: Iterable[str], *, arriving: int = 0) -> Overloaded | None:
        """Why a question to these models is refused: each of their lines is full.

        ``arriving`` questions were let in and do not stand in line yet.
        """
        now = self._clock()
        shortest: float | None = None
        for name in names:
            line = self.line(name)
            if not line.is_full(now, arriving=arriving):
                return None
            wait = line.wait_seconds(now)
            shortest = wait if shortest is None else min(shortest, wait)
        if shortest is None:
            return None
        return Overloaded(
            f"more is asked than can be answered: the wait would be {shortest:.1f} s",
            hint="try again later; the setting requests.max_wait_seconds moves the limit",
            retry_after=max(1, round(shortest)),
        )

    def enter(self, count: int) -> None:
        """Some more stand in the lines."""
        self._held += count

    def leave(self, count: int) -> None:
        """Some less do."""
        self._held -= count

    def hold(self, names: tuple[str, ...], *, each: int) -> Hold:
        """Stand in these lines, ``each`` times in every one, inside ``with``.

        Whether there is room is asked before, with ``refusal``. One that is full beside one that
        is not is entered all the same: its model has a bound of its own.
        """
        return Hold(self, self._clock, names, each)


class Hold:
    """Places in some lines, until they are left; to be entered once."""

    __slots__ = ("_admission", "_clock", "_each", "_left", "_names")

    def __init__(
        self, admission: Admission, clock: Callable[[], float], names: tuple[str, ...], each: int
    ) -> None:
        self._admission = admission
        self._clock = clock
        self._names = names
        self._each = each
        self._left: dict[str, int] = {}

    def answered(self, name: str) -> None:
        """One question to that model was answered."""
        self._left[name] -= 1
        self._admission.leave(1)
        self._admission.line(name).answer(self._clock())

    def __enter__(self) -> Self:
        now = self._clock()
        for name in self._names:
            self._left[name] = self._left.get(name, 0) + self._each  # two versions have one name
            self._admission.enter(self._each)
            self._admission.line(name).enter(now, self._each)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        now = self._clock()
        for name, count in self._left.items():
            if count:
                self._admission.leave(count)
                self._admission.line(name).leave(now, count)
