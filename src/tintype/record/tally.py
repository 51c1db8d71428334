"""What the record counts while it runs. Every number is written by one thread only."""

from __future__ import annotations

from tintype.record.ledger import Ledger
from tintype.record.values import RecordCounts


class Tally:
    """``taken`` and ``overflow`` belong to the event loop, the rest to the writer."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.taken = 0
        self.overflow = 0
        self.written = 0
        self.turned_down = 0
        self.lost = 0
        self.problem = ""

    def take(self) -> None:
        """One more prediction is in the queue."""
        self.taken += 1
        self._ledger.taken(self.taken)

    def find_lost(self) -> int:
        """How many predictions earlier runs took and did not write. Tells it once."""
        self.lost = self._ledger.take_lost()
        return self.lost

    def settle(self, *, written: int = 0, turned_down: int = 0) -> None:
        """So many are in the database, or will never be."""
        self.written += written
        self.turned_down += turned_down
        self._ledger.settled(self.written + self.turned_down)

    def counts(self) -> RecordCounts:
        """The numbers as they are now."""
        settled = self.written + self.turned_down
        return RecordCounts(
            waiting=max(0, self.taken - settled),
            written=self.written,
            dropped=self.overflow + self.turned_down,
            lost=self.lost,
            problem=self.problem,
        )
