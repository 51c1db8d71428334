"""The handlers of the older routes, and the table that says where each is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from msgspec import structs
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tintype.errors import MalformedRequest, TintypeError
from tintype.imaging.sniff import sniff
from tintype.models.info import ModelInfo
from tintype.predict import Predictor
from tintype.siblings import Siblings
from tintype.types import Point, Prediction, Task
from tintype.web.access import Handler, Need, caller_of
from tintype.web.api import predict_request
from tintype.web.body import read_body, unless_gone
from tintype.web.compat.answers import (
    best_class,
    detections,
    label_percents,
    label_scores,
    labels_of,
    percent_point,
)
from tintype.web.compat.policy import CompatPolicy
from tintype.web.compat.recent import RecentScores, Scored
from tintype.web.compat.requests import (
    detection_request,
    form_picture,
    marked_picture,
    named_picture,
)
from tintype.web.errors import problem_of, status_of
from tintype.web.inputs import Pictures
from tintype.web.options import Options
from tintype.web.page_view import answer_of
from tintype.web.render import render
from tintype.web.responses import html_response, json_response
from tintype.web.uploads import Picture, UploadLimits

_NO_STORE: Final = {"Cache-Control": "no-store"}


class Compat:
    """Answers clients of older systems through the predictor that answers all others."""

    def __init__(  # noqa: PLR0913 - what the routes are built from
        self,
        predictor: Predictor,
        *,
        pictures: Pictures,
        limits: UploadLimits,
        policy: CompatPolicy,
        title: str,
        keeps: bool = False,
        siblings: Siblings | None = None,
    ) -> None:
        self._predictor = predictor
        self._pictures = pictures
        self._limits = limits
        self._policy = policy
        self._title = title
        self._keeps = keeps
        self._recent = RecentScores(policy, siblings=siblings)

    def table(self) -> Mapping[str, Mapping[str, tuple[Handler, Need]]]:
        """Every older route with its methods."""
        return {
            "/classification": {"GET": (self.classification, Need.PREDICT)},
            "/file/": {"POST": (self.file, Need.PAGE)},
            "/classify": {"GET": (self.ask, Need.PAGE), "POST": (self.classify, Need.PAGE)},
            "/score/{id}": {"GET": (self.score, Need.PAGE)},
            "/score/{id}/picture": {"GET": (self.picture, Need.PAGE)},
            "/services/classify/{name}": {"POST": (self.service, Need.PREDICT)},
            "/imageDetection": {"POST": (self.image_detection, Need.PREDICT)},
        }

    async def classification(self, request: Request) -> Response:
        """``flask_tensorflow``: a picture by its path on the server → ``{label: score}``, all."""
        picture = named_picture(request.query_params)
        info = self._classifier(request)
        prediction = await self._answer(request, picture, _all_labels(info))
        return json_response(label_scores(labels_of(prediction)))

    async def file(self, request: Request) -> Response:
        """``dogs_and_cats``: an uploaded file → a page with its class."""
        try:
            name = await self._scored(request)
        except TintypeError as error:
            return self._page("compat_ask.html", {"action": "/file/"}, error=error)
        scored = await self._kept(name)
        verdict = best_class(labels_of(scored.prediction))
        return self._page("compat_file.html", {"verdict": verdict, **self._shown(name, scored)})

    async def ask(self, request: Request) -> Response:  # noqa: ARG002 - every handler takes the request
        """The form that ``/classify`` takes."""
        return self._page("compat_ask.html", {"action": "/classify"})

    async def classify(self, request: Request) -> Response:
        """An uploaded file → a redirect to the page with its scores."""
        try:
            name = await self._scored(request)
        except TintypeError as error:
            return self._page("compat_ask.html", {"action": "/classify"}, error=error)
        return RedirectResponse(f"/score/{name}", status_code=HTTPStatus.FOUND, headers=_NO_STORE)

    async def score(self, request: Request) -> Response:
        """The picture and its percentages, for a few minutes. Raises HTTPException (404)."""
        name = str(request.path_params["id"])
        return self._page("compat_score.html", self._shown(name, await self._kept(name)))

    async def picture(self, request: Request) -> Response:
        """The picture itself. Raises HTTPException (404)."""
        scored = await self._kept(str(request.path_params["id"]))
        if not scored.image:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        media = f"image/{sniff(scored.image)}"
        return Response(scored.image, media_type=media, headers=_NO_STORE)

    async def service(self, request: Request) -> Response:
        """The CherryPy service: a picture and a mark in percent → 201 and labels in percent."""
        info = self._with_labels(str(request.path_params["name"]))
        body = await self._body(request)
        asked = marked_picture(body, content_type=request.headers.get("content-type", ""))
        options = Options(models=(info.name,))
        prediction = await self._answer(request, asked.picture, options, mark=asked.mark)
        return json_response(label_percents(labels_of(prediction)), status=HTTPStatus.CREATED)

    async def image_detection(self, request: Request) -> Response:
        """The TensorFlow Serving gateway: JSON with base64 → boxes as fractions."""
        begun = time.monotonic()
        asked = detection_request(await self._body(request), limits=self._limits)
        info = self._predictor.model(asked.model_name)
        if info.task is not Task.DETECT:
            raise MalformedRequest(f"the model {info.name!r} answers with labels, not with boxes")
        options = Options(models=(info.name,), threshold=asked.threshold)
        prediction = await self._answer(request, asked.image, options)
        answer = detections(
            prediction,
            info=info,
            controller_seconds=time.monotonic() - begun,
            swapped=self._policy.swapped_boxes,
        )
        return json_response(answer)

    async def _scored(self, request: Request) -> str:
        """Answer an uploaded file; it is kept with its answer under the id that comes back."""
        body = await self._body(request)
        image = form_picture(body, content_type=request.headers.get("content-type", ""))
        info = self._classifier(request)
        prediction = await self._answer(request, image, Options(models=(info.name,)))
        labels_of(prediction)
        return self._recent.put(image, prediction)

    async def _body(self, request: Request) -> bytes:
        return await read_body(request, limits=self._limits)

    async def _answer(
        self,
        request: Request,
        picture: Picture,
        options: Options,
        *,
        mark: tuple[float, float] | None = None,
    ) -> Prediction:
        async def answer() -> Prediction:
            async with self._pictures.bytes_of(picture) as image:
                points = () if mark is None else (self._pixel(image, mark),)
                placed = structs.replace(options, points=points)
                asked = predict_request(image, placed, caller=caller_of(request))
                return await self._predictor.predict(asked)

        return await unless_gone(request.receive, answer())

    def _pixel(self, image: bytes, mark: tuple[float, float]) -> Point:
        header = self._predictor.header(image)
        return percent_point(*mark, width=header.upright_width, height=header.upright_height)

    def _classifier(self, request: Request) -> ModelInfo:
        """The model of the query's ``model``, else the first that answers with labels."""
        named = request.query_params.get("model")
        if named:
            return self._with_labels(named)
        for info in self._predictor.models():
            if info.task is Task.CLASSIFY:
                return info
        raise MalformedRequest("no served model answers with labels")

    def _with_labels(self, name: str) -> ModelInfo:
        info = self._predictor.model(name)
        if info.task is not Task.CLASSIFY:
            raise MalformedRequest(
                f"the model {info.name!r} answers with boxes, not with labels",
                hint="POST /imageDetection answers with boxes",
            )
        return info

    async def _kept(self, name: str) -> Scored:
        scored = await self._recent.find(name)
        if scored is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return scored

    def _shown(self, name: str, scored: Scored) -> dict[str, object]:
        """What a page with a kept picture is filled with."""
        answer = answer_of(
            scored.prediction,
            infos=self._predictor.models(),
            image=scored.image,
            name=name,
            curl="",
            recorded=False,  # these pages are as the older systems' were
        )
        address = f"/score/{name}/picture" if scored.image else ""
        return {"answer": answer, "picture": address}

    def _page(
        self, template: str, values: Mapping[str, object], *, error: TintypeError | None = None
    ) -> Response:
        problem = problem_of(error) if error else None
        minutes = self._policy.score_seconds / 60
        html = render(
            template,
            title=self._title,
            problem=problem,
            minutes=minutes,
            keeps=self._keeps,
            **values,
        )
        return html_response(html, status=status_of(problem))


def _all_labels(info: ModelInfo) -> Options:
    return Options(models=(info.name,), top=max(len(info.labels), 1), threshold=0.0)
