"""Changes of what is served, asked for over HTTP."""

from __future__ import annotations

from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from tintype.errors import ModelUnavailable, TintypeError
from tintype.models.keeper import Keeper
from tintype.predict import Predictor
from tintype.siblings import Siblings
from tintype.web.responses import json_response
from tintype.web.same_origin import refuse_foreign_form

log = structlog.get_logger(__name__)

_QUESTION: Final = "reload"
_LOAD_SECONDS: Final = 600.0


class Changes:
    """``POST /api/models/{name}/reload``. Without a keeper nothing can be changed."""

    def __init__(
        self, predictor: Predictor, *, keeper: Keeper | None, siblings: Siblings | None = None
    ) -> None:
        self._predictor = predictor
        self._keeper = keeper
        self._siblings = siblings

    async def reload(self, request: Request) -> Response:
        """Load a model anew; answer what is served now. Raises why it stays as it was.

        Other processes do so when this one has succeeded, and are waited for.
        Pages of other sites may not ask: such a POST needs no leave of the browser's.
        """
        refuse_foreign_form(request.headers)
        name = str(request.path_params["name"])
        self._predictor.model(name)
        if self._keeper is None:
            raise ModelUnavailable("this server does not follow the files of its models")
        await self._keeper.reload(name)
        if self._siblings is not None:
            await _reload_others(self._siblings, name)
        return json_response(self._predictor.model(name))


def answer_reloads(siblings: Siblings, keeper: Keeper) -> None:
    """Load anew what another process has loaded anew; the answer is why that failed, or empty."""

    async def reload(name: str) -> str:
        try:
            await keeper.reload(name)
        except TintypeError as error:
            return error.message
        return ""

    siblings.answer(_QUESTION, reload)


async def _reload_others(siblings: Siblings, name: str) -> None:
    told = await siblings.ask(_QUESTION, str, about=name, seconds=_LOAD_SECONDS)
    if len(told) < siblings.of - 1:  # one that starts will load what is there; one may stand still
        log.warning(
            "a reload was not heard by all", model=name, heard=len(told) + 1, of=siblings.of
        )
    failed = [why for why in told.values() if why]
    if failed:
        raise ModelUnavailable(
            f"{len(failed)} of {siblings.of} processes serve {name!r} as it was: {failed[0]}",
            hint="try again: the others have it already",
        )
