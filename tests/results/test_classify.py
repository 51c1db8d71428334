"""Raw numbers become labels with scores."""

from __future__ import annotations

import numpy as np
import pytest

from tintype.errors import EngineFailed
from tintype.results.classify import label_scores, probabilities, ranked_scores
from tintype.results.keep import Keep
from tintype.types import Activation, ClassOutput, TensorSpec

ABC = ("a", "b", "c")


def output(activation: Activation, classes: int = 3) -> ClassOutput:
    tensor = TensorSpec(name="out", shape=(None, classes))
    return ClassOutput(tensor=tensor, classes=classes, activation=activation)


def row(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def test_softmax_scores_stay_as_they_are():
    """A softmax output is handed on unchanged."""
    assert [0.25, 0.5, 0.25] == list(
        probabilities(row(0.25, 0.5, 0.25), activation=Activation.SOFTMAX)
    )


def test_logits_become_probabilities_that_sum_to_one():
    """Logits go through a softmax; huge ones do not overflow."""
    scores = probabilities(row(1000, 1000, -1000), activation=Activation.LOGITS)
    assert [0.5, 0.5, 0.0] == list(scores)


def test_log_softmax_is_undone():
    """The exponential of a log-softmax is the softmax."""
    scores = probabilities(np.log(row(0.2, 0.3, 0.5)), activation=Activation.LOG_SOFTMAX)
    np.testing.assert_allclose([0.2, 0.3, 0.5], scores, rtol=1e-6)


def test_one_sigmoid_unit_is_two_labels():
    """One unit p means 1-p for the first label and p for the second."""
    scores = label_scores(
        row(0.75), output=output(Activation.SIGMOID, 1), labels=("cat", "dog"), keep=Keep(top=2)
    )
    assert [("dog", 0.75), ("cat", 0.25)] == [(one.label, one.score) for one in scores]


@pytest.mark.parametrize(("logit", "score"), [(0, 0.5), (800, 1.0), (-800, 0.0)])
def test_one_logit_is_a_sigmoid(logit: float, score: float):
    """One raw unit goes through a sigmoid without overflow."""
    assert score == probabilities(row(logit), activation=Activation.LOGITS)[1]


def test_several_sigmoids_are_independent():
    """Multi-label sigmoid scores are not normalised."""
    assert pytest.approx([0.9, 0.8, 0.1]) == list(
        probabilities(row(0.9, 0.8, 0.1), activation=Activation.SIGMOID)
    )


def test_best_first_and_no_more_than_top():
    """Labels come best first, at most top of them."""
    scores = label_scores(
        row(0.2, 0.5, 0.3), output=output(Activation.SOFTMAX), labels=ABC, keep=Keep(top=2)
    )
    assert ["b", "c"] == [one.label for one in scores]


def test_threshold_leaves_out_lower_scores():
    """A score equal to the threshold stays, lower ones go."""
    scores = label_scores(
        row(0.25, 0.5, 0.25),
        output=output(Activation.SOFTMAX),
        labels=ABC,
        keep=Keep(top=3, threshold=0.5),
    )
    assert ["b"] == [one.label for one in scores]


def test_equal_scores_keep_the_order_of_the_labels():
    """Ties are broken by index, so that answers are the same every time."""
    scores = label_scores(
        row(0.5, 0.5, 0.0), output=output(Activation.SOFTMAX), labels=ABC, keep=Keep(top=2)
    )
    assert [0, 1] == [one.index for one in scores]


def test_an_answer_without_scores_is_a_failure():
    """A remote may give any size that its signature leaves open."""
    with pytest.raises(EngineFailed, match="no scores"):
        probabilities(row(), activation=Activation.SOFTMAX)


@pytest.mark.parametrize("classes", [3, 300])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_number_is_an_engine_failure(bad: float, classes: int):
    """NaN and infinity never reach an answer, of few classes or of many."""
    with pytest.raises(EngineFailed, match="NaN"):
        probabilities(row(0, bad, *[0] * (classes - 2)), activation=Activation.SOFTMAX)


def ranked(classes: list, scores: list, labels: tuple[str, ...] = ABC) -> list:
    rows = (np.array(classes), row(*scores))
    found = ranked_scores(rows, labels=labels, keep=Keep(top=2))
    return [(each.index, each.label, each.score) for each in found]


def test_classes_that_name_themselves_are_ordered_by_score():
    """A known name has the number of its label, another its place in the answer."""
    assert [(1, "b", 0.75), (0, "other", 0.25)] == ranked([b"other", b"b", b"a"], [0.25, 0.75, 0])


def test_numbers_of_classes_are_labels():
    """As numbers, and as the texts that estimators make of them."""
    assert [(2, "c", 0.75), (0, "a", 0.25)] == ranked([0.0, 2.0], [0.25, 0.75])
    assert [(2, "c", 0.75), (7, "class 7", 0.25)] == ranked([b"7", b"2"], [0.25, 0.75])


@pytest.mark.parametrize(("classes", "scores"), [([b"a"], [0.5, 0.5]), ([b"a"], [np.nan])])
def test_classes_without_a_score_are_no_answer(classes: list, scores: list):
    """Nor scores that are no numbers."""
    with pytest.raises(EngineFailed):
        ranked(classes, scores)


@pytest.mark.parametrize("classes", [16, 300])
def test_a_few_are_the_first_of_many(classes: int):
    """However many are asked for, the order is one; equal scores are in it."""
    rng = np.random.default_rng(6)
    scores = rng.integers(0, classes // 4, classes).astype(np.float32) / classes
    names = tuple(map(str, range(classes)))
    told = output(Activation.SIGMOID, classes=classes)
    many = label_scores(scores, output=told, labels=names, keep=Keep(top=classes))
    few = label_scores(scores, output=told, labels=names, keep=Keep(top=9))
    assert np.argsort(-scores, kind="stable").tolist() == [each.index for each in many]
    assert many[:9] == few
    assert 0.0 < scores.max()  # what was handed in is left as it was
