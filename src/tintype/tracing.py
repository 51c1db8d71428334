"""OpenTelemetry traces: a span a request, and in it the stages of its prediction.

Nothing of OpenTelemetry is imported until a ``Tracing`` is made. Its own variables (``OTEL_...``)
say where spans go and how they are sampled.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tintype.errors import SettingsError, TintypeError
from tintype.predict import PredictRequest
from tintype.types import Prediction

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

_STAGES: Final = ("decode", "prepare", "queue", "run")
_SERVER_FAULT: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingSettings:
    """Whether requests are traced. Everything else is said by OpenTelemetry's own variables."""

    enabled: bool = False


def provider_from_environment(environment: Mapping[str, str] = os.environ) -> TracerProvider:
    """What makes spans and sends them off, as OpenTelemetry's variables say.

    https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/

    Raises SettingsError when the extra is not installed, or an exporter is asked for that is not
    in it.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - an extra
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import (  # noqa: PLC0415
            BatchSpanProcessor,
            ConsoleSpanExporter,
        )
    except ImportError as error:
        raise SettingsError(
            f"tracing.enabled needs OpenTelemetry ({error})", hint="pip install 'tintype[otel]'"
        ) from error
    makers = {"otlp": OTLPSpanExporter, "console": ConsoleSpanExporter, "none": None}
    name = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if name not in makers:
        raise SettingsError(f"OTEL_TRACES_EXPORTER is {name!r}, expected {', '.join(makers)}")
    named = "OTEL_SERVICE_NAME" in environment or "service.name" in environment.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    provider = TracerProvider(
        resource=Resource.create({} if named else {"service.name": "tintype"})
    )
    make = makers[name]
    if make is not None:
        provider.add_span_processor(BatchSpanProcessor(make()))
    return provider


class Tracing:
    """An Observer that makes spans of predictions, and the span of a request around them."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - an extra, see the module
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        self._api = trace
        self._provider = provider
        self._tracer = provider.get_tracer("tintype")
        self._propagator = TraceContextTextMapPropagator()

    def close(self) -> None:
        """Send what has not been sent, and end. Blocks."""
        self._provider.shutdown()

    @contextmanager
    def request(self, method: str, headers: Mapping[str, str]) -> Iterator[RequestSpan]:
        """A span around a request; a caller's ``traceparent`` is continued (W3C Trace Context)."""
        context = self._propagator.extract(dict(headers))
        span = self._tracer.start_span(method, context, kind=self._api.SpanKind.SERVER)
        span.set_attribute("http.request.method", method)
        with self._api.use_span(span, end_on_exit=True, record_exception=False):
            yield RequestSpan(span, method)

    def answered(self, request: PredictRequest, prediction: Prediction) -> None:
        """A span for the prediction, and one for each stage.

        They are laid end to end backwards from now: the stages follow each other, and what is
        left at the beginning is the wait for memory and for a thread.
        """
        end, seconds = time.time_ns(), prediction.seconds
        whole = self._predict_span(request, end - _nanoseconds(seconds.total))
        whole.set_attribute("tintype.prediction_id", prediction.id)
        whole.set_attribute(
            "tintype.models", [f"{each.model}@{each.version}" for each in prediction.results]
        )
        context, until = self._api.set_span_in_context(whole), end
        for stage in reversed(_STAGES):
            begun = until - _nanoseconds(getattr(seconds, stage))
            self._tracer.start_span(stage, context, start_time=begun).end(until)
            until = begun
        whole.end(end)

    def refused(self, request: PredictRequest, error: TintypeError, *, seconds: float) -> None:
        """A span for the prediction that was none, with the error's type."""
        end = time.time_ns()
        whole = self._predict_span(request, end - _nanoseconds(seconds))
        whole.set_attribute("error.type", error.type)
        whole.end(end)

    def _predict_span(self, request: PredictRequest, begun: int) -> Span:
        span = self._tracer.start_span("predict", start_time=begun)
        span.set_attribute("tintype.image_bytes", len(request.image))
        return span


class RequestSpan:
    """The span of one request, while it is answered."""

    def __init__(self, span: Span, method: str) -> None:
        self._span = span
        self._method = method

    def answered(self, *, route: str, status: int) -> None:
        """Note what was answered, in OpenTelemetry's words for HTTP servers."""
        self._span.update_name(f"{self._method} {route}")
        self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        if status >= _SERVER_FAULT:
            self._span.set_attribute("error.type", str(status))


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
