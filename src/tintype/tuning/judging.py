"""Whether another precision still gives the model's answers. Pure.

Two bars: it names the same first label as f32 for at least 99 of 100 pictures; and where the right
labels are known, no more than half a point of accuracy is lost. For detectors the strongest box
counts: the same label, and a place that is shared (intersection over union) by half or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tintype.models.host import Found
from tintype.record.accuracy import Share, share
from tintype.types import Box, LabelScore

AGREEMENT: Final = 0.99
MOST_LOST: Final = 0.005
LEAST_JUDGED: Final = 20
"""With fewer pictures an agreement says nothing."""
SAME_PLACE: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Top:
    """The first thing a model says of a picture: a label, a box, or nothing (both None)."""

    label: LabelScore | None = None
    box: Box | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One picture: what f32 says, what the other precision says, and what is right if known."""

    plain: Top
    other: Top
    right: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How a precision compares with f32: shares with intervals, and why it may not be used.

    ``accuracy`` and ``plain_accuracy`` are over the pictures whose label is known. ``refused`` is
    empty where it may be used.
    """

    agreement: Share
    accuracy: Share
    plain_accuracy: Share
    refused: str = ""


def top_of(found: Found) -> Top:
    """The first label, or the box with the highest score."""
    if found.boxes:
        return Top(box=max(found.boxes, key=lambda box: box.score))
    return Top(label=found.labels[0]) if found.labels else Top()


def same(one: Top, other: Top) -> bool:
    """Whether both say the same."""
    if one.box is not None and other.box is not None:
        return one.box.index == other.box.index and overlap(one.box, other.box) >= SAME_PLACE
    if one.label is not None and other.label is not None:
        return one.label.index == other.label.index
    return one == other  # both say nothing


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0..1."""
    width = min(one.x2, other.x2) - max(one.x1, other.x1)
    height = min(one.y2, other.y2) - max(one.y1, other.y1)
    both = max(0.0, width) * max(0.0, height)
    total = _area(one) + _area(other) - both
    return both / total if total > 0 else 0.0


def judge(asked: Sequence[Asked]) -> Judgement:
    """Count, and hold the counts to both bars."""
    known = [each for each in asked if each.right is not None]
    agreement = share(sum(same(each.plain, each.other) for each in asked), len(asked))
    plain = share(sum(_right(each.plain, each.right) for each in known), len(known))
    other = share(sum(_right(each.other, each.right) for each in known), len(known))
    return Judgement(
        agreement=agreement,
        accuracy=other,
        plain_accuracy=plain,
        refused=_refusal(agreement, plain, other),
    )


def _refusal(agreement: Share, plain: Share, other: Share) -> str:
    if agreement.judged < LEAST_JUDGED:
        return (
            f"only {agreement.judged} pictures to judge it by, at least {LEAST_JUDGED} are needed"
        )
    # compared as counts: 99 of 100 must pass whatever a float makes of 0.99
    if agreement.right < AGREEMENT * agreement.judged - 1e-9:
        missed = agreement.judged - agreement.right
        return (
            f"it says something else than f32 for {missed} of {agreement.judged} pictures; "
            f"at least {AGREEMENT * 100:g} % must agree"
        )
    if other.right < plain.right - MOST_LOST * plain.judged - 1e-9:
        return (
            f"it is right {other.right} times of {other.judged} where f32 is {plain.right} times; "
            f"at most {MOST_LOST * 100:g} points may be lost"
        )
    return ""


def _right(top: Top, right: str | None) -> bool:
    told = top.label or top.box
    return told is not None and told.label == right


def _area(box: Box) -> float:
    return max(0.0, box.x2 - box.x1) * max(0.0, box.y2 - box.y1)
