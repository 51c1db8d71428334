"""When to leave a server alone. Pure: time is an argument."""

from __future__ import annotations


class Breaker:
    """Opens after some calls in a row without an answer, and lets one call try again later.

    A page that asks a server which hangs would otherwise wait the whole deadline, every time.
    """

    def __init__(self, *, after: int, seconds: float) -> None:
        self._after = after
        self._seconds = seconds
        self._failed = 0
        self._until = 0.0

    def open(self, now: float) -> bool:
        """Whether to leave the server alone. The first to ask after the rest is told to try."""
        if self._failed < self._after:
            return False
        if now < self._until:
            return True
        self._until = now + self._seconds
        return False

    def answered(self) -> None:
        """The server answered, whatever it said."""
        self._failed = 0

    def failed(self, now: float) -> None:
        """The server gave no answer."""
        self._failed += 1
        self._until = now + self._seconds
