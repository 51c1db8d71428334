"""The one use case, with the shipped fake engine: scores follow the mean colour."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tintype.batching.gate import ByteGate
from tintype.batching.policy import BatchPolicy
from tintype.engines.engine import EngineOptions
from tintype.engines.fake import PICTURES, FakeEngine, Gate, colour_scores
from tintype.errors import (
    DeadlineExceeded,
    EngineFailed,
    ImageTooLarge,
    ModelUnavailable,
    Overloaded,
    TintypeError,
    UnknownModel,
    UnsupportedImageFormat,
)
from tintype.imaging.decode import decoded_bytes
from tintype.imaging.header import Header, read_header
from tintype.imaging.limits import DecodeLimits
from tintype.imaging.recipe import parse_recipe
from tintype.modelfiles.description import ModelDescription
from tintype.models.absent import AbsentModel
from tintype.models.card import Card
from tintype.models.host import ModelHost
from tintype.models.info import Health
from tintype.models.plan import ModelPlan
from tintype.models.registry import Registry
from tintype.predict import Caller, Lanes, Observer, Predictor, PredictPolicy, PredictRequest
from tintype.predict.here import Here
from tintype.predict.prepare import Preparer
from tintype.types import (
    Activation,
    ClassOutput,
    Format,
    Graph,
    ImageInput,
    Layout,
    Point,
    Prediction,
    TensorSpec,
)

COLOURS = ("red", "green", "blue")
SCORES = TensorSpec(name="scores", shape=(None, 3))


def plan(name: str = "colours", **recipe: object) -> ModelPlan:
    """A plan whose engine is handed in: red, green or blue on 8 x 8 pixels, 0..1."""
    target = ImageInput(tensor=PICTURES, layout=Layout.NHWC, height=8, width=8, channels=3)
    description = ModelDescription(
        path=Path("colours.onnx"),
        format=Format.ONNX,
        writer=None,
        image=target,
        output=ClassOutput(tensor=SCORES, classes=3, activation=Activation.SOFTMAX),
        graph=Graph(format=Format.ONNX, source=b"", input=PICTURES, outputs=(SCORES,)),
    )
    return ModelPlan(
        card=Card(name=name, file=description.path),
        description=description,
        target=target,
        labels=COLOURS,
        labels_source="none",
        recipe=parse_recipe({"preset": "raw", "values": "x/255", "geometry": "stretch", **recipe}),
        recipe_is_guess=False,
        recipe_reasons=(),
        recipe_override="",
        engine="fake",
        engine_reason="",
        top=3,
        threshold=None,
        warnings=(),
    )


def carded(name: str, **card: object) -> ModelPlan:
    """A plan whose card says more than the name."""
    made = plan(name)
    return replace(made, card=replace(made.card, **card))


def host(made: ModelPlan | None = None, engine: FakeEngine | None = None) -> ModelHost:
    return ModelHost(
        made or plan(),
        policy=BatchPolicy(),
        options=EngineOptions(),
        engine=engine or FakeEngine(),
    )


@asynccontextmanager
async def serving(
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


def png(*columns: tuple[int, int, int], width: int = 16, height: int = 16) -> bytes:
    """A picture of upright stripes, one a colour."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for number, colour in enumerate(columns):
        left = number * width // len(columns)
        pixels[:, left : (number + 1) * width // len(columns)] = colour
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


RED, BLUE = (255, 0, 0), (0, 0, 255)


async def test_a_picture_gets_its_labels_best_first():
    """A red picture is red, and the answer holds all that was promised."""
    async with serving(host()) as predictor:
        prediction = await predictor.predict(PredictRequest(image=png(RED)))
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


async def test_no_model_named_asks_every_model():
    """All served models answer, in their order."""
    async with serving(host(plan("a")), host(plan("b"))) as predictor:
        prediction = await predictor.predict(PredictRequest(image=png(RED)))
    assert ["a", "b"] == [result.model for result in prediction.results]


async def test_named_models_answer_once_each():
    """A model asked for twice answers once."""
    async with serving(host(plan("a")), host(plan("b"))) as predictor:
        request = PredictRequest(image=png(RED), models=("b", "b"))
        prediction = await predictor.predict(request)
    assert ["b"] == [result.model for result in prediction.results]


async def test_every_point_has_its_result():
    """One decode, two points, two answers: each looks at its own place."""
    looking = plan(view={"kind": "pixels", "size": 4})
    points = (Point(x=2, y=8), Point(x=13, y=8))
    async with serving(host(looking)) as predictor:
        prediction = await predictor.predict(PredictRequest(image=png(RED, BLUE), points=points))
    assert [("red", points[0]), ("blue", points[1])] == [
        (result.labels[0].label, result.point) for result in prediction.results
    ]


async def test_top_and_threshold_of_the_request_win():
    """The request's own numbers override the card's."""
    async with serving(host()) as predictor:
        one = await predictor.predict(PredictRequest(image=png(RED), top=1))
        sure = await predictor.predict(PredictRequest(image=png(RED), threshold=0.9))
    assert [1, 1] == [len(one.results[0].labels), len(sure.results[0].labels)]


async def test_what_the_model_saw_is_told_when_asked():
    """explain=input brings the tensor as a picture, else nothing."""
    async with serving(host()) as predictor:
        told = await predictor.predict(PredictRequest(image=png(RED), explain=frozenset({"input"})))
        untold = await predictor.predict(PredictRequest(image=png(RED)))
    assert (8, 8, 3) == told.results[0].input.shape
    assert told.results[0].input.png.startswith("data:image/png;base64,")
    assert untold.results[0].input is None


async def test_an_unknown_model_is_named():
    """The message lists what is served."""
    async with serving(host()) as predictor:
        with pytest.raises(UnknownModel, match=r"'pets'.*served are: colours"):
            await predictor.predict(PredictRequest(image=png(RED), models=("pets",)))


async def test_a_picture_too_large_is_refused_before_it_is_decoded():
    """The header alone decides."""
    async with serving(host(), max_pixels=100) as predictor:
        with pytest.raises(ImageTooLarge):
            await predictor.predict(PredictRequest(image=png(RED)))


async def test_what_is_no_picture_is_refused():
    """Bytes of no known picture format."""
    async with serving(host()) as predictor:
        with pytest.raises(UnsupportedImageFormat):
            await predictor.predict(PredictRequest(image=b"hello"))


def failing() -> FakeEngine:
    """Fails every run but the first, which warms it."""
    runs = iter([None])

    def fail(_batch: object) -> None:
        if next(runs, "later") == "later":
            raise EngineFailed("broken on purpose")

    return FakeEngine(before_run=fail)


async def test_a_failing_model_leaves_its_error_and_the_others_answer():
    """One bad model hurts nobody else."""
    async with serving(host(plan("bad"), failing()), host(plan("good"))) as predictor:
        prediction = await predictor.predict(PredictRequest(image=png(RED)))
    bad, good = prediction.results
    assert ("engine-failed", "broken on purpose", None) == (
        bad.error.type,
        bad.error.detail,
        bad.labels,
    )
    assert "red" == good.labels[0].label


async def test_when_no_model_answers_the_error_is_raised():
    """A single failing model is the request's failure."""
    async with serving(host(engine=failing())) as predictor:
        with pytest.raises(EngineFailed, match="on purpose"):
            await predictor.predict(PredictRequest(image=png(RED)))


async def test_a_late_model_is_past_the_deadline():
    """The request never outlasts its deadline, whatever the engine does."""
    gate = Gate()
    gate.let()  # the warm-up
    async with serving(host(engine=FakeEngine(before_run=gate)), deadline=0.2) as predictor:
        with pytest.raises(DeadlineExceeded):
            await predictor.predict(PredictRequest(image=png(RED)))
        gate.open()


async def test_ready_follows_the_models():
    """Ready while loaded, not before and not after."""
    served = host()
    assert Health.LOADING is served.health
    async with serving(served) as predictor:
        assert predictor.ready()
    assert Health.DRAINING is served.health


async def test_a_model_that_has_gone_is_unavailable():
    """After draining, rows are refused in words."""
    gone = host(plan("gone"))
    async with serving(host(plan("here")), gone) as predictor:
        await gone.__aexit__(None, None, None)
        prediction = await predictor.predict(PredictRequest(image=png(RED)))
        with pytest.raises(ModelUnavailable):
            await predictor.predict(PredictRequest(image=png(RED), models=("gone",)))
    assert ["red", "model-unavailable"] == [
        result.error.type if result.error else result.labels[0].label
        for result in prediction.results
    ]


async def test_pictures_asked_together_are_answered_each_for_itself():
    """Concurrent requests share batches and keep their answers apart."""
    async with serving(host()) as predictor:
        colours = [RED, BLUE] * 10
        predictions = await asyncio.gather(
            *(predictor.predict(PredictRequest(image=png(colour))) for colour in colours)
        )
    assert ["red", "blue"] * 10 == [p.results[0].labels[0].label for p in predictions]


async def test_info_tells_no_path():
    """What is told about a model names its file, never a folder of the server."""
    async with serving(host()) as predictor:
        (info,) = predictor.models()
    assert ("colours.onnx", "raw", Health.READY) == (
        info.file,
        info.recipe["preset"],
        info.health,
    )


@contextmanager
def busy_lane() -> Iterator[tuple[ThreadPoolExecutor, threading.Event]]:
    """A lane whose only thread has work until the event is set."""
    release, begun = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as lane:
        lane.submit(lambda: (begun.set(), release.wait(20)))
        begun.wait(20)
        try:
            yield lane, release
        finally:
            release.set()


async def test_a_slow_picture_does_not_stand_before_a_quick_one():
    """The slow lane has no thread left; an ordinary picture is answered all the same."""
    with busy_lane() as (slow, _), ThreadPoolExecutor(1) as quick:
        async with serving(host(), lanes=Lanes(quick=quick, slow=slow)) as predictor:
            prediction = await predictor.predict(PredictRequest(image=png(RED)))
    assert "red" == prediction.results[0].labels[0].label


@pytest.mark.parametrize(
    ("side", "scans", "lane"), [(1000, 1, "quick"), (3000, 1, "slow"), (1000, 20, "slow")]
)
def test_the_lane_goes_by_the_decoder_s_work(side, scans, lane):
    """Pixels times passes over them."""
    header = Header(format="jpeg", width=side, height=side, scans=scans)
    with ThreadPoolExecutor(1) as quick, ThreadPoolExecutor(1) as slow:
        assert {"quick": quick, "slow": slow}[lane] is Lanes(quick=quick, slow=slow).of(header)


async def test_the_wait_for_a_decoder_ends_at_the_deadline():
    """No thread is free to decode: 504 in time, and not when a thread becomes free."""
    with busy_lane() as (lane, _):
        async with serving(host(), deadline=0.05, lanes=Lanes(quick=lane, slow=lane)) as predictor:
            with pytest.raises(DeadlineExceeded, match="decoded"):
                await predictor.predict(PredictRequest(image=png(RED)))


async def test_two_ways_of_decoding_need_the_memory_of_one():
    """A picture that fits is not refused because two models want it decoded differently."""
    picture = png(RED)
    most = decoded_bytes(read_header(picture, limits=DecodeLimits()))
    hosts = host(plan("a")), host(plan("b", orientation="ignore"))
    async with serving(*hosts, gate=ByteGate(most)) as predictor:
        prediction = await predictor.predict(PredictRequest(image=picture))
    assert ["a", "b"] == [result.model for result in prediction.results]


class Notes:
    """An observer that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []

    def answered(self, request: PredictRequest, prediction: Prediction) -> None:
        """Note the prediction."""
        self.told.append((request.caller.key, prediction))

    def refused(self, request: PredictRequest, error: TintypeError, *, seconds: float) -> None:
        """Note the error."""
        assert seconds >= 0
        self.told.append((request.caller.key, error))


async def test_observers_are_told_of_every_answer():
    """The very prediction the caller gets, with who asked."""
    notes = Notes()
    async with serving(host(), observers=(notes,)) as predictor:
        asked = PredictRequest(image=png(RED), caller=Caller(key="shop"))
        prediction = await predictor.predict(asked)
    assert [("shop", prediction)] == notes.told


async def test_observers_are_told_of_every_refusal():
    """The error that the caller gets."""
    notes = Notes()
    async with serving(host(), observers=(notes,)) as predictor:
        with pytest.raises(TintypeError) as raised:
            await predictor.predict(PredictRequest(image=b"no picture"))
    assert [("", raised.value)] == notes.told


def hanging() -> tuple[Gate, FakeEngine]:
    """An engine that is warm and then hangs until the gate is opened."""
    gate = Gate()
    gate.let()  # the warm-up
    return gate, FakeEngine(before_run=gate)


async def test_a_late_model_leaves_its_error_and_fallback_and_the_others_answer():
    """Its own deadline ends the wait long before the request's; nobody takes it for an answer."""
    gate, engine = hanging()
    slow = carded("slow", deadline_seconds=0.05, fallback=("blue", "sea"))
    async with serving(host(slow, engine), host(plan("quick"))) as predictor:
        prediction = await predictor.predict(PredictRequest(image=png(RED)))
        gate.open()
    late, answered = prediction.results
    assert ("deadline-exceeded", True) == (late.error.type, late.fallback)
    assert "its card allows 0.05 s" in late.error.detail
    assert [("blue", 2, 0.0), ("sea", -1, 0.0)] == [
        (each.label, each.index, each.score) for each in late.labels
    ]
    assert ("red", False) == (answered.labels[0].label, answered.fallback)


@pytest.mark.parametrize("parallel", [True, False])
async def test_the_total_never_outlasts_the_request_s_deadline(parallel):
    """Three models hang, with later deadlines of their own or none, at two points each."""
    gates, engines = zip(*(hanging() for _ in range(3)), strict=True)
    plans = carded("a", deadline_seconds=60, fallback=("x",)), plan("b"), plan("c")
    hosts = [host(made, engine) for made, engine in zip(plans, engines, strict=True)]
    points = (Point(x=1, y=1), Point(x=9, y=9))
    asked = PredictRequest(image=png(RED), points=points)
    async with serving(*hosts, deadline=0.3, parallel=parallel) as predictor:
        prediction = await predictor.predict(asked)
        for gate in gates:
            gate.open()
    assert ["a", "a", "b", "b", "c", "c"] == [result.model for result in prediction.results]
    assert {"deadline-exceeded"} == {result.error.type for result in prediction.results}
    assert prediction.seconds.total < 2 * 0.3


async def test_a_failing_model_with_a_fallback_is_no_failure_of_the_request():
    """The caller's page never breaks: the only model fails, and the answer says so."""
    made = carded("bad", fallback=("red",))
    async with serving(host(made, failing())) as predictor:
        prediction = await predictor.predict(PredictRequest(image=png(RED)))
    (result,) = prediction.results
    assert ("engine-failed", True, "red") == (
        result.error.type,
        result.fallback,
        result.labels[0].label,
    )


async def test_a_crowd_before_a_hanging_model_is_told_its_fallback():
    """Also those for whom no turn came: a model with a fallback always has an answer."""
    gate, engine = hanging()
    async with serving(host(carded("slow", fallback=("red",)), engine), deadline=0.3) as predictor:
        asked = [predictor.predict(PredictRequest(image=png(RED))) for _ in range(40)]
        predictions = await asyncio.gather(*asked, return_exceptions=True)
        gate.open()
    assert {True} == {getattr(each, "results", [each])[0].fallback for each in predictions}


async def test_a_crowd_waits_no_longer_than_the_card_allows():
    """The time in which others have their turn counts."""
    gate, engine = hanging()
    async with serving(host(carded("slow", deadline_seconds=0.2), engine)) as predictor:
        asked = [predictor.predict(PredictRequest(image=png(RED))) for _ in range(80)]
        begun = time.monotonic()
        late = await asyncio.gather(*asked, return_exceptions=True)
        seconds = time.monotonic() - begun
        gate.open()
    assert {DeadlineExceeded} == {type(each) for each in late}
    assert seconds < 3 * 0.2


async def test_a_crowd_before_a_hanging_model_is_told_the_fallback_of_an_absent_one():
    """It has nothing to wait for."""
    gate, engine = hanging()
    async with serving(host(engine=engine), deadline=0.3, absent=(GONE,)) as predictor:
        asked = [predictor.predict(PredictRequest(image=png(RED))) for _ in range(20)]
        predictions = await asyncio.gather(*asked, return_exceptions=True)
        gate.open()
    assert {2} == {len(getattr(each, "results", ())) for each in predictions}


async def test_a_model_that_is_not_served_leaves_its_error_and_the_others_answer():
    """One of two names is unknown."""
    async with serving(host(plan("here"))) as predictor:
        asked = PredictRequest(image=png(RED), models=("there", "here"))
        prediction = await predictor.predict(asked)
    there, here = prediction.results
    assert ("unknown-model", None, False) == (there.error.type, there.labels, there.fallback)
    assert "red" == here.labels[0].label


GONE = AbsentModel(
    name="gone",
    version="2",
    fallback=("beach",),
    error=ModelUnavailable("the model 'gone' could not be loaded"),
)


async def test_an_absent_model_tells_its_fallback_without_being_named():
    """It was meant to be served: one result a point, with its error."""
    points = (Point(x=1, y=1), Point(x=9, y=9))
    async with serving(host(plan("here")), absent=(GONE,)) as predictor:
        asked = PredictRequest(image=png(RED), points=points)
        prediction = await predictor.predict(asked)
    assert [("here", points[0]), ("here", points[1]), ("gone", points[0]), ("gone", points[1])] == [
        (result.model, result.point) for result in prediction.results
    ]
    absent = prediction.results[-1]
    assert ("model-unavailable", "beach", True, "2") == (
        absent.error.type,
        absent.labels[0].label,
        absent.fallback,
        absent.version,
    )


async def test_an_absent_model_alone_tells_its_fallback_and_what_the_picture_was():
    """No model is there to look at the picture; it must be one all the same."""
    async with serving(host(plan("here")), absent=(GONE,)) as predictor:
        asked = PredictRequest(image=png(RED), models=("gone",))
        prediction = await predictor.predict(asked)
        with pytest.raises(UnsupportedImageFormat):
            await predictor.predict(replace(asked, image=b"hello"))
    assert ("beach", 16) == (prediction.results[0].labels[0].label, prediction.image.width)


async def test_an_absent_model_without_a_fallback_speaks_only_when_named():
    """A damaged file in a folder is nobody's answer."""
    bare = replace(GONE, fallback=())
    async with serving(host(plan("here")), absent=(bare,)) as predictor:
        every = await predictor.predict(PredictRequest(image=png(RED)))
        with pytest.raises(ModelUnavailable, match="could not be loaded"):
            await predictor.predict(PredictRequest(image=png(RED), models=("gone",)))
    assert ["here"] == [result.model for result in every.results]


def meeting(parties: int) -> threading.Barrier:
    return threading.Barrier(parties, timeout=10)


async def test_models_run_side_by_side():
    """Each of two engines waits for the other to be at work: only together can they answer."""
    barrier = meeting(2)
    warm = {"a": iter([None]), "b": iter([None])}

    def engine(name: str) -> FakeEngine:
        def meet(_batch: object) -> None:
            if next(warm[name], "later") == "later":
                barrier.wait()

        return FakeEngine(before_run=meet)

    hosts = [host(plan(name), engine(name)) for name in ("a", "b")]
    async with serving(*hosts) as predictor:
        prediction = await predictor.predict(PredictRequest(image=png(RED)))
    assert [None, None] == [result.error for result in prediction.results]


async def test_in_series_a_model_is_asked_when_the_one_before_it_has_answered():
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

    hosts = [host(plan(name), engine(name)) for name in ("a", "b", "c")]
    async with serving(*hosts, parallel=False) as predictor:
        seen.clear()  # of warming up
        prediction = await predictor.predict(PredictRequest(image=png(RED)))
    assert [("a",), ("b",), ("c",)] == seen
    assert ["a", "b", "c"] == [result.model for result in prediction.results]
    spent = [result.seconds for result in prediction.results]
    assert prediction.seconds.queue + prediction.seconds.run <= sum(spent)


async def test_in_series_a_late_model_leaves_time_for_the_next():
    """The first hangs until its own deadline; the second answers within the request's."""
    gate, engine = hanging()
    slow = carded("slow", deadline_seconds=0.05, fallback=("blue",))
    async with serving(host(slow, engine), host(plan("b")), parallel=False) as predictor:
        prediction = await predictor.predict(PredictRequest(image=png(RED)))
        gate.open()
    assert [True, False] == [result.fallback for result in prediction.results]


@pytest.mark.parametrize(("names", "refused"), [((), True), (("a",), True), (("nobody",), False)])
async def test_a_question_that_nobody_has_read_is_refused_where_its_models_have_too_many(
    names, refused
):
    """One to a model that is not served is read, and told so."""
    async with serving(host(plan("a")), host(plan("b"))) as predictor:
        assert predictor.refusal(names) is None
        assert refused == isinstance(predictor.refusal(names, arriving=512), Overloaded)


async def test_a_question_to_a_model_with_a_fallback_is_always_read():
    """Its caller is promised an answer."""
    safe = carded("safe", fallback=("red",))
    async with serving(host(safe), host(plan("b"))) as predictor:
        assert predictor.refusal(("safe",), arriving=512) is None
        assert predictor.refusal(("b",), arriving=512) is not None
