"""``/dashboard``: how the server and its models are doing, drawn on the server.

It works without scripts; with them it refreshes itself.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from tintype.errors import ImageError, RecordUnavailable, TintypeError
from tintype.imaging.limits import DecodeLimits
from tintype.imaging.thumbnail import thumbnail
from tintype.live import LIVE_QUESTION, Live, LivePart
from tintype.models.info import ModelInfo
from tintype.record.recorder import COUNTS_QUESTION, Recorder
from tintype.record.reports import overview
from tintype.record.values import RecordCounts, all_counts
from tintype.web.dashboard_view import Dashboard, RecordView, chosen, live_view, record_view
from tintype.web.errors import problem_of, status_of
from tintype.web.options import refuse_name
from tintype.web.render import render
from tintype.web.responses import BY_FRAGMENT, html_response
from tintype.web.services import Services

_SIDE: Final = 160
_FRESH_SECONDS: Final = 10.0
"""So long the record is not asked again: pages that refresh themselves are many."""


class DashboardPage:
    """The handler of ``/dashboard``."""

    def __init__(self, services: Services, *, title: str) -> None:
        self._predictor = services.predictor
        self._record = services.record
        self._live = services.live
        self._siblings = services.siblings
        self._references = services.references() if services.references else None
        self._pictures = services.pictures
        self._title = title
        self._known: dict[tuple[str, str], tuple[float, asyncio.Task[RecordView]]] = {}

    async def show(self, request: Request) -> Response:
        """The page, or with ``X-Fragment`` the part that changes."""
        template = "_dashboard.html" if "x-fragment" in request.headers else "dashboard.html"
        try:
            board = await self._board(_model_of(request))
        except TintypeError as error:
            problem = problem_of(error)
            html = render("refused.html", title=self._title, problem=problem)
            return html_response(html, status=status_of(problem), headers=BY_FRAGMENT)
        html = render(template, title=self._title, board=board)
        return html_response(html, headers=BY_FRAGMENT)

    async def _board(self, name: str | None) -> Dashboard:
        models = self._predictor.models()
        model = chosen(models, name) if name is None else self._predictor.model(name)
        told, problem = None, ""
        if self._record is not None and model is not None:
            try:
                told = await self._told(self._record, model)
            except RecordUnavailable as error:
                problem = error.message
        live, counts, silent = await self._now()
        return Dashboard(
            models=models,
            model=model,
            live=None if live is None else live_view(live),
            record=told,
            counts=counts,
            processes=1 if self._siblings is None else self._siblings.of,
            silent=silent,
            problem=problem,
            at=f"{datetime.now(UTC):%H:%M:%S} UTC",
        )

    async def _now(self) -> tuple[Live | None, RecordCounts | None, int]:
        """What the processes have in memory, and how many of them did not tell."""
        parts: dict[int, LivePart] = {}
        counts: dict[int, RecordCounts] = {}
        silent = 0
        if self._siblings is not None:
            parts, counts = await asyncio.gather(
                self._siblings.ask(LIVE_QUESTION, LivePart),
                self._siblings.ask(COUNTS_QUESTION, RecordCounts),
            )
            silent = self._siblings.of - 1 - len(parts)
        live = self._live.view(parts.values()) if self._live else None
        if self._record is None:
            return live, None, silent
        return live, all_counts([self._record.counts(), *counts.values()]), silent

    async def _told(self, record: Recorder, model: ModelInfo) -> RecordView:
        """What the record says; asked once for everybody who looks within some seconds."""
        key, now = (model.name, model.version), time.monotonic()
        at, task = self._known.get(key, (0.0, None))
        if task is None or now - at > _FRESH_SECONDS or _failed(task):
            task = asyncio.ensure_future(self._asked(record, model))
            self._known = {
                known: each for known, each in self._known.items() if now - each[0] < _FRESH_SECONDS
            }
            self._known[key] = (now, task)
        return await asyncio.shield(task)

    async def _asked(self, record: Recorder, model: ModelInfo) -> RecordView:
        name, version = model.name, model.version
        golden = await self._references.of(name, version) if self._references else None
        told = await overview(record, model=name, version=version, golden=golden)
        shown = [each.picture for each in told.disagreements]
        shown += [each.picture for each in told.differences]
        kept = list(dict.fromkeys(name for name in shown if name))
        return record_view(told, thumbnails=await asyncio.to_thread(self._thumbnails, kept))

    def _thumbnails(self, names: Sequence[str]) -> dict[str, str]:
        """Small copies of kept pictures; one that has gone meanwhile, or is odd, is left out."""
        found = {}
        for name in names if self._pictures else ():
            with contextlib.suppress(OSError, ImageError):
                image = self._pictures.read(name) if self._pictures else b""
                small = thumbnail(image, side=_SIDE, limits=DecodeLimits())
                found[name] = f"data:image/jpeg;base64,{base64.b64encode(small).decode()}"
        return found


def _failed(task: asyncio.Task[RecordView]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _model_of(request: Request) -> str | None:
    for name in request.query_params:
        if name != "model":
            refuse_name(name, known=("model",))
    return request.query_params.get("model") or None
