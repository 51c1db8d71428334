"""An accuracy report as pages show it: rows and plots. Pure.

The dashboard and the report of an evaluation show the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tintype.record.accuracy import AccuracyReport, ClassFigures, Share, WeekShare
from tintype.record.calibration import Calibration
from tintype.web.plots import Column, Estimate, Level, Plot, columns, estimates, reliability

_MATRIX_LABELS: Final = 12
_CLASS_ROWS: Final = 30
_OTHERS: Final = "others"
_NOTHING: Final = "no label"
_SHADES: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """``shade`` 0..9: which part of its row's pictures the cell has. ``hit``: on the diagonal."""

    count: int
    shade: int
    hit: bool
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """The confusion matrix: right labels down, answers across. ``left``: labels put together."""

    answers: tuple[str, ...]
    rows: tuple[tuple[str, tuple[MatrixCell, ...]], ...]
    together: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything a page shows of an accuracy report; None where there is nothing to show.

    ``classes``: those with the lowest recall first, ``more_classes`` are not in it.
    """

    report: AccuracyReport
    classes: tuple[ClassFigures, ...]
    more_classes: int
    matrix: Matrix | None
    weeks: Plot | None
    reliability: Plot | None
    scores: Plot | None
    calibration_words: str


def figures(report: AccuracyReport) -> Figures:
    """Make the rows and plots."""
    by_recall = sorted(report.classes, key=_recall)
    return Figures(
        report=report,
        classes=tuple(by_recall[:_CLASS_ROWS]),
        more_classes=max(0, len(by_recall) - _CLASS_ROWS),
        matrix=_matrix(report),
        weeks=_weeks(report.weeks) if len(report.weeks) > 0 else None,
        reliability=_reliability(report.calibration) if report.calibration.bins else None,
        scores=_scores(report.calibration) if report.calibration.bins else None,
        calibration_words=_calibration_words(report.calibration),
    )


def share_title(share: Share) -> str:
    """``177 of 198, 95 % interval 84.3 to 93.0 %``."""
    return (
        f"{share.right} of {share.judged}, "
        f"95 % interval {share.low * 100:.1f} to {share.high * 100:.1f} %"
    )


def _recall(each: ClassFigures) -> float:
    return 2.0 if each.recall.value is None else each.recall.value


def _weeks(weeks: Sequence[WeekShare]) -> Plot:
    shown = [each for each in weeks if each.share.value is not None][-26:]
    last = shown[-1]
    return estimates(
        [
            Estimate(
                name=f"{each.week:%d %b}",
                value=each.share.value or 0.0,
                low=each.share.low,
                high=each.share.high,
                title=f"week of {each.week:%d %b %Y}: {(each.share.value or 0) * 100:.1f} %, "
                + share_title(each.share),
            )
            for each in shown
        ],
        words=f"Accuracy of {len(shown)} weeks; in the last, {(last.share.value or 0) * 100:.1f} "
        f"percent of {last.share.judged} judged",
    )


def _reliability(calibration: Calibration) -> Plot:
    return reliability(
        [
            Column(
                low=each.low,
                high=each.high,
                height=each.accuracy,
                ideal=each.mean_score,
                title=f"score {each.low:.1f} to {each.high:.1f}: {each.judged} answers, "
                f"mean score {each.mean_score * 100:.0f} %, {each.accuracy * 100:.0f} % right",
            )
            for each in calibration.bins
        ],
        words="Share that is right by score. " + _calibration_words(calibration),
    )


def _scores(calibration: Calibration) -> Plot:
    found = {round(each.low * 10): each for each in calibration.bins}
    levels = []
    for number in range(10):
        each = found.get(number)
        judged = each.judged if each else 0
        right = round(each.accuracy * each.judged) if each else 0
        levels.append(
            Level(
                name=f"{number * 10}-{number * 10 + 10} %",
                value=judged,
                part=right,
                title=f"score {number / 10:.1f} to {number / 10 + 0.1:.1f}: "
                f"{judged} answers, {right} right",
            )
        )
    return columns(levels, words="How many answers had which score, and how many were right")


def _calibration_words(calibration: Calibration) -> str:
    if calibration.error is None or calibration.bias is None:
        return ""
    points = abs(calibration.bias) * 100
    if points < 1:
        lean = "on the whole neither too sure nor too unsure"
    elif calibration.bias > 0:
        lean = f"on the whole {points:.0f} points surer than it is right"
    else:
        lean = f"on the whole {points:.0f} points less sure than it is right"
    return (
        f"Scores lie {calibration.error * 100:.1f} points from the share that is right "
        f"(expected calibration error); the model is {lean}."
    )


def _matrix(report: AccuracyReport) -> Matrix | None:
    if not report.confusion:
        return None
    weight: Counter[str] = Counter()
    for each in report.confusion:  # mistakes count more than hits: they are what is looked for
        by = each.count if each.right == each.answered else 1000 * each.count
        weight[each.right] += by
        if each.answered is not None:
            weight[each.answered] += by
    names = sorted(weight)
    kept = sorted(name for name, _ in weight.most_common(_MATRIX_LABELS))
    counts: Counter[tuple[str, str]] = Counter()
    hits: Counter[tuple[str, str]] = Counter()
    for each in report.confusion:
        right = each.right if each.right in kept else _OTHERS
        answered = _NOTHING if each.answered is None else each.answered
        answered = answered if answered in {*kept, _NOTHING} else _OTHERS
        counts[right, answered] += each.count
        hits[right, answered] += each.count if each.right == each.answered else 0
    rows = [name for name in (*kept, _OTHERS) if any(right == name for right, _ in counts)]
    answers = tuple(
        name
        for name in (*kept, _OTHERS, _NOTHING)
        if name in rows or any(answered == name for _, answered in counts)
    )
    return Matrix(
        answers=answers,
        rows=tuple((row, _row(row, answers, counts, hits)) for row in rows),
        together=max(0, len(names) - len(kept)),
    )


def _row(
    row: str,
    answers: Sequence[str],
    counts: Mapping[tuple[str, str], int],
    hits: Mapping[tuple[str, str], int],
) -> tuple[MatrixCell, ...]:
    total = sum(counts.get((row, answer), 0) for answer in answers)
    cells = []
    for answer in answers:
        count = counts.get((row, answer), 0)
        part = count / total if total else 0.0
        cells.append(
            MatrixCell(
                count=count,
                shade=0 if count == 0 else max(1, round(part * _SHADES)),
                hit=hits.get((row, answer), 0) > 0 and row == answer and row != _OTHERS,
                title=f"{count} of {total} pictures of {row} answered {answer} ({part:.0%})",
            )
        )
    return tuple(cells)
