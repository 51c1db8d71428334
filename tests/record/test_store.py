"""What goes in comes out, on both databases."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from tintype.errors import MalformedRequest, UnknownPrediction
from tintype.record import store
from tintype.record.batch import KnownModels
from tintype.record.fake import PETS, classified, detected, entry, predicted
from tintype.record.tables import differences, feedback, models, predictions, refusals, results
from tintype.record.values import Difference, Judged, Kind, Refusal, Said
from tintype.types import LabelScore, Point, Prediction, Result, ResultError

_DAY = 86_400_000


@pytest.fixture
def add(connection):
    """Adds a prediction."""
    known = KnownModels()

    def add(prediction: Prediction, **more) -> str:
        store.add_predictions(
            connection, [entry(prediction, **more)], model_id=known.ids(connection)
        )
        return prediction.id

    return add


def test_a_prediction_comes_out_as_it_went_in(connection, add):
    """Picture, labels, boxes, errors, points, durations."""
    failed = ResultError(type="engine-failed", detail="no")
    point = Point(x=3.5, y=4)
    prediction = predicted(
        classified(("dog", 0.75), ("cat", 0.25)),
        classified(("cat", 1.0), point=point),
        detected(),
        replace(classified(error=failed), labels=None),
    )
    found = store.find(connection, add(prediction, at_ms=1234))
    assert (prediction.id, 1234) == (found.id, found.at_ms)
    assert prediction.seconds == found.seconds
    assert (640, 480, "jpeg", "ab" * 32, 6, 1234, False) == (
        found.image.width,
        found.image.height,
        found.image.format,
        found.image.sha256,
        found.image.orientation,
        found.image.bytes,
        found.image.kept,
    )
    names = ("model", "version", "task", "point", "labels", "boxes", "error", "seconds")
    for went, came in zip(prediction.results, found.results, strict=True):
        assert [getattr(went, name) for name in names] == [getattr(came, name) for name in names]


def test_the_first_label_and_the_first_box_have_columns_of_their_own(connection, add):
    """Reports count them without reading JSON."""
    add(predicted(classified(("dog", 0.75)), detected(), replace(classified(), labels=())))
    rows = connection.execute(
        select(results.c.label, results.c.score).order_by(results.c.position)
    ).all()
    assert [("dog", 0.75), ("cup", 0.75), (None, None)] == [tuple(row) for row in rows]


def test_a_fallback_is_no_answer(connection, add):
    """What the owner said in the model's place is not counted as the model's."""
    late = ResultError(type="deadline-exceeded", detail="late")
    result = replace(classified(("beach", 0.0)), error=late, fallback=True)
    (found,) = store.find(connection, add(predicted(result))).results
    assert (late, None, None) == (found.error, found.labels, found.best)


def test_a_model_that_is_not_served_is_no_row(connection, add):
    """Its name is a stranger's: whoever makes names up fills no table."""
    unknown = ResultError(type="unknown-model", detail="no such model")
    made_up = replace(classified(error=unknown), model="made-up", labels=None)
    found = store.find(connection, add(predicted(made_up, classified(("dog", 0.75)))))
    assert [1] == [result.position for result in found.results]
    assert ["pets"] == list(connection.execute(select(models.c.name)).scalars())
    add(replace(predicted(made_up), id="b" * 32))


def test_how_the_picture_looks_has_columns(connection, add):
    """What drift is told from; null where nobody looked."""
    add(predicted())
    add(replace(predicted(), look=None))
    looks = select(
        *(predictions.c[name] for name in ("brightness", "contrast", "colour", "detail"))
    )
    rows = [tuple(row) for row in connection.execute(looks)]
    assert {(0.5, 0.25, 0.125, 0.0625), (None,) * 4} == {*rows}


def test_the_same_prediction_twice_is_one(connection, add):
    """A batch that is tried again leaves what is there."""
    prediction = predicted()
    add(prediction)
    add(prediction)
    assert (1, 1) == (store.count(connection, predictions), store.count(connection, results))


@pytest.mark.parametrize("label", ["no\0ul", "half \ud83d", "x" * 3000, "<b>'; DROP TABLE", "犬"])
def test_a_label_may_be_any_text(connection, add, label):
    """Models bring their own: NUL and halves of surrogates are no text for PostgreSQL."""
    identity = add(predicted(classified((label, 0.5))))
    row = connection.execute(
        select(results.c.label).where(results.c.prediction_id == identity)
    ).scalar_one()
    said, judged = store.put_feedback(connection, identity, Said(correct=True), key="", at_ms=1)
    assert row == judged.right_label
    assert len(row) <= 1000
    assert said.labels


def test_a_score_that_is_no_number_is_no_score(connection, add):
    """NaN is kept as null: it would poison every average."""
    add(predicted(classified(("dog", math.nan))))
    assert connection.execute(select(results.c.score)).scalar_one() is None


def test_a_model_is_kept_once_for_each_content(connection):
    """The same file under the same name is one row; another file is another."""
    first = store.add_model(connection, PETS, sha256="a", at_ms=1)
    again = store.add_model(connection, PETS, sha256="a", at_ms=2)
    other = store.add_model(connection, PETS, sha256="b", at_ms=3)
    assert first == again != other
    assert 2 == store.count(connection, models)


def test_an_unknown_prediction_is_told(connection):
    """In words, for reading, feedback and deletion."""
    for ask in (
        lambda: store.find(connection, "nix"),
        lambda: store.put_feedback(connection, "nix", Said(correct=True), key="", at_ms=1),
        lambda: store.forget(connection, "nix"),
    ):
        with pytest.raises(UnknownPrediction, match="no prediction 'nix' is in the record"):
            ask()


def test_feedback_replaces_feedback_of_the_same_result(connection, add):
    """The last word counts; the other result's stays."""
    prediction = predicted(
        classified(("dog", 0.75), ("cat", 0.25)), classified(("dog", 1.0), point=Point(x=1, y=2))
    )
    identity = add(prediction, at_ms=7)

    def say(**words):
        store.put_feedback(connection, identity, Said(**words), key="ann", at_ms=9)

    say(correct=True, point=Point(x=1, y=2))
    connection.execute(feedback.delete())
    say(correct=True, point=Point(x=1, y=2))
    with pytest.raises(MalformedRequest, match="2 results that may be meant"):
        say(label="cat")
    say(correct=False, point=Point(x=1, y=2))
    rows = connection.execute(select(feedback)).mappings().all()
    assert [
        {
            "prediction_id": identity,
            "position": 1,
            "at_ms": 9,
            "predicted_ms": 7,
            "kind": "correct",
            "correct": False,
            "predicted": "dog",
            "score": 1.0,
            "right_label": None,
            "rank": None,
            "listed": 1,
            "key_name": "ann",
        }
    ] == [{key: value for key, value in row.items() if key != "model_id"} for row in rows]


def test_what_was_said_comes_back_with_the_prediction(connection, add):
    """Beside the result it is about."""
    identity = add(predicted())
    store.put_feedback(connection, identity, Said(label="cat"), key="", at_ms=1)
    (result,) = store.find(connection, identity).results
    assert Judged(kind=Kind.LABEL, correct=False, right_label="cat", rank=2) == result.feedback
    assert LabelScore(index=1, label="dog", score=0.75) == result.best


def test_what_a_canary_said_otherwise_comes_back_with_the_result(connection, add):
    """Beside the result that it was compared with, and no other."""
    identity = add(
        predicted(classified(("dog", 0.75)), classified(("dog", 0.5), point=Point(x=1, y=2)))
    )
    canary = replace(classified(("cat", 0.625), ("dog", 0.25)), version="2")
    differ(connection, identity, canary)
    first, second = store.find(connection, identity).results
    assert (None, "2", canary.labels, None) == (
        first.canary,
        second.canary.version,
        second.canary.labels,
        second.canary.boxes,
    )


def test_a_canary_s_answer_to_nothing_that_is_recorded_is_left_out(connection):
    """The prediction was dropped, or has been deleted meanwhile."""
    differ(connection, "0" * 32, classified(("cat", 1.0)))
    assert 0 == store.count(connection, differences)


def differ(connection, identity: str, canary: Result) -> None:
    """Add what a canary said of the second result."""
    difference = Difference(at_ms=7, prediction_id=identity, position=1, canary=canary, models={})
    store.add_differences(connection, [difference], model_id=KnownModels().ids(connection))


def test_forgetting_leaves_nothing(connection, add):
    """Prediction, results, feedback, and what the canary said."""
    two = predicted(classified(("dog", 0.75)), classified(("dog", 0.5), point=Point(x=1, y=2)))
    identity, other = add(two), add(predicted())
    differ(connection, identity, classified(("cat", 1.0)))
    said = Said(correct=True, point=Point(x=1, y=2))
    store.put_feedback(connection, identity, said, key="", at_ms=1)
    store.forget(connection, identity)
    tables = (predictions, results, differences, feedback)
    assert [1, 1, 0, 0] == [store.count(connection, table) for table in tables]
    assert other == store.find(connection, other).id


def test_what_is_old_is_forgotten_a_part_at_a_time(connection, add):
    """Oldest first, at most so many; what somebody judged stays."""
    ids = [add(predicted(), at_ms=day * _DAY) for day in range(6)]
    store.put_feedback(connection, ids[1], Said(correct=True), key="", at_ms=1)
    assert 2 == store.forget_old(connection, before_ms=4 * _DAY, most=2)
    assert 1 == store.forget_old(connection, before_ms=4 * _DAY, most=2)
    assert 0 == store.forget_old(connection, before_ms=4 * _DAY, most=2)
    left = connection.execute(select(predictions.c.id).order_by(predictions.c.at_ms)).scalars()
    assert [ids[1], ids[4], ids[5]] == [*left]


def test_refusals_are_rows_of_their_own(connection):
    """The error's type, the length, the duration."""
    refusal = Refusal(
        at_ms=1, request_id="r", key="", image_bytes=9, error="image-corrupt", seconds=0.5
    )
    store.add_refusals(connection, [refusal, refusal])
    rows = connection.execute(select(refusals.c.error, refusals.c.image_bytes)).all()
    assert [("image-corrupt", 9)] * 2 == [tuple(row) for row in rows]
