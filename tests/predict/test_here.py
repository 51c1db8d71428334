"""Models of this process are asked side by side or in series, each within its own deadline."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading

import numpy as np
import pytest
from msgspec.structs import replace

from tintype.engines.fake import FakeEngine, colour_scores
from tintype.errors import DeadlineExceeded, EngineFailed, ImageError, ModelUnavailable
from tintype.predict import Predictor, PredictRequest
from tintype.types import Point


async def test_a_failing_model_leaves_its_error_and_the_others_answer(serving, host, red, failing):
    """One bad model hurts nobody else."""
    async with serving(host("bad", failing), host("good")) as predictor:
        prediction = await predictor.predict(red)
    bad, good = prediction.results
    assert ("engine-failed", "broken on purpose", None) == (
        bad.error.type,
        bad.error.detail,
        bad.labels,
    )
    assert "red" == good.labels[0].label


async def test_when_no_model_answers_the_error_is_raised(serving, host, red, failing):
    """A single failing model is the request's failure."""
    async with serving(host(engine=failing)) as predictor:
        with pytest.raises(EngineFailed, match="on purpose"):
            await predictor.predict(red)


async def test_a_failing_model_with_a_fallback_is_no_failure_of_the_request(
    serving, host, red, failing
):
    """The caller's page never breaks: the only model fails, and the answer says so."""
    async with serving(host("bad", failing, fallback=("red",))) as predictor:
        prediction = await predictor.predict(red)
    (result,) = prediction.results
    assert ("engine-failed", True, "red") == (
        result.error.type,
        result.fallback,
        result.labels[0].label,
    )


async def test_a_model_that_has_gone_is_unavailable(serving, host, red):
    """After draining, rows are refused in words."""
    gone = host("gone")
    async with serving(host("here"), gone) as predictor:
        await gone.__aexit__(None, None, None)
        prediction = await predictor.predict(red)
        with pytest.raises(ModelUnavailable):
            await predictor.predict(replace(red, models=("gone",)))
    assert ["red", "model-unavailable"] == [
        result.error.type if result.error else result.labels[0].label
        for result in prediction.results
    ]


async def test_a_late_model_is_past_the_deadline(serving, host, red, hanging):
    """The request never outlasts its deadline, whatever the engine does."""
    gate, engine = hanging()
    async with serving(host(engine=engine), deadline=0.2) as predictor:
        with pytest.raises(DeadlineExceeded):
            await predictor.predict(red)
        gate.open()


async def test_a_late_model_leaves_its_error_and_fallback_and_the_others_answer(
    serving, host, red, hanging
):
    """Its own deadline ends the wait long before the request's; nobody takes it for an answer."""
    gate, engine = hanging()
    slow = host("slow", engine, deadline_seconds=0.05, fallback=("blue", "sea"))
    async with serving(slow, host("quick")) as predictor:
        prediction = await predictor.predict(red)
        gate.open()
    late, answered = prediction.results
    assert ("deadline-exceeded", True) == (late.error.type, late.fallback)
    assert "its card allows 0.05 s" in late.error.detail
    assert [("blue", 2, 0.0), ("sea", -1, 0.0)] == [
        (each.label, each.index, each.score) for each in late.labels
    ]
    assert ("red", False) == (answered.labels[0].label, answered.fallback)


@pytest.mark.parametrize("parallel", [True, False])
async def test_the_total_never_outlasts_the_request_s_deadline(
    serving, host, red, hanging, parallel
):
    """Three models hang, with later deadlines of their own or none, at two points each."""
    gates, engines = zip(*(hanging() for _ in range(3)), strict=True)
    hosts = (
        host("a", engines[0], deadline_seconds=60, fallback=("x",)),
        host("b", engines[1]),
        host("c", engines[2]),
    )
    asked = replace(red, points=(Point(x=1, y=1), Point(x=9, y=9)))
    async with serving(*hosts, deadline=0.3, parallel=parallel) as predictor:
        prediction = await predictor.predict(asked)
        for gate in gates:
            gate.open()
    assert ["a", "a", "b", "b", "c", "c"] == [result.model for result in prediction.results]
    assert {"deadline-exceeded"} == {result.error.type for result in prediction.results}
    assert prediction.seconds.total < 2 * 0.3


async def test_models_run_side_by_side(serving, host, red):
    """Each of two engines waits for the other to be at work: only together can they answer."""
    barrier = threading.Barrier(2, timeout=10)
    warm = {"a": iter([None]), "b": iter([None])}

    def engine(name: str) -> FakeEngine:
        def meet(_batch: object) -> None:
            if next(warm[name], "later") == "later":
                barrier.wait()

        return FakeEngine(before_run=meet)

    async with serving(*(host(name, engine(name)) for name in ("a", "b"))) as predictor:
        prediction = await predictor.predict(red)
    assert [None, None] == [result.error for result in prediction.results]


async def test_in_series_a_model_is_asked_when_the_one_before_it_has_answered(serving, host, red):
    """Never are two at work, and the order is that of the answer."""
    at_work: list[str] = []
    seen: list[tuple[str, ...]] = []

    def engine(name: str) -> FakeEngine:
        def note(_batch: object) -> None:
            at_work.append(name)
            seen.append(tuple(at_work))

        def answer(batch: np.ndarray) -> np.ndarray:
            at_work.remove(name)
            return colour_scores(3)(batch)

        return FakeEngine(before_run=note, answer=answer)

    hosts = [host(name, engine(name)) for name in ("a", "b", "c")]
    async with serving(*hosts, parallel=False) as predictor:
        seen.clear()  # of warming up
        prediction = await predictor.predict(red)
    assert [("a",), ("b",), ("c",)] == seen
    assert ["a", "b", "c"] == [result.model for result in prediction.results]
    spent = [result.seconds for result in prediction.results]
    assert prediction.seconds.queue + prediction.seconds.run <= sum(spent)


async def test_in_series_a_late_model_leaves_time_for_the_next(serving, host, red, hanging):
    """The first hangs until its own deadline; the second answers within the request's."""
    gate, engine = hanging()
    slow = host("slow", engine, deadline_seconds=0.05, fallback=("blue",))
    async with serving(slow, host("b"), parallel=False) as predictor:
        prediction = await predictor.predict(red)
        gate.open()
    assert [True, False] == [result.fallback for result in prediction.results]


async def _let_go_after(
    error: type[Exception], predictor: Predictor, asked: PredictRequest
) -> None:
    """Ask in vain, and wait until threads and the loop are done with the picture.

    Without any collection of garbage. pytest still has the last error.
    """
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(asked.image)
        for _ in range(5):
            with pytest.raises(error):
                await predictor.predict(asked)
        async with asyncio.timeout(20):
            while sys.getrefcount(asked.image) > before + 1:  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0)
    finally:
        gc.enable()


async def test_a_picture_that_cannot_be_decoded_is_let_go_at_once(serving, host, stripes):
    """Nothing keeps its bytes until some collection of garbage."""
    torn = PredictRequest(image=stripes((255, 0, 0), (0, 0, 255))[:50])
    async with serving(host()) as predictor:
        await _let_go_after(ImageError, predictor, torn)


async def test_of_a_failing_engine_no_picture_is_kept(serving, host, red, failing):
    """Its error goes to the asker without the frames that held the row."""
    async with serving(host(engine=failing)) as predictor:
        await _let_go_after(EngineFailed, predictor, red)
