"""How much of an answer is kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """The best ``top`` entries, those scored below ``threshold`` (0..1) left out."""

    top: int
    threshold: float | None = None

    def allows(self, score: float) -> bool:
        """Whether a score is high enough."""
        return self.threshold is None or score >= self.threshold
