"""The one use case: which models a request asks, and the prediction made of what they say."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from tintype.errors import ImageTooLarge, Overloaded, UnknownModel, UnsupportedImageFormat
from tintype.models.info import Health
from tintype.predict import PredictRequest
from tintype.types import Point

RED, BLUE = (255, 0, 0), (0, 0, 255)


async def test_a_picture_gets_its_labels_best_first(serving, host, red):
    """A red picture is red, and the answer holds all that was promised."""
    async with serving(host()) as predictor:
        prediction = await predictor.predict(red)
    (result,) = prediction.results
    assert ("red", "colours", "1", None) == (
        result.labels[0].label,
        result.model,
        result.version,
        result.error,
    )
    assert (16, 16, "png") == (
        prediction.image.width,
        prediction.image.height,
        prediction.image.format,
    )
    assert prediction.seconds.total >= prediction.seconds.decode > 0


async def test_no_model_named_asks_every_model(serving, host, red):
    """All served models answer, in their order."""
    async with serving(host("a"), host("b")) as predictor:
        prediction = await predictor.predict(red)
    assert ["a", "b"] == [result.model for result in prediction.results]


async def test_named_models_answer_once_each(serving, host, red):
    """A model asked for twice answers once."""
    async with serving(host("a"), host("b")) as predictor:
        prediction = await predictor.predict(replace(red, models=("b", "b")))
    assert ["b"] == [result.model for result in prediction.results]


async def test_every_point_has_its_result(serving, host, stripes):
    """One decode, two points, two answers: each looks at its own place."""
    looking = host(recipe={"view": {"kind": "pixels", "size": 4}})
    points = (Point(x=2, y=8), Point(x=13, y=8))
    async with serving(looking) as predictor:
        asked = PredictRequest(image=stripes(RED, BLUE), points=points)
        prediction = await predictor.predict(asked)
    assert [("red", points[0]), ("blue", points[1])] == [
        (result.labels[0].label, result.point) for result in prediction.results
    ]


async def test_top_and_threshold_of_the_request_win(serving, host, red):
    """The request's own numbers override the card's."""
    async with serving(host()) as predictor:
        one = await predictor.predict(replace(red, top=1))
        sure = await predictor.predict(replace(red, threshold=0.9))
    assert [1, 1] == [len(one.results[0].labels), len(sure.results[0].labels)]


async def test_what_the_model_saw_is_told_when_asked(serving, host, red):
    """explain=input brings the tensor as a picture, else nothing."""
    async with serving(host()) as predictor:
        told = await predictor.predict(replace(red, explain=frozenset({"input"})))
        untold = await predictor.predict(red)
    assert (8, 8, 3) == told.results[0].input.shape
    assert told.results[0].input.png.startswith("data:image/png;base64,")
    assert untold.results[0].input is None


async def test_an_unknown_model_is_named(serving, host, red):
    """The message lists what is served."""
    async with serving(host()) as predictor:
        with pytest.raises(UnknownModel, match=r"'pets'.*served are: colours"):
            await predictor.predict(replace(red, models=("pets",)))


async def test_a_model_that_is_not_served_leaves_its_error_and_the_others_answer(
    serving, host, red
):
    """One of two names is unknown."""
    async with serving(host("here")) as predictor:
        prediction = await predictor.predict(replace(red, models=("there", "here")))
    there, here = prediction.results
    assert ("unknown-model", None, False) == (there.error.type, there.labels, there.fallback)
    assert "red" == here.labels[0].label


async def test_a_picture_too_large_is_refused_before_it_is_decoded(serving, host, red):
    """The header alone decides."""
    async with serving(host(), max_pixels=100) as predictor:
        with pytest.raises(ImageTooLarge):
            await predictor.predict(red)


async def test_what_is_no_picture_is_refused(serving, host):
    """Bytes of no known picture format."""
    async with serving(host()) as predictor:
        with pytest.raises(UnsupportedImageFormat):
            await predictor.predict(PredictRequest(image=b"hello"))


async def test_ready_follows_the_models(serving, host):
    """Ready while loaded, not before and not after."""
    served = host()
    assert Health.LOADING is served.health
    async with serving(served) as predictor:
        assert predictor.ready()
    assert Health.DRAINING is served.health


async def test_pictures_asked_together_are_answered_each_for_itself(serving, host, stripes):
    """Concurrent requests share batches and keep their answers apart."""
    async with serving(host()) as predictor:
        colours = [RED, BLUE] * 10
        predictions = await asyncio.gather(
            *(predictor.predict(PredictRequest(image=stripes(colour))) for colour in colours)
        )
    assert ["red", "blue"] * 10 == [p.results[0].labels[0].label for p in predictions]


async def test_info_tells_no_path(serving, host):
    """What is told about a model names its file, never a folder of the server."""
    async with serving(host()) as predictor:
        (info,) = predictor.models()
    assert ("colours.onnx", "raw", Health.READY) == (
        info.file,
        info.recipe["preset"],
        info.health,
    )


@pytest.mark.parametrize(("names", "refused"), [((), True), (("a",), True), (("nobody",), False)])
async def test_a_question_that_nobody_has_read_is_refused_where_its_models_have_too_many(
    serving, host, names, refused
):
    """One to a model that is not served is read, and told so."""
    async with serving(host("a"), host("b")) as predictor:
        assert predictor.refusal(names) is None
        assert refused == isinstance(predictor.refusal(names, arriving=512), Overloaded)


async def test_a_question_to_a_model_with_a_fallback_is_always_read(serving, host):
    """Its caller is promised an answer."""
    async with serving(host("safe", fallback=("red",)), host("b")) as predictor:
        assert predictor.refusal(("safe",), arriving=512) is None
        assert predictor.refusal(("b",), arriving=512) is not None
