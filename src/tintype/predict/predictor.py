"""``Predictor``: which models a request asks, its place in line, and the prediction made of it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tintype.batching.admission import Admission, AdmissionPolicy, Hold
from tintype.batching.gate import ByteGate
from tintype.errors import ModelUnavailable, Overloaded, TintypeError, UnknownModel
from tintype.ids import new_id
from tintype.imaging.header import Header, read_header
from tintype.imaging.limits import DecodeLimits
from tintype.models.absent import AbsentModel
from tintype.models.host import ModelHost
from tintype.models.info import ModelInfo
from tintype.models.registry import Registry
from tintype.predict.ask import Answered, Asked, Asking
from tintype.predict.observer import Observer
from tintype.predict.prepare import Lanes, Preparer
from tintype.predict.request import PredictPolicy, PredictRequest
from tintype.types import Prediction, Seconds


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
        self._preparer = Preparer(lanes=lanes, gate=gate)
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

    def refusal(self, *, arriving: int = 0) -> Overloaded | None:
        """Why any question would be refused now, before it is read: every model has too many.

        ``arriving`` questions were let in before it and did not get here yet.
        """
        models = self._models
        asked: tuple[Asked, ...] = (*(each.stable for each in models.all()), *models.all_absent())
        return self._refusal(asked, arriving=arriving)

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
        asked: tuple[Asked, ...],
        request: PredictRequest,
        *,
        begun: float,
        deadline: float,
    ) -> Prediction:
        header = self.header(request.image)
        hosts = tuple(model for model in asked if isinstance(model, ModelHost))
        with self._stand_in_line(asked, each=len(request.points) or 1) as line:
            async with self._preparer.turn(header, hosts, deadline=deadline) as turn:
                prepared = await self._preparer.prepare(request, header, hosts, deadline=deadline)
                asking = Asking(
                    request=request, line=line, deadline=deadline, parallel=self._policy.parallel
                )
                groups = await asking.every(asked, prepared)
        answers = [answer for group in groups for answer in group]
        _raise_if_none_answered(answers)
        together = max if self._policy.parallel else sum
        return Prediction(
            id=new_id(),
            image=prepared.facts,
            results=tuple(answer.result for answer in answers),
            seconds=Seconds(
                decode=prepared.decode_seconds,
                prepare=prepared.prepare_seconds,
                queue=turn.waited
                + together(max(answer.queue_seconds for answer in group) for group in groups),
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

    def _asked(self, names: tuple[str, ...], image: bytes) -> tuple[Asked, ...]:
        """The models of that name; without names all, and the absent that have a fallback.

        Raises the error of the first where none is there and none has a fallback.
        """
        asked: tuple[Asked, ...]
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

    def _refusal(self, asked: Sequence[Asked], *, arriving: int = 0) -> Overloaded | None:
        """Why nobody may be asked now. A model with a fallback always has an answer."""
        if any(model.fallback for model in asked):
            return None
        return self._admission.refusal(
            [model.name for model in asked if isinstance(model, ModelHost)], arriving=arriving
        )

    def _stand_in_line(self, asked: tuple[Asked, ...], *, each: int) -> Hold:
        """A place for ``each`` questions to every model. Raises Overloaded where there is none."""
        refusal = self._refusal(asked)
        if refusal is not None:
            raise refusal
        names = tuple(model.name for model in asked if isinstance(model, ModelHost))
        return self._admission.hold(names, each=each)


def _may_answer(model: Asked) -> bool:
    return isinstance(model, ModelHost) or bool(model.fallback)


def _raise_if_none_answered(answers: Sequence[Answered]) -> None:
    """Raise the first failure where there is neither an answer nor a fallback."""
    failure = answers[0].failure
    if failure and all(each.failure and not each.result.fallback for each in answers):
        raise failure
