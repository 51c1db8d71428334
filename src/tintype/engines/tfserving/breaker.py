"""The circuit breaker: a remote that fails again and again is left alone for a while.

Closed, every call passes. After some failures in a row it opens, and no call passes for a pause;
then one call is let through as a probe. Its success closes the breaker, its failure doubles the
pause. Time is an argument, in seconds of ``time.monotonic``; safe to use from several threads.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """``failures`` in a row open it; pauses in seconds grow from the first to the longest."""

    failures: int = 5
    first_pause: float = 1.0
    longest_pause: float = 30.0


class Breaker:
    """Says whether a call may be tried now; is told how each one ended."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._lock = threading.Lock()
        self._failures = 0
        self._pause = policy.first_pause
        self._open_until: float | None = None
        self._probing = False
        self.reason = ""
        """What the last failure was, in words."""

    def wait(self, now: float) -> float:
        """Seconds until a call may be tried; 0 lets this one through, to be told of its end."""
        with self._lock:
            if self._open_until is None:
                return 0.0
            left = self._open_until - now
            if left > 0:
                return left
            if self._probing:
                return self._pause
            self._probing = True
            return 0.0

    def is_open(self, now: float) -> bool:
        """Whether calls are kept back now; not when a probe is due."""
        with self._lock:
            return self._open_until is not None and (self._probing or self._open_until > now)

    def succeeded(self) -> None:
        """A call was answered: closed, whatever was before."""
        with self._lock:
            self._failures = 0
            self._pause = self._policy.first_pause
            self._open_until, self._probing = None, False

    def failed(self, now: float, reason: str) -> None:
        """A call got no answer."""
        with self._lock:
            self.reason = reason
            self._failures += 1
            if self._open_until is not None:
                if not self._probing:
                    return  # begun before it opened: says nothing new
                self._pause = min(2 * self._pause, self._policy.longest_pause)
            elif self._failures < self._policy.failures:
                return
            self._open_until, self._probing = now + self._pause, False

    def abandoned(self) -> None:
        """A call ended without saying anything of the remote: another may probe."""
        with self._lock:
            self._probing = False

    def trip(self, now: float, reason: str) -> None:
        """Something else than a call knows that the remote is not there: open, or stay open."""
        with self._lock:
            self.reason = reason
            if self._probing:
                return
            self._open_until = max(self._open_until or 0.0, now + self._pause)

    def probe_now(self, now: float) -> None:
        """Something else than a call knows that the remote is there again: try it now."""
        with self._lock:
            if self._open_until is not None:
                self._open_until = min(self._open_until, now)
