"""A canary in the shadow is asked what the stable version was asked; what differs is noted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog

from tintype.errors import EngineFailed
from tintype.metrics import Metrics
from tintype.models.card import Card
from tintype.models.fake import fake_host
from tintype.models.registry import Registry, Served
from tintype.observers import ShadowLog, ShadowMetrics
from tintype.predict import Caller, PredictRequest
from tintype.shadow import Comparison, Outcome, Shadow, agree
from tintype.types import Box, ImageFacts, LabelScore, Point, Prediction, Result, Task
from tintype.web.scrape import MetricsPage

ASKED = PredictRequest(image=b"picture", caller=Caller(request_id="r1"))


def result(version: str, label: str, point: Point | None = None) -> Result:
    return Result(
        model="pets",
        version=version,
        task=Task.CLASSIFY,
        point=point,
        labels=(LabelScore(index=0, label=label, score=0.9),),
    )


def prediction(*results: Result) -> Prediction:
    facts = ImageFacts(width=1, height=1, format="png", sha256="00")
    return Prediction(id="p1", image=facts, results=results)


def served(*, shadow: bool = True) -> Registry:
    hosts = [fake_host(Card(name="pets", file=Path("p.onnx"), version=version)) for version in "12"]
    registry = Registry()
    registry.put(Served(stable=hosts[0], canary=hosts[1], share=0.5, shadow=shadow))
    return registry


class Canary:
    """Answers for the canary, and remembers what it was asked."""

    def __init__(self, *says: Result, error: Exception | None = None) -> None:
        self.asked: list[PredictRequest] = []
        self.says, self.error = says, error
        self.go = asyncio.Event()
        self.go.set()

    async def predict(self, request: PredictRequest) -> Prediction:
        """What it was made to say."""
        self.asked.append(request)
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return prediction(*self.says)


class Notes:
    """A Listener that remembers."""

    def __init__(self) -> None:
        self.told: list[Comparison] = []

    def compared(self, comparison: Comparison) -> None:
        """Note it."""
        self.told.append(comparison)

    def outcomes(self) -> list[str]:
        """What came of each."""
        return [str(comparison.outcome) for comparison in self.told]


@pytest.mark.parametrize(("label", "outcome"), [("dog", "agrees"), ("cat", "differs")])
async def test_the_canary_is_asked_the_same_and_compared(label, outcome):
    """The same picture, by the canary's name."""
    canary, notes = Canary(result("2", label)), Notes()
    async with Shadow(served(), ask=canary.predict, listeners=(notes,)) as shadow:
        shadow.answered(ASKED, prediction(result("1", "dog")))
        await shadow.settled()
    assert [outcome] == notes.outcomes()
    assert [(b"picture", ("pets@canary",))] == [(a.image, a.models) for a in canary.asked]


async def test_every_point_is_compared_with_its_own():
    """Whatever the order."""
    here, there = Point(x=1, y=1), Point(x=2, y=2)
    canary = Canary(result("2", "cat", there), result("2", "dog", here))
    notes = Notes()
    async with Shadow(served(), ask=canary.predict, listeners=(notes,)) as shadow:
        shadow.answered(ASKED, prediction(result("1", "dog", here), result("1", "dog", there)))
        await shadow.settled()
    assert ["agrees", "differs"] == notes.outcomes()
    assert [0, 1] == [comparison.position for comparison in notes.told]
    assert 1 == len(canary.asked)


async def test_only_models_in_shadow_mode_and_only_their_stable_version():
    """An answer that the canary gave itself has nothing to be compared with."""
    canary = Canary()
    for registry, version in ((served(shadow=False), "1"), (served(), "2"), (Registry(), "1")):
        async with Shadow(registry, ask=canary.predict, listeners=()) as shadow:
            shadow.answered(ASKED, prediction(result(version, "dog")))
    assert [] == canary.asked


async def test_a_canary_that_fails_is_counted_and_hurts_nobody():
    """The answer was given long before."""
    notes = Notes()
    canary = Canary(error=EngineFailed("broken"))
    async with Shadow(served(), ask=canary.predict, listeners=(notes,)) as shadow:
        shadow.answered(ASKED, prediction(result("1", "dog")))
        await shadow.settled()
    assert ["failed"] == notes.outcomes()


async def test_work_in_the_shadow_is_bounded():
    """Above eight pictures the rest is skipped and counted; leaving drops what is at work."""
    canary, notes = Canary(), Notes()
    canary.go.clear()
    async with Shadow(served(), ask=canary.predict, listeners=(notes,)) as shadow:
        for _ in range(10):
            shadow.answered(ASKED, prediction(result("1", "dog")))
        await asyncio.sleep(0)
        assert (8, ["skipped"] * 2) == (len(canary.asked), notes.outcomes())


def test_boxes_agree_by_their_labels():
    """In any order; scores and places may differ a little."""

    def boxes(*labels: str) -> Result:
        found = tuple(
            Box(index=0, label=label, score=0.5, x1=0, y1=0, x2=1, y2=1) for label in labels
        )
        return Result(model="things", version="1", task=Task.DETECT, boxes=found)

    assert agree(boxes("cup", "dog"), boxes("dog", "cup"))
    assert not agree(boxes("cup"), boxes("cup", "cup"))


def test_a_disagreement_is_a_line_and_a_number():
    """What either version says; agreement is a number only."""
    metrics = Metrics()
    with structlog.testing.capture_logs() as lines:
        for label, outcome in (("cat", Outcome.DIFFERS), ("dog", Outcome.AGREES)):
            comparison = Comparison(
                request=ASKED,
                prediction_id="p1",
                position=0,
                stable=result("1", "dog"),
                canary=result("2", label),
                outcome=outcome,
            )
            ShadowLog().compared(comparison)
            ShadowMetrics(metrics).compared(comparison)
    (line,) = lines
    assert ("versions differ", "pets", "dog", "cat") == (
        line["event"],
        line["model"],
        line["stable"]["label"],
        line["canary"]["label"],
    )
    text = MetricsPage(metrics).written(accept="")[0].decode()
    assert 'tintype_shadow_total{model="pets",outcome="differs"} 1.0' in text
    assert 'tintype_shadow_total{model="pets",outcome="agrees"} 1.0' in text
