"""The one use case: a picture goes in, a prediction comes out. Every front door calls it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from tintype.batching.admission import Admission, AdmissionPolicy, Hold
from tintype.batching.gate import ByteGate
from tintype.errors import (
    DeadlineExceeded,
    ModelUnavailable,
    Overloaded,
    ServingError,
    TintypeError,
    UnknownModel,
)
from tintype.imaging.decode import Pixels, decode, decoded_bytes
from tintype.imaging.encoded import encoded_row
from tintype.imaging.explain import seen
from tintype.imaging.header import Header, read_header
from tintype.imaging.limits import DecodeLimits
from tintype.imaging.look import look_of
from tintype.imaging.prepare import prepare
from tintype.imaging.steps import Decode
from tintype.imaging.view import cut
from tintype.imaging.window import seen_window
from tintype.models.absent import AbsentModel, fallback_labels
from tintype.models.host import Found, ModelHost
from tintype.models.info import ModelInfo
from tintype.models.registry import Registry
from tintype.types import (
    Explain,
    ImageFacts,
    PictureLook,
    Point,
    Prediction,
    Result,
    ResultError,
    Seconds,
    SeenInput,
    Tensor,
    Window,
)

T = TypeVar("T")
_QUICK_PIXELS: Final = 6_000_000  # about 50 ms of decoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: the id of the HTTP request, and the name of the API key, empty without one."""

    request_id: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictRequest:
    """One picture and what is asked of it.

    No ``models`` asks every served model, no ``points`` looks at the whole picture (or at its
    middle, where a model looks at a part). ``top`` and ``threshold`` (0..1) override the card.
    """

    image: bytes
    models: tuple[str, ...] = ()
    points: tuple[Point, ...] = ()
    top: int | None = None
    threshold: float | None = None
    explain: frozenset[Explain] = frozenset()
    caller: Caller = field(default_factory=Caller)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictPolicy:
    """How a request is answered.

    ``deadline_seconds``: how long it may take, from its arrival to its answer. ``parallel``: the
    models asked run side by side, else one after the other. ``max_wait_seconds`` and
    ``max_in_flight``: see ``AdmissionPolicy``.
    """

    deadline_seconds: float = 30.0
    parallel: bool = True
    max_wait_seconds: float = 2.0
    max_in_flight: int = 512


class Observer(Protocol):
    """Is told of every request: the record, the metrics and the log are observers.

    Called in the event loop, before the caller has the answer. Must not block, await or raise.
    """

    def answered(self, request: PredictRequest, prediction: Prediction) -> None:
        """A prediction is about to be given; some of its results may be errors."""
        ...

    def refused(self, request: PredictRequest, error: TintypeError, *, seconds: float) -> None:
        """The request ends with ``error``, ``seconds`` after it came."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """One model asked about one point: the row to run, and what the model saw if asked."""

    host: ModelHost
    point: Point | None
    row: Tensor
    window: Window
    input: SeenInput | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A picture made ready for every model asked, with the seconds it took."""

    facts: ImageFacts
    look: PictureLook
    questions: dict[ModelHost, tuple[_Question, ...]]
    """For each model that is there, one question a point."""
    decode_seconds: float
    prepare_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """Threads that decode: ``quick`` for most pictures, ``slow`` for those that take long.

    Each lane has as many threads as it can use, so that a few huge pictures never stand before
    the small ones; the operating system shares the processors between the lanes.
    """

    quick: ThreadPoolExecutor
    slow: ThreadPoolExecutor

    def of(self, header: Header) -> ThreadPoolExecutor:
        """The lane of a picture, by the pixels that its decoder must go over."""
        work = header.width * header.height * header.scans
        return self.slow if work > _QUICK_PIXELS else self.quick


_Asked: TypeAlias = ModelHost | AbsentModel


class Predictor:
    """Answers pictures with the models that are served. Owns no threads and no models."""

    def __init__(  # noqa: PLR0913 - the parts it is wired from
        self,
        models: Registry,
        *,
        lanes: Lanes,
        gate: ByteGate,
        limits: DecodeLimits,
        policy: PredictPolicy,
        observers: tuple[Observer, ...] = (),
    ) -> None:
        self._models = models
        self._lanes = lanes
        self._gate = gate
        self._limits = limits
        self._policy = policy
        self._observers = observers
        self._admission = Admission(
            AdmissionPolicy(
                max_wait_seconds=policy.max_wait_seconds, max_in_flight=policy.max_in_flight
            )
        )

    def models(self) -> tuple[ModelInfo, ...]:
        """Every served model, in the order given."""
        return tuple(served.info(served.stable) for served in self._models.all())

    def model(self, name: str) -> ModelInfo:
        """One served model, or one version of it (``pets@canary``). Raises UnknownModel."""
        found = self._models.find(name)
        if found is None:
            raise self._missing(name).error
        served, version = found
        return served.info(version or served.stable)

    def absent(self) -> tuple[AbsentModel, ...]:
        """Every model that should be served and is not there."""
        return self._models.all_absent()

    def header(self, image: bytes) -> Header:
        """What a picture says of itself, held to the limits. Raises ImageError."""
        return read_header(image, limits=self._limits)

    def check(self, names: tuple[str, ...]) -> None:
        """Raise what a request for these models would, where none of them could answer it."""
        self._asked(names, b"")

    def ready(self) -> bool:
        """Whether every model is loaded and warm, but for remotes that are down beside others."""
        return self._models.ready()

    def refusal(self) -> Overloaded | None:
        """Why any question would be refused now, before it is read: every model has too many."""
        models = self._models
        return self._refusal((*(each.stable for each in models.all()), *models.all_absent()))

    async def predict(self, request: PredictRequest) -> Prediction:
        """Answer one picture.

        A model that fails, is late or is not there leaves an error in its own result, with the
        fallback labels of its card; the others answer. Raises ImageError, RequestError, and the
        first model's error when none could answer and none has a fallback.
        """
        begun = time.monotonic()
        try:
            prediction = await self._answer(request, begun=begun)
        except TintypeError as error:
            for observer in self._observers:
                observer.refused(request, error, seconds=time.monotonic() - begun)
            raise
        for observer in self._observers:
            observer.answered(request, prediction)
        return prediction

    async def _answer(self, request: PredictRequest, *, begun: float) -> Prediction:
        deadline = begun + self._policy.deadline_seconds
        asked = self._asked(request.models, request.image)
        hosts = tuple(model for model in asked if isinstance(model, ModelHost))
        with self._models.holding(hosts):
            return await self._answer_with(asked, request, begun=begun, deadline=deadline)

    async def _answer_with(
        self,
        asked: tuple[_Asked, ...],
        request: PredictRequest,
        *,
        begun: float,
        deadline: float,
    ) -> Prediction:
        header = self.header(request.image)
        hosts = tuple(model for model in asked if isinstance(model, ModelHost))
        with self._stand_in_line(asked, each=len(request.points) or 1) as line:
            prepared = await self._prepare(request, header, hosts, deadline=deadline)
            groups = await self._ask_all(asked, prepared, request, line=line, deadline=deadline)
        answers = [answer for group in groups for answer in group]
        _raise_if_none_answered(answers)
        together = max if self._policy.parallel else sum
        return Prediction(
            id=uuid.uuid4().hex,
            image=prepared.facts,
            results=tuple(answer.result for answer in answers),
            seconds=Seconds(
                decode=prepared.decode_seconds,
                prepare=prepared.prepare_seconds,
                queue=together(max(answer.queue_seconds for answer in group) for group in groups),
                run=together(max(answer.run_seconds for answer in group) for group in groups),
                total=time.monotonic() - begun,
            ),
            look=prepared.look,
        )

    def _missing(self, name: str) -> AbsentModel:
        """Why there is no model of that name."""
        return self._models.absent(name) or AbsentModel(
            name=name,
            error=UnknownModel(
                f"no model {name!r} is served; served are: {', '.join(self._models.names())}",
                hint="GET /api/models lists them",
            ),
        )

    def _asked(self, names: tuple[str, ...], image: bytes) -> tuple[_Asked, ...]:
        """The models of that name; without names all, and the absent that have a fallback.

        Raises the error of the first where none is there and none has a fallback.
        """
        asked: tuple[_Asked, ...]
        if names:
            chosen = (self._models.choose(name, image) or self._missing(name) for name in names)
            asked = tuple({(model.name, model.version): model for model in chosen}.values())
        else:
            absent = (model for model in self._models.all_absent() if model.fallback)
            asked = (*self._models.choose_all(image), *absent)
        if not asked:
            missing = next(iter(self._models.all_absent()), None)
            raise missing.error if missing else ModelUnavailable("no model is served")
        first = asked[0]
        if isinstance(first, AbsentModel) and not any(_may_answer(model) for model in asked):
            raise first.error
        return asked

    async def _prepare(
        self,
        request: PredictRequest,
        header: Header,
        hosts: tuple[ModelHost, ...],
        *,
        deadline: float,
    ) -> _Prepared:
        """Decode in a thread, with the memory for it held until that thread has ended."""
        async with self._gate.hold(decoded_bytes(header), deadline=deadline) as held:
            work = held.keep_for(
                self._lanes.of(header).submit(_prepare_all, request, header, hosts)
            )
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    return await asyncio.wrap_future(work)
            except TimeoutError:
                raise DeadlineExceeded(
                    "the deadline passed before the picture was decoded",
                    hint="the setting requests.deadline_seconds moves it",
                ) from None

    def _refusal(self, asked: Sequence[_Asked]) -> Overloaded | None:
        """Why nobody may be asked now. A model with a fallback always has an answer."""
        if any(model.fallback for model in asked):
            return None
        return self._admission.refusal(
            [model.name for model in asked if isinstance(model, ModelHost)]
        )

    def _stand_in_line(self, asked: tuple[_Asked, ...], *, each: int) -> Hold:
        """A place for ``each`` questions to every model. Raises Overloaded where there is none."""
        refusal = self._refusal(asked)
        if refusal is not None:
            raise refusal
        names = tuple(model.name for model in asked if isinstance(model, ModelHost))
        return self._admission.hold(names, each=each)

    async def _ask_all(
        self,
        asked: tuple[_Asked, ...],
        prepared: _Prepared,
        request: PredictRequest,
        *,
        line: Hold,
        deadline: float,
    ) -> list[list[_Answered]]:
        """Ask every model about every point: one list a model, in the order asked."""

        async def ask(model: _Asked) -> list[_Answered]:
            if isinstance(model, AbsentModel):
                return [_absence(model, point) for point in request.points or (None,)]
            within = _deadline_of(model, deadline=deadline)
            questions = prepared.questions[model]
            return await _together([in_line(each, within) for each in questions])

        async def in_line(question: _Question, within: float) -> _Answered:
            answered = await self._ask(question, request, within)
            if answered.failure is None:
                line.answered(question.host.name)
            return answered

        if self._policy.parallel:
            return await _together([ask(model) for model in asked])
        return [await ask(model) for model in asked]

    async def _ask(
        self, question: _Question, request: PredictRequest, deadline: float
    ) -> _Answered:
        host = question.host
        begun = time.monotonic()
        failure: ServingError | None = None
        found, queue, run = Found(), 0.0, 0.0
        try:
            answer = await host.submit(question.row, deadline=deadline)
            queue, run = answer.queue_seconds, answer.run_seconds
            found = host.read_out(
                answer.outputs, window=question.window, top=request.top, threshold=request.threshold
            )
        except DeadlineExceeded as error:
            failure = _late(host, error)
        except ServingError as error:
            failure = error
        fallback = None if failure is None else host.fallback
        return _Answered(
            result=Result(
                model=host.name,
                version=host.version,
                task=host.task,
                point=question.point,
                labels=found.labels if fallback is None else fallback,
                boxes=found.boxes,
                error=_told(failure),
                fallback=fallback is not None,
                seconds=time.monotonic() - begun,
                input=question.input,
            ),
            failure=failure,
            queue_seconds=queue,
            run_seconds=run,
        )


async def _together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Everything side by side; one alone needs no task of its own."""
    if len(work) == 1:
        return [await work[0]]
    return await asyncio.gather(*work)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered:
    """One question's result, and the error behind a failed one."""

    result: Result
    failure: TintypeError | None
    queue_seconds: float = 0.0
    run_seconds: float = 0.0


def _may_answer(model: _Asked) -> bool:
    return isinstance(model, ModelHost) or bool(model.fallback)


def _deadline_of(host: ModelHost, *, deadline: float) -> float:
    """When the wait for a model ends that is asked now: its own deadline, or the request's."""
    own = host.deadline_seconds
    return deadline if own is None else min(deadline, time.monotonic() + own)


def _late(host: ModelHost, error: DeadlineExceeded) -> DeadlineExceeded:
    """The error with the card's own limit in its words, where there is one."""
    own = host.deadline_seconds
    if own is None:
        return error
    return DeadlineExceeded(
        f"{error.message}; its card allows {own:g} s",
        hint="deadline_seconds in its model.toml moves it",
        limit=own,
    )


def _absence(model: AbsentModel, point: Point | None) -> _Answered:
    labels = fallback_labels(model.fallback, labels=())
    return _Answered(
        result=Result(
            model=model.name,
            version=model.version,
            task=model.task,
            point=point,
            labels=labels,
            error=_told(model.error),
            fallback=labels is not None,
        ),
        failure=model.error,
    )


def _told(error: TintypeError | None) -> ResultError | None:
    return None if error is None else ResultError(type=error.type, detail=error.message)


def _raise_if_none_answered(answers: Sequence[_Answered]) -> None:
    """Raise the first failure where there is neither an answer nor a fallback."""
    failure = answers[0].failure
    if failure and all(each.failure and not each.result.fallback for each in answers):
        raise failure


def _prepare_all(
    request: PredictRequest, header: Header, hosts: tuple[ModelHost, ...]
) -> _Prepared:
    """Decode once for every way of decoding that a model wants, and make every row.

    One way after the other, each with its rows: never are two decoded pictures in memory.
    """
    seconds = {"decode": 0.0, "prepare": 0.0}
    facts: list[ImageFacts] = []
    looks: list[PictureLook] = []
    questions: dict[ModelHost, list[_Question]] = {host: [] for host in hosts}
    points = request.points or (None,)
    explain = "input" in request.explain
    ways = dict.fromkeys(host.recipe.decode for host in hosts)
    for how in ways or (Decode(),):  # a picture is looked at, even where no model is there
        begun = time.monotonic()
        picture = decode(request.image, header=header, how=how)
        decoded = time.monotonic()
        facts.append(picture.facts)
        looks.append(look_of(picture.array))
        for host in hosts:
            if host.recipe.decode == how:
                questions[host] += [
                    _question(host, picture, point, image=request.image, explain=explain)
                    for point in points
                ]
        del picture  # before the next one is made
        seconds["decode"] += decoded - begun
        seconds["prepare"] += time.monotonic() - decoded
    return _Prepared(
        facts=facts[0],
        look=looks[0],
        questions={host: tuple(asked) for host, asked in questions.items()},
        decode_seconds=seconds["decode"],
        prepare_seconds=seconds["prepare"],
    )


def _question(
    host: ModelHost, picture: Pixels, point: Point | None, *, image: bytes, explain: bool
) -> _Question:
    recipe, target = host.recipe, host.target
    if target.tensor.dtype == "string":
        row = encoded_row(image, picture=picture, recipe=recipe, point=point)
        shown: Tensor = cut(picture.array, view=recipe.view, point=point)
    else:
        row = shown = prepare(picture.array, recipe=recipe, target=target, point=point)
    return _Question(
        host=host,
        point=point,
        row=row,
        window=seen_window(
            width=picture.facts.width,
            height=picture.facts.height,
            recipe=recipe,
            target=target,
            point=point,
        ),
        input=seen(shown, recipe=recipe, target=target) if explain else None,
    )
