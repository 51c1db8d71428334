"""What travels between a front and the models arrives as it was sent."""

from __future__ import annotations

import pytest

from tintype import errors
from tintype.errors import DeadlineExceeded, ImageTooLarge, Overloaded, TintypeError
from tintype.predict import PredictRequest
from tintype.predict.message import error_of, question_bytes, read_question, read_reply, reply_bytes
from tintype.types import Box, ImageFacts, PictureLook, Point, Prediction, Result, Seconds, Task


def test_a_question_arrives_with_its_picture_and_the_time_left():
    """A duration, since clocks differ; the caller stays where it is."""
    request = PredictRequest(
        image=b"picture",
        models=("pets",),
        points=(Point(x=1.5, y=2.0),),
        top=3,
        threshold=0.25,
        explain=frozenset({"input"}),
    )
    read = read_question(question_bytes(request, ("pets@2",), seconds=1.25), b"picture")
    assert ("pets@2",) == read.models
    assert 1.25 == read.seconds
    same = ("image", "points", "top", "threshold", "explain")
    assert [getattr(request, name) for name in same] == [getattr(read, name) for name in same]


def test_a_prediction_arrives_bit_for_bit():
    """Scores are doubles all the way."""
    prediction = Prediction(
        id="1",
        image=ImageFacts(width=2, height=1, format="png", sha256="00", warnings=("w",)),
        results=(
            Result(
                model="things",
                version="1",
                task=Task.DETECT,
                boxes=(Box(index=1, label="dog", score=0.1 + 0.2, x1=0, y1=1 / 3, x2=1, y2=1),),
                seconds=0.1,
            ),
        ),
        seconds=Seconds(total=0.3),
        look=PictureLook(brightness=0.1, contrast=0.2, colour=0.3, detail=0.4),
    )
    assert prediction == read_reply(reply_bytes(prediction))


def every_error() -> list[type[TintypeError]]:
    found = [each for each in vars(errors).values() if isinstance(each, type)]
    return [each for each in found if issubclass(each, TintypeError)]


@pytest.mark.parametrize("cls", every_error())
def test_every_error_arrives_as_what_it_was(cls):
    """Its class decides the status; message, hint and numbers stand in the answer."""
    sent = cls("words", hint="do this", limit=3, actual=4.5)
    read = read_reply(reply_bytes(sent))
    assert (cls, "words", "do this", {"limit": 3, "actual": 4.5}) == (
        type(read),
        read.message,
        read.hint,
        read.facts,
    )


def test_an_error_of_a_newer_version_is_one_of_ours_all_the_same():
    """A slug that is not known here."""
    assert TintypeError is type(error_of("no-such-slug", "words"))


@pytest.mark.parametrize("error", [Overloaded, DeadlineExceeded, ImageTooLarge])
def test_slugs_belong_to_one_class_each(error):
    """Else another class would come back."""
    assert [error] == [each for each in every_error() if each.type == error.type]
