"""Labels fitted to an output: one a class, and what does not fit is said."""

from __future__ import annotations

import pytest

from tintype.modelfiles.label_fit import fit_labels
from tintype.types import Activation, ClassOutput, DetectionOutput, TensorSpec


def classes(count: int) -> ClassOutput:
    tensor = TensorSpec(name="y", shape=(None, count))
    return ClassOutput(tensor=tensor, classes=count, activation=Activation.SOFTMAX)


def detector() -> DetectionOutput:
    part = TensorSpec(name="y", shape=())
    return DetectionOutput(boxes=part, classes=part, scores=part, count=None, first_class=0)


def test_labels_that_fit_are_taken_in_silence():
    """Nothing to remark."""
    fitted = fit_labels(("cat", "dog"), output=classes(2))

    assert (("cat", "dog"), None) == (fitted.labels, fitted.remark)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("cat", "dog"), ("cat", "dog")),
        (None, ("class 0", "class 1")),
        (("dog",), ("not dog", "dog")),
    ],
)
def test_one_unit_is_two_labels(labels, expected):
    """A single sigmoid unit answers for two classes."""
    assert expected == fit_labels(labels, output=classes(1)).labels


MISFITS = [
    pytest.param(("a",) * 1000, 1001, "background", 0, "'background' was put in front", id="1001"),
    pytest.param(("background", "a", "b"), 2, "a", 0, "was left out", id="background too many"),
    pytest.param(("a", "b"), 4, "class 3", 3, "class 2 to class 3", id="too few"),
    pytest.param(("a", "b"), 3, "class 2", 2, "the rest are called class 2", id="one too few"),
    pytest.param(("a", "b", "c"), 2, "b", 1, "the last one is not used", id="one too many"),
    pytest.param(tuple("abcdef"), 2, "b", 1, "the last 4 are not used", id="too many"),
]


@pytest.mark.parametrize(("labels", "count", "label", "place", "said"), MISFITS)
def test_a_count_that_does_not_fit_is_said(labels, count, label, place, said):
    """Every class gets a label, and words tell what was done."""
    fitted = fit_labels(labels, output=classes(count))

    assert count == len(fitted.labels)
    assert label == fitted.labels[place]
    assert fitted.remark is not None
    assert said in fitted.remark
    assert fitted.hint is not None
    assert "--labels" in fitted.hint


def test_no_labels_are_numbers_and_a_hint():
    """Class 0, class 1 ... and how to name them."""
    fitted = fit_labels(None, output=classes(3))

    assert fitted.labels == ("class 0", "class 1", "class 2")
    assert fitted.hint is not None
    assert "--labels" in fitted.hint


def test_a_detectors_list_loses_its_line_for_nothing():
    """Lists of the TFLite zoo begin with ???; class 0 is the line behind it."""
    fitted = fit_labels(("???", "person", "bicycle"), output=detector())

    assert fitted.labels == ("person", "bicycle")
    assert fitted.remark is not None


def test_a_detector_without_labels_says_so():
    """No labels leave numbers, and a hint."""
    fitted = fit_labels(None, output=detector())

    assert fitted.labels == ()
    assert fitted.hint is not None
