"""``/metrics``: what Prometheus reads."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tintype.metrics import Metrics


class Scrape:
    """The page of every metric. Labels are names of models, so it tells what is served."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def metrics(self, request: Request) -> Response:
        """Prometheus' text format, or OpenMetrics where the client asks for it."""
        body, content_type = self._metrics.page(accept=request.headers.get("accept", ""))
        headers = {"Cache-Control": "no-store", "Content-Type": content_type}
        return Response(body, headers=headers)
