"""Drift: what is told, what is not, and the statistics against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2, ks_2samp, kstwobign

from tintype.record.drift import (
    MEASURES,
    Sample,
    chi_square_quantile,
    drift,
    ks_critical,
    ks_distance,
    psi,
)


def sample(random: np.random.Generator, count: int, *, mean: float = 0.5, dogs: float = 0.5):
    """Predictions whose measures lie around ``mean``, a share of them dogs."""
    measures = {what: list(random.normal(mean, 0.1, count)) for what in MEASURES}
    found = int(random.binomial(count, dogs))
    return Sample(measures=measures, labels={"dog": found, "cat": count - found})


def test_the_distance_is_that_of_kolmogorov_and_smirnov():
    """As SciPy has it, with ties and with unequal numbers."""
    random = np.random.default_rng(1)
    one = list(np.round(random.normal(0, 1, 120), 1))
    other = list(np.round(random.normal(0.3, 1, 77), 1))
    assert ks_2samp(one, other).statistic == pytest.approx(ks_distance(one, other))


def test_the_critical_distance_is_that_of_smirnovs_table():
    """The limit distribution's quantile: 1.95 at 0.001."""
    n, m = 300, 500
    expected = kstwobign.isf(0.001) * math.sqrt((n + m) / (n * m))
    assert expected == pytest.approx(ks_critical(n, m), rel=1e-3)


@pytest.mark.parametrize("degrees", [1, 2, 5, 20, 100])
def test_the_chi_square_quantile_is_near(degrees: int):
    """Within 3 % of SciPy's."""
    assert chi2.ppf(0.999, degrees) == pytest.approx(chi_square_quantile(0.999, degrees), rel=0.03)


def test_the_stability_index_by_hand():
    """Half and half before, a quarter and three quarters now: 0.25 ln 3."""
    index = psi({"cat": 5000, "dog": 5000}, {"cat": 2500, "dog": 7500})
    assert 0.25 * math.log(3) == pytest.approx(index, rel=1e-3)
    assert 0 == psi({"cat": 70}, {"cat": 70})


def test_too_few_predictions_say_nothing():
    """However different they look."""
    random = np.random.default_rng(2)
    few = sample(random, 40, mean=0.9, dogs=0.99)
    told = drift(sample(random, 400), few, name="the golden set")
    assert (False, ()) == (told.enough, told.findings)
    assert (400, 40) == (told.reference_count, told.recent_count)


@pytest.mark.parametrize("count", [50, 100, 400, 2000])
def test_chance_alone_hardly_ever_alarms(count: int):
    """The same source twice, 150 times: at most one of seven findings in a hundred is told."""
    random = np.random.default_rng(count)
    alarms = sum(
        len(drift(sample(random, 200), sample(random, count), name="x").told) for _ in range(150)
    )
    assert alarms <= 150 * 7 // 100


def test_darker_pictures_are_told_in_words():
    """With both means."""
    random = np.random.default_rng(3)
    before, now = sample(random, 2000), sample(random, 2000)
    measures = {**now.measures, "brightness": list(random.normal(0.3, 0.1, 2000))}
    told = drift(before, Sample(measures=measures, labels=now.labels), name="x").told
    assert ["brightness"] == [each.what for each in told]
    assert "strong" == told[0].strength
    assert "pictures are much darker: brightness is 30 % on average, was 50 %" == told[0].words


def test_the_class_mix_is_told_in_words():
    """Which label is how much, and what it was."""
    random = np.random.default_rng(4)
    now = sample(random, 1000)
    told = drift(
        Sample(measures=now.measures, labels={"dog": 500, "cat": 500}),
        Sample(measures=now.measures, labels={"dog": 310, "cat": 690}),
        name="x",
    ).told
    assert ["labels"] == [each.what for each in told]
    assert "'cat' is 69 % of the answers, was 50 %; 'dog' is 31 % of the answers, was 50 %" == (
        told[0].words
    )


def test_a_label_that_never_came_before_is_told():
    """Its share was nothing."""
    told = drift(
        Sample(measures={}, labels={"cat": 300}),
        Sample(measures={}, labels={"cat": 200, "bird": 100}),
        name="x",
    ).told
    assert "'bird' is 33 % of the answers, was 0 %" in told[0].words


def test_many_rare_labels_are_no_drift():
    """A thousand labels, each seen once or twice by chance."""
    random = np.random.default_rng(5)

    def labels() -> dict[str, int]:
        names, counts = np.unique(random.integers(0, 1000, 600), return_counts=True)
        return {str(name): int(count) for name, count in zip(names, counts, strict=True)}

    assert (
        ()
        == drift(
            Sample(measures={}, labels=labels()), Sample(measures={}, labels=labels()), name="x"
        ).told
    )


def test_a_change_that_is_certain_but_tiny_is_not_told():
    """Ten thousand pictures prove a difference that nobody would see."""
    random = np.random.default_rng(6)
    before = Sample(
        measures={"brightness": list(random.normal(0.50, 0.1, 10_000))}, labels={"a": 10_000}
    )
    now = Sample(
        measures={"brightness": list(random.normal(0.51, 0.1, 10_000))}, labels={"a": 10_000}
    )
    assert () == drift(before, now, name="x").told


def test_another_spread_around_the_same_mean_is_told():
    """The mean alone does not say it."""
    before = Sample(
        measures={"contrast": [0.5 + 0.01 * (i % 3 - 1) for i in range(300)]}, labels={"a": 300}
    )
    now = Sample(
        measures={"contrast": [0.5 + 0.4 * (i % 3 - 1) for i in range(300)]}, labels={"a": 300}
    )
    (told,) = drift(before, now, name="x").told
    assert "contrast is spread differently, around the same mean of 50 %" == told.words


def test_pictures_without_measures_leave_the_labels():
    """Predictions recorded before looks were, say."""
    before = Sample(measures={"brightness": [0.5] * 10}, labels={"a": 300})
    now = Sample(measures={"brightness": [0.9] * 300}, labels={"a": 300})
    assert ["labels"] == [each.what for each in drift(before, now, name="x").findings]
