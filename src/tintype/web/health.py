"""Whether the process lives, and whether it is ready for requests."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tintype.predict import Predictor
from tintype.web.responses import json_response

_RETRY_AFTER = {"Retry-After": "1"}


class Health:
    """``/live`` and ``/ready``, for supervisors and load balancers."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    async def live(self, request: Request) -> Response:  # noqa: ARG002 - every handler takes the request
        """The process answers: nothing else is looked at."""
        return json_response({"status": "alive"})

    async def ready(self, request: Request) -> Response:  # noqa: ARG002 - every handler takes the request
        """200 once every model is loaded and warm, else 503; with the health of each.

        A model on another server that is down keeps a server with others ready.
        """
        models = {model.name: str(model.health) for model in self._predictor.models()}
        models |= {model.name: str(model.health) for model in self._predictor.absent()}
        ready = self._predictor.ready()
        body = {"status": "ready" if ready else "not ready", "models": models}
        if not ready:
            return json_response(body, status=503, headers=_RETRY_AFTER)
        return json_response(body)
