"""What is recorded, where, and for how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPolicy:
    """``database`` is a PostgreSQL or SQLite URL; empty: SQLite in the state folder.

    ``keep_days`` 0 keeps predictions for ever; those with feedback are always kept. ``queue`` is
    how many predictions may wait to be written; past it they are dropped and counted.
    """

    enabled: bool = True
    database: str = ""
    keep_days: float = 0.0
    queue: int = 20_000
