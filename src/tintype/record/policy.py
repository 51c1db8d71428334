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


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturePolicy:
    """Whether pictures are kept, where, and for how long.

    ``place`` is a folder or ``s3://BUCKET/PREFIX``; empty: ``pictures`` in the state folder.
    ``endpoint`` is the address of an S3-compatible store. Past ``keep_days`` or ``max_mib`` the
    oldest go.
    """

    keep: bool = False
    place: str = ""
    endpoint: str = "https://s3.amazonaws.com"
    keep_days: float = 30.0
    max_mib: int = 1024
