"""A predictor without models, for tests of everything in front of one: ours and yours."""

from __future__ import annotations

import asyncio
import hashlib
import uuid

from msgspec.structs import replace

from tintype.errors import UnknownModel
from tintype.imaging.header import Header, read_header
from tintype.imaging.limits import DecodeLimits
from tintype.models.absent import AbsentModel
from tintype.models.info import Health, InputInfo, ModelInfo
from tintype.predict import Observer, PredictRequest
from tintype.types import (
    Box,
    ChannelRange,
    ImageFacts,
    LabelScore,
    Layout,
    Prediction,
    Result,
    Seconds,
    SeenInput,
    Task,
)

_LABELS = ("cat", "dog", "<b>bird</b>")
_RECIPE: dict[str, object] = {"preset": "keras-load-img", "values": {"op": "x/127.5-1"}}
_ONE_PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfz0AE"
    "YBxVSF+FABJADveWkH6oAAAAAElFTkSuQmCC"
)


class FakePredictor:
    """Answers every picture alike and remembers what it was asked.

    It serves ``pets`` (labels, its recipe a guess) and ``things`` (boxes). ``failure`` is raised
    instead of an answer, ``result`` given instead of its own. ``hold``, if set, makes every answer
    wait for it: ``waiting`` tells that one does, ``cancelled`` counts those that were cancelled
    meanwhile, and ``dropped`` tells of the first.
    """

    def __init__(self) -> None:
        self.asked: list[PredictRequest] = []
        self.failure: Exception | None = None
        self.result: Result | None = None
        self.hold: asyncio.Event | None = None
        self.waiting = asyncio.Event()
        self.cancelled = 0
        self.dropped = asyncio.Event()
        self.is_ready = True
        self.observers: tuple[Observer, ...] = ()
        self.infos = {
            "pets": fake_info("pets", task=Task.CLASSIFY),
            "things": fake_info("things", task=Task.DETECT),
        }

    def models(self) -> tuple[ModelInfo, ...]:
        """Every model it pretends to serve."""
        return tuple(self.infos.values())

    def model(self, name: str) -> ModelInfo:
        """One of them. Raises UnknownModel."""
        if name not in self.infos:
            raise UnknownModel(f"no model {name!r} is served", hint="GET /api/models lists them")
        return self.infos[name]

    def header(self, image: bytes) -> Header:
        """The picture's header. Raises ImageError."""
        return read_header(image, limits=DecodeLimits())

    def check(self, names: tuple[str, ...]) -> None:
        """Raise UnknownModel unless one of them is there, or none is named."""
        if names and not any(name in self.infos for name in names):
            self.model(names[0])

    def absent(self) -> tuple[AbsentModel, ...]:
        """None: it serves all it pretends to have."""
        return ()

    def ready(self) -> bool:
        """What ``is_ready`` says."""
        return self.is_ready

    async def predict(self, request: PredictRequest) -> Prediction:
        """Answer, and tell the observers. Raises ImageError, UnknownModel, ``failure``."""
        prediction = await self._answer(request)
        for observer in self.observers:
            observer.answered(request, prediction)
        return prediction

    async def _answer(self, request: PredictRequest) -> Prediction:
        self.asked.append(request)
        await self._wait()
        if self.failure is not None:
            raise self.failure
        header = self.header(request.image)
        infos = [self.model(name) for name in request.models or tuple(self.infos)]
        points = request.points or (None,)
        seen = fake_input() if request.explain else None
        return Prediction(
            id=uuid.uuid4().hex,
            image=ImageFacts(
                width=header.width,
                height=header.height,
                format=header.format,
                sha256=hashlib.sha256(request.image).hexdigest(),
            ),
            results=tuple(
                replace(
                    self.result or _result(info, header.width, header.height),
                    point=point,
                    input=seen,
                )
                for info in infos
                for point in points
            ),
            seconds=Seconds(decode=0.001, prepare=0.0004, queue=0.0001, run=0.0023, total=0.0041),
        )

    async def _wait(self) -> None:
        if self.hold is None:
            return
        self.waiting.set()
        try:
            await self.hold.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            self.dropped.set()
            raise


def fake_info(name: str, *, task: Task) -> ModelInfo:
    """What a model of the fake says of itself; a classifier's recipe is a guess."""
    return ModelInfo(
        name=name,
        version="1",
        title=name.capitalize(),
        description=f"Tells {name} apart.",
        task=task,
        file=f"{name}.h5",
        format="keras-hdf5",
        writer="Keras 2.4.0",
        engine="fake",
        engine_reason="asked for",
        device="cpu",
        precision="f32",
        health=Health.READY,
        input=InputInfo(
            name="input",
            shape=(None, 8, 8, 3),
            dtype="float32",
            layout=Layout.NHWC,
            height=8,
            width=8,
            channels=3,
            batch=None,
        ),
        recipe=_RECIPE,
        recipe_is_guess=task is Task.CLASSIFY,
        recipe_reasons=("the commonest case",),
        recipe_override="--recipe keras-load-img",
        view={"kind": "whole"},
        labels=_LABELS,
        labels_source="labels.txt",
        activation="softmax" if task is Task.CLASSIFY else None,
        activation_reason="the last layer is a softmax" if task is Task.CLASSIFY else "",
        top=3,
        threshold=None if task is Task.CLASSIFY else 0.5,
        warnings=(),
        parameters=1234,
    )


def fake_input() -> SeenInput:
    """What the fake says it saw: one pixel."""
    return SeenInput(
        png=_ONE_PIXEL,
        shape=(1, 8, 8, 3),
        dtype="float32",
        sha256="0" * 64,
        channels=tuple(
            ChannelRange(channel=channel, minimum=-1.0, maximum=1.0, mean=0.25) for channel in "RGB"
        ),
        recipe=_RECIPE,
    )


def _result(info: ModelInfo, width: int, height: int) -> Result:
    if info.task is Task.CLASSIFY:
        scores = ((1, 0.98), (0, 0.0195), (2, 0.0005))
        labels = tuple(
            LabelScore(index=index, label=_LABELS[index], score=score) for index, score in scores
        )
        return Result(model=info.name, version="1", task=info.task, labels=labels, seconds=0.003)
    box = Box(
        index=1,
        label="dog",
        score=0.75,
        x1=width * 0.2,
        y1=height * 0.1,
        x2=width * 0.7,
        y2=height * 0.9,
    )
    return Result(model=info.name, version="1", task=info.task, boxes=(box,), seconds=0.003)
