"""What is told of every prediction: a line in the log, numbers in the metrics."""

from __future__ import annotations

from dataclasses import asdict

import structlog

from tintype.errors import ServingError, TintypeError, UnknownModel
from tintype.metrics import REFUSED, RESULT_SECONDS, RESULTS, STAGE_SECONDS, Metrics
from tintype.predict import PredictRequest
from tintype.types import Box, LabelScore, Prediction, Result

log = structlog.get_logger(__name__)


class PredictionLog:
    """An Observer: one line a result, so that each has its model, version, label and score.

    No picture, no name of a file and no other text of the caller is in it.
    """

    def answered(self, request: PredictRequest, prediction: Prediction) -> None:
        """Write what was answered, with the milliseconds of each stage."""
        stages = {
            f"{stage}_ms": round(seconds * 1000, 3)
            for stage, seconds in asdict(prediction.seconds).items()
        }
        for result in prediction.results:
            log.info(
                "prediction",
                **_who(request),
                id=prediction.id,
                model=_served(result),
                version=result.version,
                **_first(result),
                **stages,
            )

    def refused(self, request: PredictRequest, error: TintypeError, *, seconds: float) -> None:
        """Write why there was no answer; a warning where the server is the one to blame."""
        tell = log.warning if isinstance(error, ServingError) else log.info
        tell(
            "prediction refused",
            **_who(request),
            reason=error.type,
            total_ms=round(seconds * 1000, 3),
        )


class PredictionMetrics:
    """An Observer: counts results and refusals, and keeps the seconds of each stage."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def answered(self, request: PredictRequest, prediction: Prediction) -> None:  # noqa: ARG002 - every observer takes it
        """Count each result; time each stage."""
        metrics, seconds = self._metrics, prediction.seconds
        for result in prediction.results:
            outcome = result.error.type if result.error else "ok"
            metrics.count(RESULTS, _served(result), result.version, outcome)
            metrics.observe(RESULT_SECONDS, result.seconds, _served(result), result.version)
        metrics.observe(STAGE_SECONDS, seconds.decode, "decode")
        metrics.observe(STAGE_SECONDS, seconds.prepare, "prepare")
        metrics.observe(STAGE_SECONDS, seconds.queue, "queue")
        metrics.observe(STAGE_SECONDS, seconds.run, "run")
        metrics.observe(STAGE_SECONDS, seconds.total, "total")

    def refused(self, request: PredictRequest, error: TintypeError, *, seconds: float) -> None:  # noqa: ARG002 - every observer takes it
        """Count the reason."""
        self._metrics.count(REFUSED, error.type)


def _who(request: PredictRequest) -> dict[str, object]:
    """Who asked, as far as it is known, and how many bytes they sent."""
    caller = request.caller
    named = {"request_id": caller.request_id} if caller.request_id else {}
    return {**named, "key": caller.key, "bytes": len(request.image)}


def _served(result: Result) -> str:
    """The model's name; empty for one that is not served, whose name is the caller's own text."""
    unknown = result.error is not None and result.error.type == UnknownModel.type
    return "" if unknown else result.model


def _first(result: Result) -> dict[str, object]:
    """The best label or box, or the type of the error."""
    if result.error is not None:
        return {"error": result.error.type}
    found: tuple[LabelScore | Box, ...] = result.labels or result.boxes or ()
    if not found:
        return {"label": None, "score": None}
    return {"label": found[0].label, "score": round(found[0].score, 6)}
