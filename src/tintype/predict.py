"""The one use case: a picture goes in, a prediction comes out. Every front door calls it."""

from __future__ import annotations

import asyncio
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol

from tintype.batching.admission import Admission, AdmissionPolicy
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
from tintype.imaging.explain import seen
from tintype.imaging.header import Header, read_header
from tintype.imaging.limits import DecodeLimits
from tintype.imaging.look import look_of
from tintype.imaging.prepare import prepare
from tintype.imaging.window import seen_window
from tintype.models.host import Found, ModelHost
from tintype.models.info import Health, ModelInfo
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
    """How long a request may take, from its arrival to its answer, in seconds.

    ``max_wait_seconds`` and ``max_in_flight``: see ``AdmissionPolicy``.
    """

    deadline_seconds: float = 30.0
    max_wait_seconds: float = 5.0
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
    questions: tuple[_Question, ...]
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


class Predictor:
    """Answers pictures with the models it was given. Owns no threads and no models."""

    def __init__(  # noqa: PLR0913 - the parts it is wired from
        self,
        hosts: tuple[ModelHost, ...],
        *,
        lanes: Lanes,
        gate: ByteGate,
        limits: DecodeLimits,
        policy: PredictPolicy,
        observers: tuple[Observer, ...] = (),
    ) -> None:
        self._hosts = {host.name: host for host in hosts}
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
        return tuple(host.info() for host in self._hosts.values())

    def model(self, name: str) -> ModelInfo:
        """One served model. Raises UnknownModel."""
        return self._host(name).info()

    def ready(self) -> bool:
        """Whether every model is loaded and warm."""
        return all(host.health is Health.READY for host in self._hosts.values())

    def refusal(self) -> Overloaded | None:
        """Why any question would be refused now, before it is read: every model has too many."""
        return self._admission.refusal(self._hosts)

    async def predict(self, request: PredictRequest) -> Prediction:
        """Answer one picture.

        A model that fails leaves an error in its own result. Raises ImageError, RequestError, and
        a ServingError when no model at all could answer.
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
        hosts = self._asked(request.models)
        header = read_header(request.image, limits=self._limits)
        names = tuple(host.name for host in hosts)
        with self._admission.hold(names, each=len(request.points) or 1) as held:
            prepared = await self._prepare(request, header, hosts, deadline=deadline)

            async def ask(question: _Question) -> _Answered:
                answered = await self._ask(question, request, deadline)
                if answered.failure is None:
                    held.answered(question.host.name)
                return answered

            answers = await asyncio.gather(*(ask(question) for question in prepared.questions))
        _raise_if_none_answered(answers)
        return Prediction(
            id=uuid.uuid4().hex,
            image=prepared.facts,
            results=tuple(answer.result for answer in answers),
            seconds=Seconds(
                decode=prepared.decode_seconds,
                prepare=prepared.prepare_seconds,
                queue=max(answer.queue_seconds for answer in answers),
                run=max(answer.run_seconds for answer in answers),
                total=time.monotonic() - begun,
            ),
            look=prepared.look,
        )

    def _host(self, name: str) -> ModelHost:
        host = self._hosts.get(name)
        if host is None:
            raise UnknownModel(
                f"no model {name!r} is served; served are: {', '.join(self._hosts)}",
                hint="GET /api/models lists them",
            )
        return host

    def _asked(self, names: tuple[str, ...]) -> tuple[ModelHost, ...]:
        if not self._hosts:
            raise ModelUnavailable("no model is served")
        if not names:
            return tuple(self._hosts.values())
        return tuple(self._host(name) for name in dict.fromkeys(names))

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
        except ServingError as error:
            failure = error
        return _Answered(
            result=Result(
                model=host.name,
                version=host.version,
                task=host.task,
                point=question.point,
                labels=found.labels,
                boxes=found.boxes,
                error=None
                if failure is None
                else ResultError(type=failure.type, detail=failure.message),
                seconds=time.monotonic() - begun,
                input=question.input,
            ),
            failure=failure,
            queue_seconds=queue,
            run_seconds=run,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered:
    """One question's result, and the error behind a failed one."""

    result: Result
    failure: ServingError | None
    queue_seconds: float
    run_seconds: float


def _raise_if_none_answered(answers: list[_Answered]) -> None:
    failures = [answer.failure for answer in answers if answer.failure is not None]
    if len(failures) == len(answers):
        raise failures[0]


def _prepare_all(
    request: PredictRequest, header: Header, hosts: tuple[ModelHost, ...]
) -> _Prepared:
    """Decode once for every way of decoding that a model wants, and make every row.

    One way after the other, each with its rows: never are two decoded pictures in memory.
    """
    seconds = {"decode": 0.0, "prepare": 0.0}
    facts: list[ImageFacts] = []
    looks: list[PictureLook] = []
    questions: dict[str, list[_Question]] = {host.name: [] for host in hosts}
    points = request.points or (None,)
    explain = "input" in request.explain
    for how in dict.fromkeys(host.recipe.decode for host in hosts):
        begun = time.monotonic()
        picture = decode(request.image, header=header, how=how)
        decoded = time.monotonic()
        facts.append(picture.facts)
        looks.append(look_of(picture.array))
        for host in hosts:
            if host.recipe.decode == how:
                questions[host.name] += [
                    _question(host, picture, point, explain=explain) for point in points
                ]
        del picture  # before the next one is made
        seconds["decode"] += decoded - begun
        seconds["prepare"] += time.monotonic() - decoded
    return _Prepared(
        facts=facts[0],
        look=looks[0],
        questions=tuple(question for host in hosts for question in questions[host.name]),
        decode_seconds=seconds["decode"],
        prepare_seconds=seconds["prepare"],
    )


def _question(host: ModelHost, picture: Pixels, point: Point | None, *, explain: bool) -> _Question:
    row = prepare(picture.array, recipe=host.recipe, target=host.target, point=point)
    return _Question(
        host=host,
        point=point,
        row=row,
        window=seen_window(
            width=picture.facts.width,
            height=picture.facts.height,
            recipe=host.recipe,
            target=host.target,
            point=point,
        ),
        input=seen(row, recipe=host.recipe, target=host.target) if explain else None,
    )
