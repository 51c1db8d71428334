"""When another precision is as good as f32, and when it is not."""

from __future__ import annotations

import pytest

from tintype.models.host import Found
from tintype.tuning.judging import Asked, Top, judge, overlap, same, top_of
from tintype.types import Box, LabelScore

CAT = Top(label=LabelScore(index=0, label="cat", score=0.9))
DOG = Top(label=LabelScore(index=1, label="dog", score=0.6))


def box(x: float = 0, *, index: int = 0, score: float = 0.9) -> Box:
    """Ten by ten pixels."""
    return Box(index=index, label=f"thing {index}", score=score, x1=x, y1=0, x2=x + 10, y2=10)


def asked(agreeing: int, missed: int, *, right: str | None = None) -> list[Asked]:
    """f32 says cat each time."""
    return [Asked(plain=CAT, other=CAT, right=right)] * agreeing + [
        Asked(plain=CAT, other=DOG, right=right)
    ] * missed


@pytest.mark.parametrize(
    ("agreeing", "missed", "holds"),
    [(20, 0, True), (19, 0, False), (98, 1, False), (99, 1, True), (198, 2, True), (197, 3, False)],
)
def test_99_of_100_must_agree(agreeing: int, missed: int, holds):
    """And at least 20 must be asked: fewer say nothing."""
    assert holds is not bool(judge(asked(agreeing, missed)).refused)


def test_a_refusal_has_the_numbers():
    """In words that can go into a card."""
    assert "something else than f32 for 5 of 100 pictures" in judge(asked(95, 5)).refused
    assert "only 3 pictures" in judge(asked(3, 0)).refused


def test_accuracy_may_fall_by_half_a_point():
    """Of 1000 known pictures five fewer may be right, not six, however many agree."""
    for lost, holds in ((5, True), (6, False)):
        judged = judge(asked(1000 - lost, lost, right="cat"))
        assert holds is not bool(judged.refused)
        assert (1000, 1000 - lost) == (judged.plain_accuracy.right, judged.accuracy.right)


def test_a_better_precision_is_no_worse():
    """Where f32 was wrong, the other may be right; only agreement counts against it."""
    judged = judge(asked(199, 1, right="dog"))
    assert "" == judged.refused
    assert (0, 1) == (judged.plain_accuracy.right, judged.accuracy.right)


def test_without_known_labels_there_is_no_accuracy():
    """Nothing is made up."""
    assert judge(asked(50, 0)).accuracy.value is None


def test_labels_agree_by_their_number_not_their_score():
    """The score moves a little in every precision."""
    surer = Top(label=LabelScore(index=0, label="cat", score=0.2))
    assert same(CAT, surer)
    assert not same(CAT, DOG)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (box(), box(3), True),
        (box(), box(4), False),
        (box(), box(index=1), False),
        (box(), None, False),
        (None, None, True),
    ],
)
def test_boxes_agree_in_label_and_place(one: Box | None, other: Box | None, expected):
    """Half of what both cover is covered by both; nothing found agrees with nothing found."""
    assert expected is same(Top(box=one), Top(box=other))


def test_overlap_of_boxes():
    """Intersection over union, by hand: 7 x 10 of 130."""
    assert 70 / 130 == overlap(box(), box(3))
    assert 0.0 == overlap(box(), box(50))


def test_the_strongest_box_counts():
    """In whatever order they come."""
    assert box(5, score=0.8) == top_of(Found(boxes=(box(score=0.4), box(5, score=0.8)))).box
    assert Top() == top_of(Found(boxes=()))
    assert CAT == top_of(Found(labels=(CAT.label, DOG.label)))
