"""Predictions without models, for tests of the record: ours and yours."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from pathlib import Path

from tintype.record.values import Entry, ModelFacts, now_ms
from tintype.types import (
    Box,
    ImageFacts,
    LabelScore,
    PictureLook,
    Point,
    Prediction,
    Result,
    ResultError,
    Seconds,
    Task,
)

PETS = ModelFacts(
    name="pets",
    version="1",
    task=Task.CLASSIFY,
    path=Path("pets.h5"),
    recipe='{"preset":"raw"}',
    labels=("cat", "dog", "bird"),
)
THINGS = ModelFacts(
    name="things", version="2", task=Task.DETECT, path=Path("things.tflite"), recipe="{}", labels=()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeCaller:
    """Who asks."""

    request_id: str = "req"
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeRequest:
    """What is asked."""

    image: bytes = b"picture"
    caller: FakeCaller = field(default_factory=FakeCaller)


def classified(
    *scores: tuple[str, float], point: Point | None = None, error: ResultError | None = None
) -> Result:
    """A result of ``PETS``, best label first."""
    return Result(
        model=PETS.name,
        version=PETS.version,
        task=Task.CLASSIFY,
        point=point,
        labels=tuple(
            LabelScore(
                index=PETS.labels.index(label) if label in PETS.labels else 0,
                label=label,
                score=score,
            )
            for label, score in scores
        ),
        error=error,
        seconds=0.25,
    )


def detected() -> Result:
    """A result of ``THINGS`` with one box."""
    box = Box(index=0, label="cup", score=0.75, x1=1, y1=2, x2=3, y2=4)
    return Result(
        model=THINGS.name,
        version=THINGS.version,
        task=Task.DETECT,
        boxes=(box,),
        seconds=0.5,
    )


def predicted(*results: Result, sha256: str = "ab" * 32) -> Prediction:
    """A prediction with an id of its own; without results, one that says dog."""
    return Prediction(
        id=uuid.uuid4().hex,
        image=ImageFacts(width=640, height=480, format="jpeg", sha256=sha256, orientation=6),
        results=results or (classified(("dog", 0.75), ("cat", 0.25)),),
        seconds=Seconds(decode=0.001, prepare=0.002, queue=0.003, run=0.004, total=0.01),
        look=PictureLook(brightness=0.5, contrast=0.25, colour=0.125, detail=0.0625),
    )


def entry(prediction: Prediction, *, at_ms: int | None = None, key: str = "") -> Entry:
    """A prediction on its way into the record."""
    return Entry(
        at_ms=now_ms() if at_ms is None else at_ms,
        request_id="req",
        key=key,
        image_bytes=1234,
        prediction=prediction,
        models={(facts.name, facts.version): facts for facts in (PETS, THINGS)},
    )
