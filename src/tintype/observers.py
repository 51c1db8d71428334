"""What is told of every prediction and every change of a model: log lines, and metrics."""

from __future__ import annotations

from collections import Counter

import structlog

from tintype.errors import ServingError, TintypeError, UnknownModel
from tintype.metrics import (
    MODEL_CHANGES,
    MODEL_LOAD_SECONDS,
    MODEL_READY,
    QUEUE_PICTURES,
    REFUSED,
    RESULT_SECONDS,
    RESULTS,
    SHADOW,
    STAGE_SECONDS,
    Metrics,
)
from tintype.models.hosted import Hosted
from tintype.models.info import Health
from tintype.models.registry import Registry
from tintype.predict import PredictRequest
from tintype.shadow import Comparison, Outcome
from tintype.types import Box, LabelScore, Prediction, Result

log = structlog.get_logger(__name__)


class PredictionLog:
    """An Observer: one line a result, so that each has its model, version, label and score.

    No picture, no name of a file and no other text of the caller is in it.
    """

    def answered(self, request: PredictRequest, prediction: Prediction) -> None:
        """Write what was answered, with the milliseconds of each stage."""
        seconds = prediction.seconds
        stages = {
            "decode_ms": round(seconds.decode * 1000, 3),
            "prepare_ms": round(seconds.prepare * 1000, 3),
            "queue_ms": round(seconds.queue * 1000, 3),
            "run_ms": round(seconds.run * 1000, 3),
            "total_ms": round(seconds.total * 1000, 3),
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


class ModelLog:
    """ModelEvents: a line for every version that comes, goes or is refused."""

    def loaded(self, host: Hosted, *, seconds: float) -> None:
        """Write which version, on which engine, how long it took, and what was converted."""
        plan = host.plan
        log.info(
            "model loaded",
            model=host.name,
            version=host.version,
            engine=plan.engine,
            device=plan.device,
            precision=host.precision,
            format=plan.description.format.value,
            converted=plan.description.ran_code or "",
            seconds=round(seconds, 3),
        )
        if plan.not_as_tuned:
            log.warning(
                "model not run as tuned",
                model=host.name,
                version=host.version,
                reason=plan.not_as_tuned,
            )

    def refused(self, name: str, error: TintypeError) -> None:
        """Write why the old version stays."""
        log.warning("model change refused", model=name, reason=error.type, detail=error.message)

    def removed(self, host: Hosted) -> None:
        """Write that it has gone."""
        log.info("model removed", model=host.name, version=host.version)


class ModelMetrics:
    """ModelEvents: counts changes, keeps load times, forgets versions that have gone.

    A version that is loaded anew is there twice for a moment: its series go with the last.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._there: Counter[tuple[str, str]] = Counter()

    def loaded(self, host: Hosted, *, seconds: float) -> None:
        """Count it and keep its load time."""
        for change in ("refused", "removed"):
            self._metrics.begin(MODEL_CHANGES, host.name, change)
        self._there[host.name, host.version] += 1
        self._metrics.count(MODEL_CHANGES, host.name, "loaded")
        self._metrics.set(MODEL_LOAD_SECONDS, seconds, host.name, host.version)

    def refused(self, name: str, error: TintypeError) -> None:  # noqa: ARG002 - the log tells why
        """Count it."""
        self._metrics.count(MODEL_CHANGES, name, "refused")

    def removed(self, host: Hosted) -> None:
        """Count it, and drop the version's series."""
        self._metrics.count(MODEL_CHANGES, host.name, "removed")
        self._there[host.name, host.version] -= 1
        if not self._there[host.name, host.version]:
            del self._there[host.name, host.version]
            self._metrics.forget(model=host.name, version=host.version)


class ShadowLog:
    """A Listener of the shadow: a line for each disagreement."""

    def compared(self, comparison: Comparison) -> None:
        """Write what either version says, where they differ."""
        canary = comparison.canary
        if comparison.outcome is Outcome.DIFFERS and canary is not None:
            log.info(
                "versions differ",
                **_who(comparison.request),
                id=comparison.prediction_id,
                model=canary.model,
                stable={"version": comparison.stable.version, **_first(comparison.stable)},
                canary={"version": canary.version, **_first(canary)},
            )


class ShadowMetrics:
    """A Listener of the shadow: counts what came of it."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def compared(self, comparison: Comparison) -> None:
        """Count one comparison."""
        self._metrics.count(SHADOW, comparison.stable.model, comparison.outcome)


def watch_models(metrics: Metrics, registry: Registry) -> None:
    """Tell queues and health of every loaded version at each scrape."""

    def hosts() -> list[Hosted]:
        return [host for served in registry.all() for host in served.hosts()]

    metrics.watch(
        QUEUE_PICTURES, lambda: [((host.name, host.version), host.waiting()) for host in hosts()]
    )
    metrics.watch(
        MODEL_READY,
        lambda: [((host.name, host.version), host.health is Health.READY) for host in hosts()],
    )


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
