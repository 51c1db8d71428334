"""``Predictor``: which models a request asks, its place in line, and the prediction made of it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from tintype.batching.admission import Admission, AdmissionPolicy, Hold
from tintype.errors import ModelUnavailable, Overloaded, TintypeError, UnknownModel
from tintype.ids import new_id
from tintype.imaging.header import Header, read_header
from tintype.imaging.limits import DecodeLimits
from tintype.models.absent import AbsentModel
from tintype.models.hosted import Hosted
from tintype.models.info import ModelInfo
from tintype.models.registry import Registry
from tintype.predict.answers import Answered, Answering, Asked, Asking, raise_if_none_answered
from tintype.predict.observer import Observer
from tintype.predict.request import PredictPolicy, PredictRequest
from tintype.types import Prediction, Seconds


class Predictor:
    """Answers pictures with the models that are served. Owns no threads and no models."""

    def __init__(
        self,
        models: Registry,
        *,
        answering: Answering,
        limits: DecodeLimits,
        policy: PredictPolicy,
        observers: tuple[Observer, ...] = (),
    ) -> None:
        self._models = models
        self._answering = answering
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

    def refusal(self, names: tuple[str, ...] = (), *, arriving: int = 0) -> Overloaded | None:
        """Why a question to these models would be refused now, before it is read.

        Without names, whatever it asks: every model has too many. ``arriving`` such questions
        were let in before it and did not get here yet.
        """
        models = self._models
        if self._admission.is_quiet(arriving=arriving):
            return None
        if names:
            found = [models.find(name) for name in names]
            asked: tuple[Asked, ...] = tuple(each[1] or each[0].stable for each in found if each)
            return self._refusal(asked, arriving=arriving) if all(found) else None
        asked = (*(each.stable for each in models.all()), *models.all_absent())
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
        left = math.inf if request.seconds is None else request.seconds
        deadline = begun + min(self._policy.deadline_seconds, left)
        asked = self._asked(request.models, request.image)
        with self._models.holding([model for model in asked if not isinstance(model, AbsentModel)]):
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
        with self._stand_in_line(asked, each=len(request.points) or 1) as line:
            answers = await self._answering.answer(
                Asking(request=request, header=header, asked=asked, line=line, deadline=deadline)
            )
        groups = answers.groups
        raise_if_none_answered(groups)
        queued, ran = _longest(groups, parallel=self._policy.parallel)
        return Prediction(
            id=new_id(),
            image=answers.facts,
            results=tuple([answer.result for group in groups for answer in group]),
            seconds=Seconds(
                decode=answers.seconds.decode,
                prepare=answers.seconds.prepare,
                queue=answers.seconds.queue + queued,
                run=ran,
                total=time.monotonic() - begun,
            ),
            look=answers.look,
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
        if self._admission.is_quiet(arriving=arriving) or any(model.fallback for model in asked):
            return None
        return self._admission.refusal(
            [model.name for model in asked if isinstance(model, Hosted)], arriving=arriving
        )

    def _stand_in_line(self, asked: tuple[Asked, ...], *, each: int) -> Hold:
        """A place for ``each`` questions to every model. Raises Overloaded where there is none."""
        refusal = self._refusal(asked)
        if refusal is not None:
            raise refusal
        names = tuple([model.name for model in asked if not isinstance(model, AbsentModel)])
        return self._admission.hold(names, each=each)


def _longest(groups: Sequence[Sequence[Answered]], *, parallel: bool) -> tuple[float, float]:
    """Seconds that the models let a picture wait, and that they ran; side by side, the slowest."""
    queue = [max([answer.queue_seconds for answer in group]) for group in groups]
    run = [max([answer.run_seconds for answer in group]) for group in groups]
    together = max if parallel else sum
    return together(queue), together(run)


def _may_answer(model: Asked) -> bool:
    return isinstance(model, Hosted) or bool(model.fallback)
