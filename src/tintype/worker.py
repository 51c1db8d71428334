"""Which one of several processes this is, that serve the same models at one address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One of ``of`` processes, counted from 0, and the folder where each of them can be asked.

    The folder belongs to this family of processes and to its user alone, and goes with them. There
    is none where one process serves alone.
    """

    number: int = 0
    of: int = 1
    folder: Path | None = None


ALONE: Final = Worker()
"""The only process there is."""
