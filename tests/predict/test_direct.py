"""Pictures answered in the calling thread get what a server answers, to the last bit."""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from tintype.batching.gate import ByteGate
from tintype.batching.policy import BatchPolicy
from tintype.batching.room import Room
from tintype.engines.engine import EngineOptions
from tintype.engines.fake import PICTURES, FakeEngine
from tintype.errors import EngineFailed, ImageCorrupt, ModelUnavailable, RemoteUnreachable
from tintype.imaging.limits import DecodeLimits
from tintype.models.card import Card
from tintype.models.fake import fake_plan
from tintype.models.host import ModelHost
from tintype.models.registry import Registry
from tintype.predict import Direct, Lanes, Predictor, PredictPolicy, PredictRequest
from tintype.predict.here import Here
from tintype.predict.prepare import Preparer
from tintype.types import Point, Prediction, TensorSpec

ASKED = PredictRequest(image=b"")


def png(*level: int, side: int = 9) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), level).save(file, "png")
    return file.getvalue()


RED, GREEN, BLUE = png(255, 0, 0), png(0, 255, 0), png(0, 0, 255)
TORN = RED[:-30]


@asynccontextmanager
async def host(name: str = "colours", engine: FakeEngine | None = None, **policy):
    made = ModelHost(
        fake_plan(Card(name=name, file=Path("m.onnx"))),
        policy=BatchPolicy(**policy),
        options=EngineOptions(),
        engine=engine or FakeEngine(),
    )
    async with made:
        yield made


def direct(*hosts: ModelHost, room: int = 1 << 30) -> Direct:
    return Direct(hosts, limits=DecodeLimits(), room=Room(room))


def best(told) -> list[str]:
    return [
        each.results[0].labels[0].label if isinstance(each, Prediction) else each.type
        for each in told
    ]


async def test_answers_are_those_of_a_server():
    """Facts and results are equal; ids and times are left out."""
    asked = replace(ASKED, points=(Point(x=1, y=2),), top=2)
    async with host() as one:
        (told,) = direct(one).answer([GREEN], asked)
        with ThreadPoolExecutor(1) as threads:
            predictor = Predictor(
                Registry([one]),
                answering=Here(
                    Preparer(lanes=Lanes(quick=threads, slow=threads), gate=ByteGate(1 << 30)),
                    parallel=True,
                ),
                limits=DecodeLimits(),
                policy=PredictPolicy(),
            )
            served = await predictor.predict(replace(asked, image=GREEN))
    assert served.image == told.image
    assert [replace(each, seconds=0.0) for each in served.results] == [
        replace(each, seconds=0.0) for each in told.results
    ]


async def test_a_broken_picture_harms_no_other():
    """Its error stands in its place, whether it could not be read or not be got."""
    async with host() as one:
        told = direct(one).answer([RED, TORN, ImageCorrupt("gone"), BLUE], ASKED)
    assert ["red", "image-truncated", "image-corrupt", "blue"] == best(told)


async def test_as_many_rows_go_together_as_the_engine_gains_by():
    """A free batch axis takes what the policy allows; a batch of one, one by one."""
    free = FakeEngine()
    single = FakeEngine(pictures=TensorSpec(name="p", shape=(1, 8, 8, 3)))
    async with host(engine=free, max_batch=4) as one:
        direct(one).answer([RED] * 10, ASKED)
    async with host(engine=single) as one:
        direct(one).answer([RED] * 3, ASKED)
    assert [4, 4, 2] == free.batches[1:]  # the first was to get warm
    assert [1, 1, 1] == single.batches[1:]


async def test_rows_made_ready_are_bounded_by_bytes(monkeypatch):
    """Many are made ready before any is run, yet not more than caches hold, or memory may."""
    engine = FakeEngine()
    async with host(engine=engine, max_batch=4) as one:
        direct(one).answer([RED] * 7, ASKED)
        monkeypatch.setattr("tintype.predict.direct._ENOUGH_ROW_BYTES", 5 * 8 * 8 * 3 * 4)
        direct(one).answer([RED] * 7, ASKED)
        monkeypatch.setattr("tintype.predict.direct._MOST_ROW_BYTES", 3 * 8 * 8 * 3 * 4)
        direct(one).answer([RED] * 7, ASKED)
    assert [4, 3, 4, 1, 2, 3, 3, 1] == engine.batches[1:]  # the first was to get warm


async def test_a_row_that_fails_hurts_only_itself():
    """The others of its run are run alone."""

    def fail(batch):
        if batch.shape[0] > 1 or batch[0, 0, 0, 0] == 1.0:
            raise EngineFailed("it raised")

    async with host(engine=FakeEngine(before_run=fail)) as one:
        red, green, blue = direct(one).answer([RED, GREEN, BLUE], ASKED)
    assert ["green", "blue"] == best([green, blue])
    assert ("engine-failed", None) == (red.results[0].error.type, red.results[0].labels)


async def test_a_model_that_is_away_is_no_answer():
    """It would be told of every picture: the work ends instead."""
    away = False

    def fail(_):
        if away:
            raise RemoteUnreachable("nobody is there")

    async with host(engine=FakeEngine(before_run=fail)) as one:
        away = True
        with pytest.raises(RemoteUnreachable):
            direct(one).answer([RED], ASKED)
    with pytest.raises(ModelUnavailable):
        direct(one).answer([RED], ASKED)


async def test_a_model_that_goes_away_is_asked_no_more():
    """Each further picture would wait for its deadline."""
    asked: list[int] = []

    def fail(_):
        asked.append(1)
        if len(asked) > 1:  # the first was to get warm
            raise RemoteUnreachable("nobody is there")

    single = FakeEngine(before_run=fail, pictures=TensorSpec(name="p", shape=(1, 8, 8, 3)))
    async with host(engine=single) as one:
        with pytest.raises(RemoteUnreachable):
            direct(one).answer([RED] * 5, ASKED)
    assert 2 == len(asked)


async def test_every_model_and_point_has_its_result():
    """In the order of models, then of points."""
    points = (Point(x=1, y=1), Point(x=2, y=2))
    async with host("a") as one, host("b") as other:
        (told,) = direct(one, other).answer([RED], replace(ASKED, points=points))
    assert [("a", points[0]), ("a", points[1]), ("b", points[0]), ("b", points[1])] == [
        (each.model, each.point) for each in told.results
    ]


async def test_a_picture_that_never_fits_into_memory_is_told():
    """As its own error."""
    async with host() as one:
        told = direct(one, room=1000).answer([RED], ASKED)
    assert ["image-too-large"] == best(told)


async def test_threads_may_ask_side_by_side():
    """Each gets its own answers."""
    async with host() as one:
        ask = direct(one).answer
        with ThreadPoolExecutor(8) as threads:
            both = [
                asyncio.wrap_future(threads.submit(ask, [picture] * 20, ASKED))
                for picture in (RED, GREEN, BLUE) * 5
            ]
            found = await asyncio.gather(*both)
    assert [["red"] * 20, ["green"] * 20, ["blue"] * 20] * 5 == [best(told) for told in found]
    assert np.dtype("float32") == PICTURES.dtype
