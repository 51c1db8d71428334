"""The JSON API: a picture or many in, predictions out; and what is served."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from tintype.errors import TintypeError
from tintype.predict import Caller, Predictor, PredictRequest
from tintype.types import Prediction
from tintype.web.access import caller_of, charge
from tintype.web.body import read_body, unless_gone
from tintype.web.errors import internal_problem, problem_of
from tintype.web.inputs import Pictures
from tintype.web.options import Options
from tintype.web.responses import json_response
from tintype.web.schemas import models_body, prediction_body, server_timing
from tintype.web.trace import headers_of
from tintype.web.uploads import BatchUpload, Picture, UploadLimits, read_batch, read_upload

_AT_ONCE: Final = 8
"""Pictures of one batch at work together: enough to fill the models' batches, few enough that a
batch of huge ones neither runs out of patience with itself nor stands before everybody else."""

log = structlog.get_logger(__name__)


class Api:
    """The handlers under ``/api``."""

    def __init__(self, predictor: Predictor, *, pictures: Pictures, limits: UploadLimits) -> None:
        self._predictor = predictor
        self._pictures = pictures
        self._limits = limits

    async def predict(self, request: Request) -> Response:
        """One picture, one or more models, none or more points."""
        body = await read_body(request, limits=self._limits)
        upload = read_upload(
            body,
            content_type=_content_type(request),
            query=_query(request),
            limits=self._limits,
        )
        work = self._answer(upload.image, upload.options, caller=caller_of(request))
        prediction = await unless_gone(request.receive, work)
        return json_response(
            prediction_body(prediction),
            headers={"Server-Timing": server_timing(prediction.seconds)},
        )

    async def predict_batch(self, request: Request) -> Response:
        """Many pictures: a list with a prediction, or an error, for each."""
        body = await read_body(request, limits=self._limits)
        upload = read_batch(
            body,
            content_type=_content_type(request),
            query=_query(request),
            limits=self._limits,
        )
        self._predictor.check(upload.options.models)
        await charge(request, len(upload.images) - 1)
        work = self._answer_all(upload, caller=caller_of(request))
        return json_response(await unless_gone(request.receive, work))

    async def models(self, request: Request) -> Response:  # noqa: ARG002 - every handler takes the request
        """Every served model."""
        return json_response(models_body(self._predictor.models(), self._predictor.absent()))

    async def model(self, request: Request) -> Response:
        """One served model."""
        name = str(request.path_params["name"])
        return json_response(self._predictor.model(name))

    async def _answer(self, picture: Picture, options: Options, *, caller: Caller) -> Prediction:
        async with self._pictures.bytes_of(picture) as image:
            return await self._predictor.predict(predict_request(image, options, caller=caller))

    async def _answer_all(self, upload: BatchUpload, *, caller: Caller) -> list[dict[str, object]]:
        turns = asyncio.Semaphore(_AT_ONCE)

        async def answer(index: int, image: Picture | TintypeError) -> dict[str, object]:
            async with turns:
                return await self._item(image, upload.options, index=index, caller=caller)

        return await asyncio.gather(*(answer(*each) for each in enumerate(upload.images)))

    async def _item(
        self, image: Picture | TintypeError, options: Options, *, index: int, caller: Caller
    ) -> dict[str, object]:
        if isinstance(image, TintypeError):
            return {"error": {**problem_of(image), "index": index}}
        try:
            prediction = await self._answer(image, options, caller=caller)
        except TintypeError as error:
            return {"error": {**problem_of(error), "index": index}}
        except Exception:  # the last handler, once for each picture of a batch
            log.exception("unexpected error", request_id=caller.request_id, index=index)
            return {"error": {**internal_problem(caller.request_id), "index": index}}
        return prediction_body(prediction)


def _content_type(request: Request) -> str:
    return headers_of(request.scope).get(b"content-type", b"").decode("latin-1")


def _query(request: Request) -> list[tuple[str, str]]:
    """Most have none, and are not parsed."""
    return request.query_params.multi_items() if request.scope["query_string"] else []


def predict_request(image: bytes, options: Options, *, caller: Caller) -> PredictRequest:
    """What the predictor is asked, out of what the caller sent."""
    return PredictRequest(
        image=image,
        models=options.models,
        points=options.points,
        top=options.top,
        threshold=options.threshold,
        explain=options.explain,
        caller=caller,
    )
