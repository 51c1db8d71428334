"""Figures of accuracy, each with its interval, out of counts. Pure: no database, no clock.

Sources:
    interval: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
        JASA 22 (1927); recommended over others, for small counts too, by L. D. Brown, T. T. Cai
        and A. DasGupta, "Interval estimation for a binomial proportion", Statist. Sci. 16 (2001).
    precision, recall, F1: C. J. van Rijsbergen, "Information Retrieval", 2nd ed. (1979).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist, fmean
from typing import Final

from tintype.record.calibration import Calibration, calibrate
from tintype.record.outcomes import Counts, Hits

CONFIDENCE: Final = 0.95
"""Of a hundred such intervals, about 95 hold the true share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """``right`` of ``judged`` as a share 0..1, with the ends of its 95 % interval.

    ``value`` is None where nothing was judged; the interval is then the whole of 0..1.
    """

    value: float | None
    low: float
    high: float
    right: int
    judged: int


def share(right: int, judged: int, *, confidence: float = CONFIDENCE) -> Share:
    """A share with its Wilson score interval. ``0 <= right <= judged``."""
    if judged == 0:
        return Share(value=None, low=0.0, high=1.0, right=0, judged=0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p, shrink = right / judged, 1 + z * z / judged
    middle = (p + z * z / (2 * judged)) / shrink
    half = z / shrink * math.sqrt(p * (1 - p) / judged + z * z / (4 * judged * judged))
    return Share(
        value=p,
        low=0.0 if right == 0 else middle - half,
        high=1.0 if right == judged else middle + half,
        right=right,
        judged=judged,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TopShare:
    """How often the right label was among the first ``n``."""

    n: int
    share: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """One label: how its pictures fared (recall) and how its answers did (precision).

    ``f1`` is their harmonic mean, None where the label never came up.
    """

    label: str
    recall: Share
    precision: Share
    f1: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionCell:
    """``count`` pictures of ``right`` were answered ``answered`` (None: with no label)."""

    right: str
    answered: str | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionShare:
    """The accuracy of one version of a model."""

    model: str
    version: str
    share: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekShare:
    """The accuracy of the predictions of one week, named by its Monday (UTC)."""

    week: date
    share: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyReport:
    """Everything that is told about accuracy.

    ``balanced_accuracy``: mean recall of the labels that were right at least once. ``macro_f1``:
    mean F1 of all labels that came up. None where no right label is known.
    """

    accuracy: Share
    top: tuple[TopShare, ...]
    balanced_accuracy: float | None
    macro_f1: float | None
    classes: tuple[ClassFigures, ...]
    confusion: tuple[ConfusionCell, ...]
    calibration: Calibration
    versions: tuple[VersionShare, ...]
    weeks: tuple[WeekShare, ...]


def report(counts: Counts) -> AccuracyReport:
    """Every figure out of the counts."""
    classes = class_figures(counts.confusion)
    recalls = [each.recall.value for each in classes if each.recall.value is not None]
    f1s = [each.f1 for each in classes if each.f1 is not None]
    return AccuracyReport(
        accuracy=_of(counts.hits),
        top=tuple(TopShare(n=n, share=_of(hits)) for n, hits in sorted(counts.top.items())),
        balanced_accuracy=fmean(recalls) if recalls else None,
        macro_f1=fmean(f1s) if f1s else None,
        classes=classes,
        confusion=tuple(
            ConfusionCell(right=right, answered=answered, count=number)
            for (right, answered), number in sorted(
                counts.confusion.items(), key=lambda item: (-item[1], item[0][0], item[0][1] or "")
            )
        ),
        calibration=calibrate(counts.bins),
        versions=tuple(
            VersionShare(model=model, version=version, share=_of(hits))
            for (model, version), hits in sorted(counts.versions.items())
        ),
        weeks=tuple(
            WeekShare(week=week, share=_of(hits)) for week, hits in sorted(counts.weeks.items())
        ),
    )


def class_figures(
    confusion: Mapping[tuple[str, str | None], int],
) -> tuple[ClassFigures, ...]:
    """Recall, precision and F1 of every label that came up, by name."""
    of_right: dict[str, int] = {}
    of_answered: dict[str, int] = {}
    for (right, answered), number in confusion.items():
        of_right[right] = of_right.get(right, 0) + number
        if answered is not None:
            of_answered[answered] = of_answered.get(answered, 0) + number
    return tuple(
        _class(
            label,
            hits=confusion.get((label, label), 0),
            right=of_right.get(label, 0),
            answered=of_answered.get(label, 0),
        )
        for label in sorted(of_right.keys() | of_answered.keys())
    )


def _class(label: str, *, hits: int, right: int, answered: int) -> ClassFigures:
    return ClassFigures(
        label=label,
        recall=share(hits, right),
        precision=share(hits, answered),
        f1=2 * hits / (right + answered) if right + answered else None,
    )


def _of(hits: Hits) -> Share:
    return share(hits.right, hits.judged)
