"""Traces: a span a request, the prediction's stages in it, and nothing at all when switched off."""

from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tintype.errors import ImageTruncated, SettingsError
from tintype.predict import PredictRequest
from tintype.tracing import Tracing, provider_from_environment
from tintype.types import ImageFacts, Prediction, Result, Seconds, Task

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ASKED = PredictRequest(image=bytes(100))
ANSWER = Prediction(
    id="p1",
    image=ImageFacts(width=1, height=1, format="png", sha256="00"),
    results=(Result(model="pets", version="2", task=Task.CLASSIFY),),
    seconds=Seconds(decode=0.001, prepare=0.002, queue=0.003, run=0.004, total=0.012),
)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(spans) -> Tracing:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return Tracing(provider)


def by_name(spans: InMemorySpanExporter) -> dict:
    return {span.name: span for span in spans.get_finished_spans()}


def test_stages_follow_each_other_inside_the_request(tracing, spans):
    """Request, prediction, stages; end to end up to the answer."""
    with tracing.request("POST", {}) as request:
        tracing.answered(ASKED, ANSWER)
        request.answered(route="/api/predict", status=200)
    told = by_name(spans)
    assert {"decode", "prepare", "queue", "run", "predict", "POST /api/predict"} == set(told)
    assert told["POST /api/predict"].context.span_id == told["predict"].parent.span_id
    for earlier, later in (("decode", "prepare"), ("prepare", "queue"), ("queue", "run")):
        assert told[earlier].end_time == told[later].start_time
        assert told["predict"].context.span_id == told[earlier].parent.span_id
    assert 4_000_000 == told["run"].end_time - told["run"].start_time
    assert 2_000_000 == told["decode"].start_time - told["predict"].start_time
    assert ("pets@2",) == told["predict"].attributes["tintype.models"]


def test_a_caller_s_trace_is_continued(tracing, spans):
    """By the header traceparent."""
    with tracing.request("GET", {"traceparent": f"00-{TRACE}-{PARENT}-01"}):
        pass
    (span,) = spans.get_finished_spans()
    assert (int(TRACE, 16), int(PARENT, 16)) == (span.context.trace_id, span.parent.span_id)


def test_what_went_wrong_is_an_attribute(tracing, spans):
    """The type of the error, the status."""
    with tracing.request("POST", {}) as request:
        tracing.refused(ASKED, ImageTruncated("ends"), seconds=0.001)
        request.answered(route="/api/predict", status=503)
    told = by_name(spans)
    assert "image-truncated" == told["predict"].attributes["error.type"]
    assert "503" == told["POST /api/predict"].attributes["error.type"]


@pytest.mark.parametrize(
    ("name", "processors"), [("none", 0), ("console", 1), ("otlp", 1), ("", 1)]
)
def test_the_exporter_is_named_by_the_environment(name, processors):
    """OTLP over HTTP where nothing is said."""
    provider = provider_from_environment({"OTEL_TRACES_EXPORTER": name})
    assert processors == len(provider._active_span_processor._span_processors)
    provider.shutdown()


def test_another_exporter_is_refused():
    """With those that there are."""
    with pytest.raises(SettingsError, match=r"zipkin.*otlp"):
        provider_from_environment({"OTEL_TRACES_EXPORTER": "zipkin"})


def test_without_tracing_nothing_of_it_is_imported():
    """It is an extra."""
    code = (
        "import sys, tintype.cli.serve, tintype.web.spans;"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()
