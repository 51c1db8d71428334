"""Figures against cases worked by hand, and against scikit-learn and SciPy."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from tintype.record.accuracy import report, share
from tintype.record.outcomes import count, outcome_of
from tintype.types import LabelScore

NAMES = ("bird", "cat", "cow", "dog")


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    """A softmax over four labels for 600 pictures."""
    logits = np.random.default_rng(7).normal(0, 2, (600, len(NAMES)))
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def right(scores: np.ndarray) -> list[str]:
    """What is right: the best label, but for some."""
    chance = random.Random(7)
    return [
        NAMES[int(row.argmax())] if chance.random() < 0.7 else chance.choice(NAMES)
        for row in scores
    ]


@pytest.fixture(scope="module")
def judged(scores: np.ndarray, right: list[str]) -> list:
    return [
        outcome_of(_ranked(row), right=name, model="m", version="1", at_ms=0)
        for row, name in zip(scores, right, strict=True)
    ]


def _ranked(row: np.ndarray) -> tuple[LabelScore, ...]:
    order = np.argsort(-row)
    return tuple(LabelScore(index=int(i), label=NAMES[i], score=float(row[i])) for i in order)


@pytest.fixture(scope="module")
def told(judged: list):
    return report(count(judged, tops=(1, 2, 3)))


@pytest.mark.parametrize(
    ("hits", "of"), [(0, 1), (1, 1), (0, 20), (20, 20), (177, 198), (3, 7), (1, 10000)]
)
def test_the_interval_is_wilsons(hits: int, of: int):
    """As SciPy has it."""
    expected = binomtest(hits, of).proportion_ci(method="wilson")
    got = share(hits, of)
    assert (expected.low, expected.high) == pytest.approx((got.low, got.high), abs=1e-12)
    assert hits / of == got.value


def test_the_interval_of_the_bundled_model():
    """177 of 198, as docs/models/cats-dogs.md tells it: 84.3 to 93.0 %."""
    got = share(177, 198)
    assert ("84.3", "93.0") == (f"{got.low * 100:.1f}", f"{got.high * 100:.1f}")


def test_nothing_judged_is_known_as_nothing():
    """No value, and an interval that says so."""
    got = share(0, 0)
    assert (None, 0.0, 1.0) == (got.value, got.low, got.high)


def test_accuracy_is_that_of_scikit_learn(told, judged, right):
    """Top 1, and the mean over labels."""
    answered = [each.answered for each in judged]
    assert accuracy_score(right, answered) == pytest.approx(told.accuracy.value)
    assert balanced_accuracy_score(right, answered) == pytest.approx(told.balanced_accuracy)
    assert f1_score(right, answered, average="macro") == pytest.approx(told.macro_f1)


def test_top_n_is_that_of_scikit_learn(told, scores, right):
    """For N of 1, 2 and 3."""
    expected = [top_k_accuracy_score(right, scores, k=n, labels=NAMES) for n in (1, 2, 3)]
    assert expected == pytest.approx([each.share.value for each in told.top])


def test_figures_of_each_label_are_those_of_scikit_learn(told, judged, right):
    """Precision, recall, F1 and support."""
    answered = [each.answered for each in judged]
    expected = precision_recall_fscore_support(right, answered, labels=NAMES)
    assert list(NAMES) == [each.label for each in told.classes]
    assert list(expected[0]) == pytest.approx([each.precision.value for each in told.classes])
    assert list(expected[1]) == pytest.approx([each.recall.value for each in told.classes])
    assert list(expected[2]) == pytest.approx([each.f1 for each in told.classes])
    assert list(expected[3]) == [each.recall.judged for each in told.classes]


def test_reliability_is_that_of_scikit_learn(told, judged):
    """Mean score and share right of each bin."""
    right = [each.correct for each in judged]
    first = [each.score for each in judged]
    shares, means = calibration_curve(right, first, n_bins=10)
    assert list(shares) == pytest.approx([each.accuracy for each in told.calibration.bins])
    assert list(means) == pytest.approx([each.mean_score for each in told.calibration.bins])


def test_calibration_by_hand():
    """Four answers of score 0.9, three right; one of 0.3, right: |0.9-0.75|*0.8 + 0.7*0.2."""
    answers = [("cat", 0.9)] * 3 + [("dog", 0.9), ("cat", 0.3)]
    judged = [
        outcome_of(
            (LabelScore(index=0, label="cat", score=score),),
            right=right,
            model="m",
            version="1",
            at_ms=0,
        )
        for right, score in answers
    ]
    calibration = report(count(judged)).calibration
    assert 0.26 == pytest.approx(calibration.error)
    assert -0.02 == pytest.approx(calibration.bias)


def test_figures_by_hand():
    """Cats: 8 right, 2 called dog. Dogs: 5 right, 1 called cat. A cow is called dog."""
    pairs = (
        [("cat", "cat")] * 8
        + [("cat", "dog")] * 2
        + [("dog", "dog")] * 5
        + [("dog", "cat"), ("cow", "dog")]
    )
    judged = [
        outcome_of(
            (LabelScore(index=0, label=answered, score=0.5),),
            right=right,
            model="m",
            version="1",
            at_ms=0,
        )
        for right, answered in pairs
    ]
    told = report(count(judged))
    cat, cow, dog = told.classes
    assert (8 / 10, 8 / 9, 16 / 19) == (cat.recall.value, cat.precision.value, cat.f1)
    assert (5 / 6, 5 / 8, 10 / 14) == (dog.recall.value, dog.precision.value, dog.f1)
    assert (0.0, None, 0.0) == (cow.recall.value, cow.precision.value, cow.f1)
    assert 13 / 17 == told.accuracy.value
    assert (8 / 10 + 5 / 6 + 0) / 3 == pytest.approx(told.balanced_accuracy)
    assert [("cat", "cat", 8), ("dog", "dog", 5), ("cat", "dog", 2)] == [
        (each.right, each.answered, each.count) for each in told.confusion[:3]
    ]


def test_a_report_of_nothing_has_no_figures():
    """And raises nothing."""
    told = report(count([]))
    assert (None, None, None, None) == (
        told.accuracy.value,
        told.balanced_accuracy,
        told.macro_f1,
        told.calibration.error,
    )
