"""An accuracy report as rows and plots."""

from __future__ import annotations

from tintype.record.accuracy import report
from tintype.record.outcomes import count, outcome_of
from tintype.types import LabelScore
from tintype.web.figures import Figures, figures

WEEK_MS = 7 * 86_400_000


def told(*pairs: tuple[str, str], score: float = 0.9) -> Figures:
    """Figures of (right, answered) pairs, one a week."""
    outcomes = [
        outcome_of(
            (LabelScore(index=0, label=answered, score=score),) if answered else (),
            right=right,
            model="m",
            version="1",
            at_ms=number * WEEK_MS,
        )
        for number, (right, answered) in enumerate(pairs)
    ]
    return figures(report(count(outcomes)))


def test_a_small_matrix_is_whole():
    """Right labels down, answers across; the shade is the part of the row."""
    matrix = told(("cat", "cat"), ("cat", "dog"), ("cat", "cat"), ("dog", "dog")).matrix
    assert matrix is not None
    assert ("cat", "dog") == matrix.answers
    assert [("cat", [2, 1]), ("dog", [0, 1])] == [
        (name, [cell.count for cell in cells]) for name, cells in matrix.rows
    ]
    assert [6, 3] == [cell.shade for cell in matrix.rows[0][1]]
    assert [True, False] == [cell.hit for cell in matrix.rows[0][1]]
    assert "1 of 3 pictures of cat answered dog (33%)" == matrix.rows[0][1][1].title


def test_a_large_matrix_keeps_the_labels_with_mistakes():
    """The others are put together; no picture is lost."""
    right = [(f"label {number}", f"label {number}") for number in range(40)]
    wrong = [("label 7", "label 9")] * 3
    matrix = told(*right, *wrong).matrix
    assert matrix is not None
    assert {"label 7", "label 9", "others"} <= set(matrix.answers)
    assert 28 == matrix.together
    assert 43 == sum(cell.count for _, cells in matrix.rows for cell in cells)


def test_answers_without_a_label_have_their_own_column():
    """Nothing passed the threshold."""
    matrix = told(("cat", ""), ("cat", "cat")).matrix
    assert matrix is not None
    assert ("cat", "no label") == matrix.answers


def test_the_labels_that_fare_worst_come_first():
    """By recall; labels that never were right come last."""
    shown = told(("cat", "cat"), ("dog", "cat"), ("dog", "dog"), ("hen", "cow")).classes
    assert ["hen", "dog", "cat", "cow"] == [each.label for each in shown]


def test_calibration_is_told_in_words():
    """Surer than it is right, or less sure."""
    assert (
        "40 points surer than it is right" in told(("cat", "cat"), ("cat", "dog")).calibration_words
    )
    assert "10 points less sure" in told(("cat", "cat")).calibration_words


def test_weeks_are_a_plot_with_words():
    """Each with its title."""
    weeks = told(("cat", "cat"), ("cat", "dog")).weeks
    assert weeks is not None
    assert "Accuracy of 2 weeks; in the last, 0.0 percent of 1 judged" == weeks.words
    assert weeks.dots[0].title.startswith("week of 29 Dec 1969: 100.0 %, 1 of 1")


def test_nothing_judged_has_no_plots():
    """And no error."""
    shown = told()
    assert (None, None, None, None, ()) == (
        shown.matrix,
        shown.weeks,
        shown.reliability,
        shown.scores,
        shown.classes,
    )
