"""What a person's words mean."""

from __future__ import annotations

import pytest

from tintype.errors import MalformedRequest
from tintype.record.judging import judge, meant
from tintype.record.values import (
    Judged,
    Kind,
    RecordedImage,
    RecordedPrediction,
    RecordedResult,
    Said,
)
from tintype.types import Box, LabelScore, Point, Task

LABELS = ("cat", "dog", "bird", "fish")


def result(*labels: str, model: str = "pets", point: Point | None = None) -> RecordedResult:
    """A classifier's result, best label first."""
    return RecordedResult(
        position=0,
        model=model,
        version="1",
        model_sha256="",
        task=Task.CLASSIFY,
        point=point,
        labels=tuple(LabelScore(index=0, label=label, score=0.5) for label in labels),
        boxes=None,
        error=None,
        seconds=0.0,
        feedback=None,
    )


def found(*boxes: Box) -> RecordedResult:
    """A detector's result."""
    return RecordedResult(
        position=0,
        model="things",
        version="1",
        model_sha256="",
        task=Task.DETECT,
        point=None,
        labels=None,
        boxes=boxes,
        error=None,
        seconds=0.0,
        feedback=None,
    )


@pytest.mark.parametrize(
    ("said", "judged"),
    [
        (Said(correct=True), Judged(kind=Kind.CORRECT, correct=True, right_label="dog", rank=1)),
        (
            Said(correct=False),
            Judged(kind=Kind.CORRECT, correct=False, right_label=None, rank=None),
        ),
        (Said(label="dog"), Judged(kind=Kind.LABEL, correct=True, right_label="dog", rank=1)),
        (Said(label="cat"), Judged(kind=Kind.LABEL, correct=False, right_label="cat", rank=2)),
        (Said(label="fish"), Judged(kind=Kind.LABEL, correct=False, right_label="fish", rank=None)),
        (Said(picked="cat"), Judged(kind=Kind.PICKED, correct=False, right_label="cat", rank=2)),
    ],
)
def test_each_way_of_saying_it(said, judged):
    """Right or wrong, the right label, the choice out of the list."""
    assert judged == judge(result("dog", "cat"), said, labels=LABELS)


@pytest.mark.parametrize(
    ("said", "words", "hint"),
    [
        (Said(), "nothing is given, expected one of correct, label, picked", '{"correct": true}'),
        (Said(correct=True, label="dog"), "correct and label is given", '{"label": "dog"}'),
        (Said(label="brid"), "'brid' is not a label of this model", "did you mean 'bird'?"),
        (Said(label="zzz"), "'zzz' is not a label", "known are cat, dog, bird, fish"),
        (Said(picked="fish"), "'fish' is not one of the labels answered", "known are dog, cat"),
    ],
)
def test_what_does_not_fit_is_told(said, words, hint):
    """With the nearest that does."""
    with pytest.raises(MalformedRequest) as told:
        judge(result("dog", "cat"), said, labels=LABELS)
    assert words in told.value.message
    assert hint in told.value.hint


def test_an_answer_without_labels_cannot_be_right_yet_can_be_taught():
    """Everything was below the threshold."""
    with pytest.raises(MalformedRequest, match="no label that could be right"):
        judge(result(), Said(correct=True), labels=LABELS)
    assert Judged(kind=Kind.LABEL, correct=False, right_label="dog", rank=None) == judge(
        result(), Said(label="dog"), labels=LABELS
    )


def test_boxes_are_right_or_wrong_as_a_whole():
    """Even when there are none: nothing there may be the right answer."""
    for boxes in (), (Box(index=0, label="cup", score=1, x1=0, y1=0, x2=1, y2=1),):
        assert Judged(kind=Kind.CORRECT, correct=True, right_label=None, rank=None) == judge(
            found(*boxes), Said(correct=True), labels=()
        )
    with pytest.raises(MalformedRequest, match="right or wrong as a whole"):
        judge(found(), Said(label="cup"), labels=("cup",))


def test_a_model_whose_labels_are_not_known_takes_those_it_answered():
    """There is nothing else to compare with."""
    assert judge(result("dog"), Said(label="dog"), labels=()).correct


def prediction(*results: RecordedResult) -> RecordedPrediction:
    image = RecordedImage(
        width=1, height=1, format="png", sha256="", orientation=1, bytes=1, kept=False
    )
    return RecordedPrediction(id="a", at_ms=1, image=image, results=results)


def test_the_only_result_needs_no_name():
    """Model and point are for predictions with several."""
    only = result("dog")
    assert only is meant(prediction(only), Said(correct=True))
    assert only is meant(prediction(only), Said(correct=True, model="pets"))


def test_model_and_point_choose_among_several():
    """One of them may be enough."""
    here, there = result(point=Point(x=1, y=2)), result(point=Point(x=3, y=4))
    other = result(model="colours")
    whole = prediction(here, there, other)
    assert there is meant(whole, Said(correct=True, point=Point(x=3, y=4)))
    assert other is meant(whole, Said(correct=True, model="colours"))
    with pytest.raises(MalformedRequest) as told:
        meant(whole, Said(correct=True, model="pets"))
    assert "2 results" in told.value.message
    with pytest.raises(MalformedRequest, match="its models are: pets, colours"):
        meant(whole, Said(correct=True, model="nix"))
