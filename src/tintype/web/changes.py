"""Changes of what is served, asked for over HTTP."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tintype.errors import ModelUnavailable
from tintype.models.keeper import Keeper
from tintype.predict import Predictor
from tintype.web.responses import json_response
from tintype.web.same_origin import refuse_foreign_form


class Changes:
    """``POST /api/models/{name}/reload``. Without a keeper nothing can be changed."""

    def __init__(self, predictor: Predictor, *, keeper: Keeper | None) -> None:
        self._predictor = predictor
        self._keeper = keeper

    async def reload(self, request: Request) -> Response:
        """Load a model anew; answer what is served now. Raises why it stays as it was.

        Pages of other sites may not ask: such a POST needs no leave of the browser's.
        """
        refuse_foreign_form(request.headers)
        name = str(request.path_params["name"])
        self._predictor.model(name)
        if self._keeper is None:
            raise ModelUnavailable("this server does not follow the files of its models")
        await self._keeper.reload(name)
        return json_response(self._predictor.model(name))
