"""Whether what comes in, or what is answered, is no longer what it was. Pure; told in words.

Sources:
    pictures and scores: two-sample Kolmogorov-Smirnov test; its critical value for large samples
        after N. Smirnov, "Table for estimating the goodness of fit of empirical distributions",
        Ann. Math. Statist. 19 (1948).
    labels: population stability index, sum of (p - q) ln(p / q); N. Siddiqi, "Credit Risk
        Scorecards" (2006) calls 0.1 to 0.25 a moderate change and more a large one. For small
        samples chance alone exceeds that: B. Yurdakul and J. Naranjo, "Statistical properties of
        the population stability index", J. Risk Model Validation 14 (2020): without any change,
        PSI / (1/n + 1/m) is distributed as chi-square with one degree less than there are labels.
    chi-square quantile: E. B. Wilson and M. M. Hilferty, "The distribution of chi-square", PNAS 17
        (1931).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import Final, Literal, TypeAlias

import numpy as np

ALPHA: Final = 0.001
"""How rarely chance alone may pass for a change, in each of the things that are watched."""

FEWEST: Final = 50
"""Below so many predictions, on either side, nothing is said about drift."""

_KS_SMALLEST: Final = 0.2
"""A distance below this is no change worth telling, however many pictures prove it."""
_KS_LARGE: Final = 0.4
_PSI_SMALLEST: Final = 0.1
_PSI_LARGE: Final = 0.25
_FEWEST_EXPECTED: Final = 5.0  # Cochran's rule for chi-square: rarer labels are put together
_SHIFT_TOLD: Final = 0.05

Strength: TypeAlias = Literal["none", "some", "strong"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What some predictions of one model version were like.

    ``measures``: name of a measure (see ``MEASURES``) to its values, one a prediction. ``labels``:
    how often each label came first.
    """

    measures: Mapping[str, Sequence[float]]
    labels: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was watched: how far it moved, and in words.

    ``statistic``: the Kolmogorov-Smirnov distance 0..1, for labels the PSI. ``critical``: what
    must be passed to be told as a change. ``words`` is empty where ``strength`` is none.
    """

    what: str
    statistic: float
    critical: float
    strength: Strength
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How the latest predictions differ from the reference.

    ``enough`` is False while there are too few of either to say anything; ``findings`` is then
    empty.
    """

    reference: str
    reference_count: int
    recent_count: int
    enough: bool
    findings: tuple[Finding, ...]

    @property
    def told(self) -> tuple[Finding, ...]:
        """What has changed, the strongest first."""
        changed = [each for each in self.findings if each.strength != "none"]
        return tuple(sorted(changed, key=lambda each: -each.statistic / each.critical))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measure:
    """How a measure is told: words for more and for less of it, and its unit.

    ``percent``: a value 0..1, else megapixels.
    """

    more: str
    less: str
    percent: bool = True

    def shown(self, value: float) -> str:
        return f"{value * 100:.0f} %" if self.percent else f"{value:.2g} megapixels"


MEASURES: Final[Mapping[str, _Measure]] = {
    "brightness": _Measure(more="pictures are {}brighter", less="pictures are {}darker"),
    "contrast": _Measure(
        more="pictures have {}more contrast", less="pictures have {}less contrast"
    ),
    "colour": _Measure(more="pictures are {}more colourful", less="pictures are {}less colourful"),
    "detail": _Measure(
        more="pictures have {}more fine detail or noise",
        less="pictures are {}smoother or more blurred",
    ),
    "size": _Measure(more="pictures are {}larger", less="pictures are {}smaller", percent=False),
    "score": _Measure(more="the model is {}surer", less="the model is {}less sure"),
}
"""Everything that is measured of a prediction: the picture's look, its megapixels, and the score
of the first label."""


def drift(reference: Sample, recent: Sample, *, name: str, fewest: int = FEWEST) -> Drift:
    """Compare the latest predictions with a reference that is called ``name`` in words."""
    before, now = reference.labels.values(), recent.labels.values()
    counts = (sum(before), sum(now))
    if min(counts) < fewest:
        return Drift(
            reference=name,
            reference_count=counts[0],
            recent_count=counts[1],
            enough=False,
            findings=(),
        )
    measured = [
        _measure_finding(what, reference.measures[what], recent.measures[what], fewest=fewest)
        for what in MEASURES
        if what in reference.measures and what in recent.measures
    ]
    return Drift(
        reference=name,
        reference_count=counts[0],
        recent_count=counts[1],
        enough=True,
        findings=(
            *(each for each in measured if each is not None),
            _label_finding(reference.labels, recent.labels),
        ),
    )


def ks_distance(one: Sequence[float], other: Sequence[float]) -> float:
    """Largest difference between the two samples' cumulative shares, 0..1. Neither is empty."""
    first, second = np.sort(one), np.sort(other)
    values = np.concatenate([first, second])
    below = np.searchsorted(first, values, side="right") / len(first)
    other_below = np.searchsorted(second, values, side="right") / len(second)
    return float(np.abs(below - other_below).max())


def ks_critical(n: int, m: int, *, alpha: float = ALPHA) -> float:
    """The distance that chance alone passes with probability ``alpha`` (large samples)."""
    return math.sqrt(-math.log(alpha / 2) / 2 * (n + m) / (n * m))


def psi(reference: Mapping[str, int], recent: Mapping[str, int]) -> float:
    """Population stability index of two counts over the same names.

    Half a count is added to each, so that a name that never came does not make it infinite.
    """
    names = reference.keys() | recent.keys()
    n, m = (sum(counts.values()) + len(names) / 2 for counts in (reference, recent))
    shares = [
        ((reference.get(name, 0) + 0.5) / n, (recent.get(name, 0) + 0.5) / m) for name in names
    ]
    return sum((q - p) * math.log(q / p) for p, q in shares)


def psi_critical(names: int, n: int, m: int, *, alpha: float = ALPHA) -> float:
    """The PSI that chance alone passes with probability ``alpha``, over ``names`` names."""
    return chi_square_quantile(1 - alpha, names - 1) * (1 / n + 1 / m) if names > 1 else math.inf


def chi_square_quantile(probability: float, degrees: int) -> float:
    """Quantile of the chi-square distribution, within 3 % in the upper tail (Wilson, Hilferty)."""
    spread = 2 / (9 * degrees)
    root = 1 - spread + NormalDist().inv_cdf(probability) * math.sqrt(spread)
    return degrees * root**3


def _measure_finding(
    what: str, before: Sequence[float], now: Sequence[float], *, fewest: int
) -> Finding | None:
    if min(len(before), len(now)) < fewest:  # pictures recorded before this was measured
        return None
    distance = ks_distance(before, now)
    critical = max(_KS_SMALLEST, ks_critical(len(before), len(now)))
    strength = _strength(distance, critical=critical, large=_KS_LARGE)
    words = "" if strength == "none" else _measure_words(what, before, now, strength)
    return Finding(what=what, statistic=distance, critical=critical, strength=strength, words=words)


def _measure_words(
    what: str, before: Sequence[float], now: Sequence[float], strength: Strength
) -> str:
    measure, was, mean = MEASURES[what], fmean(before), fmean(now)
    if measure.shown(was) == measure.shown(mean):
        return f"{what} is spread differently, around the same mean of {measure.shown(mean)}"
    change = measure.more if mean > was else measure.less
    words = change.format("much " if strength == "strong" else "")
    return f"{words}: {what} is {measure.shown(mean)} on average, was {measure.shown(was)}"


def _label_finding(reference: Mapping[str, int], recent: Mapping[str, int]) -> Finding:
    before, now = _pooled(reference, recent)
    n, m = sum(before.values()), sum(now.values())
    index = psi(before, now)
    critical = max(_PSI_SMALLEST, psi_critical(len(before.keys() | now.keys()), n, m))
    strength = _strength(index, critical=critical, large=_PSI_LARGE)
    words = "" if strength == "none" else _label_words(reference, recent)
    return Finding(
        what="labels", statistic=index, critical=critical, strength=strength, words=words
    )


def _pooled(
    reference: Mapping[str, int], recent: Mapping[str, int]
) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Both counts with the labels put together that are too rare to compare."""
    n, m = sum(reference.values()), sum(recent.values())
    part = min(n, m) / (n + m)
    before: Counter[str] = Counter()
    now: Counter[str] = Counter()
    for name in reference.keys() | recent.keys():
        both = reference.get(name, 0) + recent.get(name, 0)
        pool = name if both * part >= _FEWEST_EXPECTED else ""
        before[pool] += reference.get(name, 0)
        now[pool] += recent.get(name, 0)
    return before, now


def _label_words(reference: Mapping[str, int], recent: Mapping[str, int]) -> str:
    """The labels that moved most: ``'dog' is 31 % of the answers, was 50 %``."""
    n, m = sum(reference.values()), sum(recent.values())
    moves = {
        name: recent.get(name, 0) / m - reference.get(name, 0) / n
        for name in reference.keys() | recent.keys()
    }
    most = sorted(moves, key=lambda name: (-round(abs(moves[name]), 9), name))
    told = [name for name in most[:3] if abs(moves[name]) >= _SHIFT_TOLD] or most[:1]
    return "; ".join(
        f"'{name}' is {recent.get(name, 0) / m:.0%} of the answers, "
        f"was {reference.get(name, 0) / n:.0%}".replace("%", " %")
        for name in told
    )


def _strength(statistic: float, *, critical: float, large: float) -> Strength:
    if statistic <= critical:
        return "none"
    return "strong" if statistic >= max(large, critical) else "some"
