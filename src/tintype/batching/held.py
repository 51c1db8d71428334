"""Answers that an engine's thread keeps for a moment, to hand several to the loop at once.

Waking the loop for one answer costs a multiple of what another one costs beside it: the run of an
engine has driven all of the loop's code out of the processor's caches. So while more than enough
wait for the engine, a few short runs are answered together.
"""

from __future__ import annotations

from typing import Final

from tintype.batching.running import Outcome

AHEAD: Final = 6
"""Batches of one that a thread is given at a time: those it answers together, and the next."""
_TOGETHER: Final = 4
_MOST_SECONDS: Final = 0.03
"""The longest that an answer is kept: a fraction of what its asker has waited in such a line."""
_LEFT_SECONDS: Final = 1.0


class Held:
    """The answers of some batches, by one thread."""

    __slots__ = ("_since", "batches", "outcomes")

    def __init__(self) -> None:
        self.batches = 0
        self.outcomes: list[Outcome] = []
        self._since: float | None = None

    def add(self, outcomes: list[Outcome]) -> None:
        """The answers of one more batch."""
        self.batches += 1
        self.outcomes += outcomes

    def waits(self, begun: float, ended: float, *, more: int) -> bool:
        """Whether those of the next batch should come first.

        ``begun`` and ``ended`` are those of the last run, in seconds: the next will take as long,
        or a little longer, so that an answer whose deadline is near is not kept. ``more`` batches
        wait for this and other threads of the engine; one is left for when the loop is busy with
        the answers.
        """
        if self._since is None:
            self._since = ended
        together = 2 * ended - begun - self._since  # when the next has ended
        if not (more > 1 and self.batches < _TOGETHER and together < _MOST_SECONDS):
            return False
        near = ended + _LEFT_SECONDS
        return all(entry.deadline is None or entry.deadline > near for entry, _ in self.outcomes)
