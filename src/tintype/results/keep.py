"""How much of an answer is kept."""

from __future__ import annotations

from msgspec import Struct


class Keep(Struct, frozen=True, kw_only=True):
    """The best ``top`` entries, those scored below ``threshold`` (0..1) left out."""

    top: int
    threshold: float | None = None

    def allows(self, score: float) -> bool:
        """Whether a score is high enough."""
        return self.threshold is None or score >= self.threshold
