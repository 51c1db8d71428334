"""The page's way of saying whether it was right: plain forms, with or without scripts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from tintype.errors import MalformedRequest, TintypeError
from tintype.predict import Predictor
from tintype.record.recorder import Recorder
from tintype.record.values import Judged, RecordedPrediction, RecordedResult, Said
from tintype.types import Point
from tintype.web.access import caller_of
from tintype.web.body import read_body
from tintype.web.errors import problem_of, status_of
from tintype.web.options import read_options
from tintype.web.page_view import Verdict, verdict_of, words_of
from tintype.web.predictions import prediction_id, recording, valid_id
from tintype.web.render import render
from tintype.web.responses import BY_FRAGMENT, html_response
from tintype.web.same_origin import refuse_foreign_form
from tintype.web.uploads import UploadLimits

_FIELDS: Final = 16
_FRAGMENT: Final = "x-fragment"


class FeedbackPages:
    """``/feedback`` takes the form; ``/predictions/{id}`` shows what is recorded."""

    def __init__(
        self, predictor: Predictor, record: Recorder | None, *, limits: UploadLimits, title: str
    ) -> None:
        self._predictor = predictor
        self._record = record
        self._limits = limits
        self._title = title

    async def submit(self, request: Request) -> Response:
        """Keep what the form says.

        Scripts get the form again with a word of thanks, and errors as problems; without scripts
        the prediction's own page follows, or a page that says what was wrong.
        """
        by_script = _FRAGMENT in request.headers
        try:
            return await self._submitted(request, by_script=by_script)
        except TintypeError as error:
            if by_script:
                raise
            return self._told(error)

    async def show(self, request: Request) -> Response:
        """One recorded prediction."""
        try:
            found = await recording(self._record).find(prediction_id(request))
        except TintypeError as error:
            return self._told(error)
        return html_response(self._page(found), headers=BY_FRAGMENT)

    async def _submitted(self, request: Request, *, by_script: bool) -> Response:
        refuse_foreign_form(request.headers)
        record = recording(self._record)
        body = await read_body(request, limits=self._limits)
        fields = _read_form(body)
        name = valid_id(fields.get("id", ""))
        said = _said(fields)
        try:
            result, judged = await record.say(name, said, key=caller_of(request).key)
        except MalformedRequest as error:
            if not by_script:
                raise
            return self._again(name, said, error)
        if not by_script:
            return Response(b"", status_code=303, headers={"Location": f"/predictions/{name}"})
        html = render("_verdict.html", verdict=self._verdict(name, result, judged))
        return html_response(html, headers=BY_FRAGMENT)

    def _page(self, found: RecordedPrediction) -> str:
        at = datetime.fromtimestamp(found.at_ms / 1000, UTC)
        titles = {info.name: info.title or info.name for info in self._predictor.models()}
        return render(
            "prediction.html",
            title=self._title,
            prediction=found,
            at=f"{at:%Y-%m-%d %H:%M:%S} UTC",
            titles=titles,
            verdicts=[self._verdict(found.id, result, result.feedback) for result in found.results],
        )

    def _again(self, name: str, said: Said, error: MalformedRequest) -> Response:
        """The form again, with what was wrong with it."""
        verdict = verdict_of(
            name,
            model=said.model or "",
            point=said.point,
            labels=self._labels(said.model or ""),
            words=f"{error.message}. {error.hint or ''}".strip(),
            failed=True,
        )
        html = render("_verdict.html", verdict=verdict)
        return html_response(html, status=400, headers=BY_FRAGMENT)

    def _told(self, error: TintypeError) -> Response:
        """A page that says what was wrong."""
        problem = problem_of(error)
        html = render("refused.html", title=self._title, problem=problem)
        return html_response(html, status=status_of(problem), headers=BY_FRAGMENT)

    def _verdict(self, name: str, result: RecordedResult, judged: Judged | None) -> Verdict:
        answered = tuple(each.label for each in result.labels or ())
        return verdict_of(
            name,
            model=result.model,
            point=result.point,
            labels=() if result.boxes is not None else self._labels(result.model) or answered,
            words=words_of(judged),
        )

    def _labels(self, model: str) -> tuple[str, ...]:
        """The labels of a served model, none for one that is no longer served."""
        return next((each.labels for each in self._predictor.models() if each.name == model), ())


def _read_form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode("utf-8"), max_num_fields=_FIELDS, strict_parsing=bool(body))
    except ValueError as error:
        raise MalformedRequest("the form cannot be read", hint="send it from the page") from error
    return dict(pairs)


def _said(fields: dict[str, str]) -> Said:
    """What the pressed button means: right, wrong, or the label that was chosen."""
    pressed = fields.get("correct")
    correct = None if pressed is None else pressed == "true"
    return Said(
        correct=correct,
        label=fields.get("label", "").strip() or None if correct is None else None,
        model=fields.get("model") or None,
        point=_point(fields),
    )


def _point(fields: dict[str, str]) -> Point | None:
    pairs = [(name, fields[name]) for name in ("x", "y") if name in fields]
    points = read_options(pairs, max_points=1).points
    return points[0] if points else None
