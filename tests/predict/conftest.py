"""A predictor around the shipped fake engine: scores follow the mean colour."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tintype.batching.gate import ByteGate
from tintype.batching.policy import BatchPolicy
from tintype.cores import usable_cores
from tintype.engines.engine import EngineOptions
from tintype.engines.fake import PICTURES, FakeEngine, Gate
from tintype.errors import EngineFailed, ModelUnavailable
from tintype.imaging.limits import DecodeLimits
from tintype.imaging.recipe import parse_recipe
from tintype.models.absent import AbsentModel
from tintype.models.card import Card
from tintype.models.fake import fake_plan
from tintype.models.host import ModelHost
from tintype.models.registry import Registry
from tintype.predict import Lanes, Observer, Predictor, PredictPolicy, PredictRequest
from tintype.predict.here import Here
from tintype.predict.prepare import Preparer
from tintype.types import TensorSpec


@pytest.fixture(params=[None, 1], ids=["in batches", "one by one"])
def pictures(request: pytest.FixtureRequest) -> TensorSpec:
    """What engines take: pictures together, or each alone, made where it runs."""
    return replace(PICTURES, shape=(request.param, *PICTURES.shape[1:]))


@pytest.fixture
def streams(pictures) -> int:
    """A thread for each core, where each makes what it runs."""
    return usable_cores() if pictures.shape[0] else 1


@pytest.fixture
def host(pictures, streams) -> Callable[..., ModelHost]:
    """Make a host, not entered: red, green or blue on 8 x 8 pixels. More words are its card's."""

    def make(
        name: str = "colours",
        engine: FakeEngine | None = None,
        *,
        recipe: dict[str, object] | None = None,
        **card: object,
    ) -> ModelHost:
        plan = fake_plan(Card(name=name, file=Path("colours.onnx"), **card))
        words = {"preset": "raw", "values": "x/255", "geometry": "stretch", **(recipe or {})}
        return ModelHost(
            replace(plan, recipe=parse_recipe(words)),
            policy=BatchPolicy(),
            options=EngineOptions(),
            engine=engine or FakeEngine(pictures=pictures, streams=streams),
        )

    return make


@pytest.fixture
def serving() -> Callable[..., AbstractAsyncContextManager[Predictor]]:
    """Enter hosts, and a predictor that asks them."""

    @asynccontextmanager
    async def serve(
        *hosts: ModelHost,
        deadline: float = 30.0,
        parallel: bool = True,
        absent: tuple[AbsentModel, ...] = (),
        max_pixels: int = 1_000_000,
        lanes: Lanes | None = None,
        gate: ByteGate | None = None,
        observers: tuple[Observer, ...] = (),
    ) -> AsyncIterator[Predictor]:
        async with AsyncExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(2))
            for each in hosts:
                await stack.enter_async_context(each)
            preparer = Preparer(
                lanes=lanes or Lanes(quick=pool, slow=pool), gate=gate or ByteGate(1 << 28)
            )
            yield Predictor(
                Registry(hosts, absent=absent),
                answering=Here(preparer, parallel=parallel),
                limits=DecodeLimits(max_pixels=max_pixels),
                policy=PredictPolicy(deadline_seconds=deadline, parallel=parallel),
                observers=observers,
            )

    return serve


@pytest.fixture
def stripes() -> Callable[..., bytes]:
    """Make a picture of upright stripes, one a colour, 16 x 16 pixels."""

    def make(*colours: tuple[int, int, int]) -> bytes:
        pixels = np.zeros((16, 16, 3), np.uint8)
        for number, colour in enumerate(colours):
            left, right = (each * 16 // len(colours) for each in (number, number + 1))
            pixels[:, left:right] = colour
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        return out.getvalue()

    return make


@pytest.fixture
def red(stripes) -> PredictRequest:
    """A request with a red picture of 16 x 16 pixels."""
    return PredictRequest(image=stripes((255, 0, 0)))


@pytest.fixture
def hanging(pictures, streams) -> Callable[[], tuple[Gate, FakeEngine]]:
    """Make an engine that is warm and then hangs until its gate is opened."""

    def make() -> tuple[Gate, FakeEngine]:
        gate = Gate()
        gate.let()  # the warm-up
        return gate, FakeEngine(pictures=pictures, before_run=gate, streams=streams)

    return make


@pytest.fixture
def failing(pictures, streams) -> FakeEngine:
    """Fails every run but the first, which warms it."""
    runs = iter([None])

    def fail(_batch: object) -> None:
        if next(runs, "later") == "later":
            raise EngineFailed("broken on purpose")

    return FakeEngine(pictures=pictures, before_run=fail, streams=streams)


@pytest.fixture
def gone() -> AbsentModel:
    """A model that should be served, is not there, and has a fallback."""
    return AbsentModel(
        name="gone",
        version="2",
        fallback=("beach",),
        error=ModelUnavailable("the model 'gone' could not be loaded"),
    )
