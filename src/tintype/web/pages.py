"""The page for people. It works without scripts; with them it asks for the answer's part alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response

from tintype.errors import MalformedRequest, TintypeError
from tintype.predict import Predictor
from tintype.types import Prediction
from tintype.web.access import caller_of, is_signed_in
from tintype.web.api import predict_request
from tintype.web.body import read_body, unless_gone
from tintype.web.errors import problem_of, status_of
from tintype.web.files import File
from tintype.web.inputs import Pictures
from tintype.web.options import read_options
from tintype.web.page_view import (
    Answer,
    Choices,
    answer_of,
    choices_of,
    curl_line,
    file_name,
    picture_url,
    samples_of,
)
from tintype.web.render import render
from tintype.web.responses import BY_FRAGMENT, html_response
from tintype.web.schemas import server_timing
from tintype.web.uploads import Upload, UploadLimits, read_upload

FRAGMENT_HEADER: Final = "x-fragment"


class Pages:
    """``/``: the form, and the answer below it."""

    def __init__(  # noqa: PLR0913 - what the page is made of
        self,
        predictor: Predictor,
        *,
        pictures: Pictures,
        limits: UploadLimits,
        samples: Mapping[str, File],
        title: str,
        recorded: bool,
        keeps: bool,
    ) -> None:
        self._predictor = predictor
        self._pictures = pictures
        self._limits = limits
        self._samples = samples
        self._title = title
        self._recorded = recorded
        self._keeps = keeps

    async def index(self, request: Request) -> Response:
        """The empty form, or with ``sample`` the answer for a sample picture."""
        pairs = list(request.query_params.multi_items())
        names = [value for name, value in pairs if name == "sample"]
        if not names:
            return self._page(request, choices=Choices())
        rest = [pair for pair in pairs if pair[0] != "sample"]
        try:
            file = self._samples.get(names[0])
            if file is None:
                raise MalformedRequest(f"there is no sample picture {names[0][:64]!r}")
            options = read_options(rest, max_points=self._limits.max_points)
            upload = Upload(image=file.data, options=options, name=names[0])
            return await self._answered(request, upload)
        except TintypeError as error:
            return self._page(request, choices=Choices(), error=error)

    async def submit(self, request: Request) -> Response:
        """The answer for a picture sent by the form."""
        choices = Choices()
        try:
            body = await read_body(request, limits=self._limits)
            upload = read_upload(
                body,
                content_type=request.headers.get("content-type", ""),
                query=request.query_params.multi_items(),
                limits=self._limits,
            )
            choices = choices_of(upload.options)
            return await self._answered(request, upload)
        except TintypeError as error:
            return self._page(request, choices=choices, error=error)

    async def _answered(self, request: Request, upload: Upload) -> Response:
        async with self._pictures.bytes_of(upload.image) as image:
            asked = predict_request(image, upload.options, caller=caller_of(request))
            prediction = await unless_gone(request.receive, self._predictor.predict(asked))
            return self._shown(request, upload, image, prediction)

    def _shown(
        self, request: Request, upload: Upload, image: bytes, prediction: Prediction
    ) -> Response:
        name = file_name(upload.name)
        # What the page asks to have explained is for the eye; the line is to copy.
        plain = structs.replace(upload.options, explain=frozenset())
        answer = answer_of(
            prediction,
            infos=self._predictor.models(),
            image=image,
            name=name,
            curl=curl_line(_base(request), plain, name=name),
            recorded=self._recorded,
        )
        if not _wants_fragment(request):
            url = picture_url(image, kind=prediction.image.format)
            answer = dataclasses.replace(answer, picture=url)
        return self._page(request, choices=choices_of(upload.options), answer=answer)

    def _page(
        self,
        request: Request,
        *,
        choices: Choices,
        answer: Answer | None = None,
        error: TintypeError | None = None,
    ) -> Response:
        problem = problem_of(error) if error else None
        template = "_answer.html" if _wants_fragment(request) else "index.html"
        html = render(
            template,
            title=self._title,
            infos=self._predictor.models(),
            samples=samples_of(self._samples),
            choices=choices,
            answer=answer,
            problem=problem,
            limits=self._limits,
            signed_in=is_signed_in(request),
            keeps=self._keeps,
        )
        headers = dict(BY_FRAGMENT)
        if answer is not None:
            headers["Server-Timing"] = server_timing(answer.prediction.seconds)
        return html_response(html, status=status_of(problem), headers=headers)


def _wants_fragment(request: Request) -> bool:
    return FRAGMENT_HEADER in request.headers


def _base(request: Request) -> str:
    """Where the client reached this server, as it told itself."""
    host = request.headers.get("host", "localhost")
    return f"{request.scope['scheme']}://{host}{request.scope.get('root_path', '')}"
