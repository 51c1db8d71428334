"""Counting judged predictions, against counts made by hand."""

from __future__ import annotations

from datetime import date

import pytest

from tintype.record.outcomes import Hits, Outcome, ScoreBin, count, outcome_of, week_begins, week_of
from tintype.types import LabelScore


def answer(*names: str, score: float = 0.6) -> tuple[LabelScore, ...]:
    """An answer with these labels, best first."""
    return tuple(
        LabelScore(index=index, label=name, score=score / (index + 1))
        for index, name in enumerate(names)
    )


def judged(right: str, *names: str, score: float = 0.6, version: str = "1", at_ms: int = 0):
    return outcome_of(
        answer(*names, score=score), right=right, model="m", version=version, at_ms=at_ms
    )


def test_an_answer_is_judged_by_the_place_of_the_right_label():
    """Rank 1 is correct; a label that is not listed has no rank."""
    first = judged("cat", "cat", "dog")
    assert (1, True, 2, "cat", 0.6) == (
        first.rank,
        first.correct,
        first.listed,
        first.answered,
        first.score,
    )
    assert (2, False) == (judged("dog", "cat", "dog").rank, judged("dog", "cat", "dog").correct)
    assert judged("cow", "cat", "dog").rank is None


def test_an_answer_without_labels_is_wrong():
    """Nothing passed the threshold."""
    empty = outcome_of((), right="cat", model="m", version="1", at_ms=0)
    counts = count([empty])
    assert Hits(right=0, judged=1) == counts.hits
    assert {("cat", None): 1} == counts.confusion
    assert () == counts.bins


def test_top_n_counts_answers_that_have_n_labels():
    """An answer of two labels says nothing about the first five."""
    counts = count([judged("dog", "cat", "dog"), judged("cat", "cat", "dog")], tops=(1, 2, 5))
    assert {1: Hits(right=1, judged=2), 2: Hits(right=2, judged=2), 5: Hits(right=0, judged=0)} == (
        counts.top
    )


def test_wrong_without_a_right_label_counts_as_wrong_alone():
    """It is in no confusion, and its rank is not known."""
    wrong = Outcome(
        model="m",
        version="1",
        at_ms=0,
        right=None,
        answered="cat",
        score=0.9,
        rank=None,
        listed=2,
    )
    counts = count([wrong, judged("cat", "cat", "dog")])
    assert Hits(right=1, judged=2) == counts.hits
    assert Hits(right=1, judged=1) == counts.top[1]
    assert {("cat", "cat"): 1} == counts.confusion


def test_scores_fall_into_ten_bins_closed_above():
    """0.2 belongs to the second bin, 0 to the first."""
    counts = count([judged("cat", "cat", score=score) for score in (0.0, 0.1, 0.2, 0.21, 1.0)])
    assert (
        ScoreBin(low=0.0, high=0.1, judged=2, score_sum=0.1, right=2),
        ScoreBin(low=0.1, high=0.2, judged=1, score_sum=0.2, right=1),
        ScoreBin(low=0.2, high=0.3, judged=1, score_sum=0.21, right=1),
        ScoreBin(low=0.9, high=1.0, judged=1, score_sum=1.0, right=1),
    ) == counts.bins


@pytest.mark.parametrize(
    ("at_ms", "monday"),
    [
        (0, date(1969, 12, 29)),
        (1_735_776_000_000, date(2024, 12, 30)),  # Thursday, 2nd of January 2025
        (1_736_121_599_999, date(2024, 12, 30)),  # the last millisecond of Sunday
        (1_736_121_600_000, date(2025, 1, 6)),
    ],
)
def test_weeks_begin_on_monday(at_ms: int, monday: date):
    """As in ISO 8601, in UTC."""
    assert monday == week_of(at_ms)
    assert 0 == monday.weekday()


def test_weeks_are_numbered_from_the_first_monday_of_1970():
    """Databases count them by whole-number division."""
    assert [date(1970, 1, 5), date(1970, 1, 12)] == [week_begins(0), week_begins(1)]


def test_weeks_and_versions_are_counted_apart():
    """Each with its own hits."""
    counts = count(
        [
            judged("cat", "cat", version="1", at_ms=1_735_776_000_000),
            judged("cat", "dog", version="2", at_ms=1_736_121_600_000),
            judged("dog", "dog", version="2", at_ms=1_736_121_600_001),
        ]
    )
    assert {("m", "1"): Hits(right=1, judged=1), ("m", "2"): Hits(right=1, judged=2)} == (
        counts.versions
    )
    assert {
        date(2024, 12, 30): Hits(right=1, judged=1),
        date(2025, 1, 6): Hits(right=1, judged=2),
    } == counts.weeks
