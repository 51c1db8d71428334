"""A span around every request."""

from __future__ import annotations

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tintype.tracing import Tracing
from tintype.web.app import create_app
from tintype.web.services import Services


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def app(predictor, limits, spans):
    """The application with spans that stay in memory."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return create_app(Services(predictor=predictor, tracing=Tracing(provider)), limits=limits)


async def test_a_request_is_a_span_with_route_and_status(client, spans, png):
    """Named by method and route, whatever the address held; failures too."""
    await client.post("/api/predict", content=png)
    await client.get("/api/models/nix")
    await client.get("/nix")
    assert [
        ("POST /api/predict", 200),
        ("GET /api/models/{name}", 404),
        ("GET unknown", 404),
    ] == [
        (span.name, span.attributes["http.response.status_code"])
        for span in spans.get_finished_spans()
    ]


async def test_a_caller_s_trace_goes_on(client: httpx.AsyncClient, spans):
    """The header of W3C Trace Context."""
    await client.get("/live", headers={"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"})
    (span,) = spans.get_finished_spans()
    assert int("1" * 32, 16) == span.context.trace_id
