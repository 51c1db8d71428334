"""Whether the older routes are there, and what they keep in memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatPolicy:
    """``enabled`` switches the routes on.

    ``score_seconds`` is how long a score page and its picture can be looked at, ``score_bytes``
    the most bytes of such pictures at once, ``score_pages`` the most pages. ``swapped_boxes``
    gives the corners of ``hit_box`` as the first gateway did, which took y for x.
    """

    enabled: bool = False
    score_seconds: float = 300.0
    score_bytes: int = 64 << 20
    score_pages: int = 256
    swapped_boxes: bool = False
