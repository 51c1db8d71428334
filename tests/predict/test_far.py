"""Models that run elsewhere: one call a place, the rest as if they were here."""

from __future__ import annotations

import asyncio
import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tintype.batching.gate import ByteGate
from tintype.errors import (
    DeadlineExceeded,
    ImageTruncated,
    ModelUnavailable,
    Overloaded,
    TintypeError,
    UnknownModel,
    UnsupportedImageFormat,
)
from tintype.imaging.limits import DecodeLimits
from tintype.models.card import Card
from tintype.models.fake import COLOURS, fake_host, fake_plan
from tintype.models.far import FarModel
from tintype.models.info import Health
from tintype.models.registry import Registry
from tintype.predict import Lanes, Predictor, PredictPolicy, PredictRequest
from tintype.predict.far import Far
from tintype.predict.here import Here
from tintype.predict.message import read_question, reply_bytes
from tintype.predict.prepare import Preparer
from tintype.types import Point


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (255, 0, 0)).save(out, "PNG")
    return out.getvalue()


class FakePlace:
    """A place that runs fakes in this process. ``failure`` is raised, ``refusal`` replied.

    ``hold``: wait for it before anything is answered; ``cancelled`` counts who did not wait.
    """

    def __init__(self, *names: str) -> None:
        self.names = names
        self.asked: list[PredictRequest] = []
        self.failure: TintypeError | None = None
        self.refusal: TintypeError | None = None
        self.hold: asyncio.Event | None = None
        self.called = asyncio.Event()
        self.cancelled = 0
        self.reachable = True
        self.predictor: Predictor | None = None

    async def about(self, model: str) -> str:
        """A precision that no other has."""
        return f"int8 of {model}"

    async def ask(self, image: bytes, question: bytes, *, within: float) -> bytes:
        """Answer as told, or by the fakes."""
        request = read_question(question, image)
        self.asked.append(request)
        self.called.set()
        if self.failure is not None:
            raise self.failure
        if self.refusal is not None:
            return reply_bytes(self.refusal)
        if self.hold is not None:
            try:
                async with asyncio.timeout(within):
                    await self.hold.wait()
            except TimeoutError:
                raise DeadlineExceeded("too late") from None
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        try:
            return reply_bytes(await self.predictor.predict(request))
        except TintypeError as error:
            return reply_bytes(error)


@asynccontextmanager
async def front(*places: FakePlace, deadline: float = 5.0, **card: object):
    """A predictor whose models are at those places."""
    with ThreadPoolExecutor(2) as pool:
        preparer = Preparer(lanes=Lanes(quick=pool, slow=pool), gate=ByteGate(1 << 28))

        def predictor(models, answering) -> Predictor:
            return Predictor(
                Registry(models),
                answering=answering(preparer, parallel=True),
                limits=DecodeLimits(),
                policy=PredictPolicy(deadline_seconds=deadline),
            )

        far, near = [], []
        for place in places:
            cards = [Card(name=name, file=Path("m.onnx"), **card) for name in place.names]
            here = [await fake_host(each).__aenter__() for each in cards]
            near += here
            place.predictor = predictor(here, Here)
            far += [await FarModel(fake_plan(each), place=place).__aenter__() for each in cards]
        yield predictor(far, Far)
        for host in near:
            await host.__aexit__(None, None, None)


async def test_the_answer_is_that_of_the_place():
    """Labels, facts of the picture and its look come from where it was decoded."""
    place = FakePlace("a")
    async with front(place) as predictor:
        there = await place.predictor.predict(PredictRequest(image=picture()))
        here = await predictor.predict(PredictRequest(image=picture()))
    assert there.results[0].labels == here.results[0].labels
    assert COLOURS[0] == here.results[0].labels[0].label
    assert (there.image, there.look) == (here.image, here.look)
    assert hashlib.sha256(picture()).hexdigest() == here.image.sha256


async def test_models_at_one_place_are_asked_in_one_call():
    """So the picture they share travels once, and is decoded once."""
    both, alone = FakePlace("a", "b"), FakePlace("c")
    async with front(both, alone) as predictor:
        points = (Point(x=1, y=1), Point(x=2, y=2))
        told = await predictor.predict(PredictRequest(image=picture(), points=points))
    assert [("a@1", "b@1")] == [each.models for each in both.asked]
    assert [("c@1",)] == [each.models for each in alone.asked]
    assert [(name, at.x) for name in "abc" for at in points] == [
        (each.model, each.point.x) for each in told.results
    ]


async def test_the_time_that_is_left_travels():
    """Less than the whole, and no clock."""
    place = FakePlace("a")
    async with front(place, deadline=2.0) as predictor:
        await predictor.predict(PredictRequest(image=picture()))
    assert 0 < place.asked[0].seconds <= 2.0


async def test_a_place_that_fails_harms_no_other():
    """Its error stands in its own result."""
    good, bad = FakePlace("a"), FakePlace("b")
    bad.failure = ModelUnavailable("gone")
    async with front(good, bad) as predictor:
        told = await predictor.predict(PredictRequest(image=picture()))
    assert [None, "model-unavailable"] == [each.error and each.error.type for each in told.results]


@pytest.mark.parametrize("failure", [ModelUnavailable("gone"), Overloaded("full", retry_after=7)])
async def test_the_only_place_that_fails_is_the_error_of_the_request(failure):
    """With its class and its numbers, whether it was raised here or there."""
    for where in ("failure", "refusal"):
        place = FakePlace("a")
        setattr(place, where, failure)
        async with front(place) as predictor:
            with pytest.raises(type(failure)) as raised:
                await predictor.predict(PredictRequest(image=picture()))
        assert failure.facts == raised.value.facts


async def test_an_error_of_the_picture_is_one_of_the_request():
    """Every model would say so."""
    broken, good = FakePlace("a"), FakePlace("b")
    broken.refusal = ImageTruncated("it ends early")
    async with front(broken, good) as predictor:
        with pytest.raises(ImageTruncated):
            await predictor.predict(PredictRequest(image=picture()))


async def test_a_version_that_is_not_there_any_more_is_no_fault_of_the_caller():
    """During a change of versions a front may be older than the models."""
    place = FakePlace("a")
    place.refusal = UnknownModel("no model 'a@1' is served")
    async with front(place) as predictor:
        with pytest.raises(ModelUnavailable, match="replaced"):
            await predictor.predict(PredictRequest(image=picture()))


async def test_fallback_labels_stand_in_for_a_place_that_is_late():
    """What the picture is is told all the same; the card's own deadline is named."""
    place = FakePlace("a")
    place.hold = asyncio.Event()
    async with front(place, fallback=("unknown",), deadline_seconds=0.05) as predictor:
        told = await predictor.predict(PredictRequest(image=picture()))
    (result,) = told.results
    assert (True, "unknown") == (result.fallback, result.labels[0].label)
    assert "its card allows 0.05 s" in result.error.detail
    assert (16, 16) == (told.image.width, told.image.height)


async def test_what_is_too_large_or_no_picture_never_travels():
    """The header is held to the limits before anything is sent."""
    place = FakePlace("a")
    async with front(place) as predictor:
        with pytest.raises(UnsupportedImageFormat):
            await predictor.predict(PredictRequest(image=b"no picture"))
    assert [] == place.asked


async def test_who_does_not_wait_any_more_is_told_to_the_place():
    """The call is cancelled with the request."""
    place = FakePlace("a")
    place.hold = asyncio.Event()
    async with front(place) as predictor:
        task = asyncio.ensure_future(predictor.predict(PredictRequest(image=picture())))
        await place.called.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert 1 == place.cancelled


async def test_what_is_told_of_a_far_model():
    """What its file says, its precision there, and whether its place answers."""
    place = FakePlace("a")
    async with front(place) as predictor:
        info = predictor.model("a")
        place.reachable = False
        down = predictor.model("a")
    plain = fake_host(Card(name="a", file=Path("m.onnx"))).info()
    expected = replace(plain, precision="int8 of a@1", health=Health.READY, versions=info.versions)
    assert expected == info
    assert Health.UNREACHABLE == down.health
