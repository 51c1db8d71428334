"""``/metrics``: what Prometheus reads, written by prometheus-client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from tintype.metrics import TABLE, Kind, Metric, Metrics

PROCESS: Final = (
    "process_cpu_seconds_total", "process_max_fds", "process_open_fds",
    "process_resident_memory_bytes", "process_start_time_seconds", "process_virtual_memory_bytes",
)  # fmt: skip
"""What prometheus-client tells of the process itself, on Linux."""


class Scrape:
    """The page of every metric. Labels are names of models, so it tells what is served."""

    def __init__(self, metrics: Metrics) -> None:
        self._page = MetricsPage(metrics)

    async def metrics(self, request: Request) -> Response:
        """Prometheus' text format, or OpenMetrics where the client asks for it."""
        body, content_type = self._page.written(accept=request.headers.get("accept", ""))
        headers = {"Cache-Control": "no-store", "Content-Type": content_type}
        return Response(body, headers=headers)


class MetricsPage:
    """What the book says at this moment, as Prometheus reads it."""

    def __init__(self, metrics: Metrics) -> None:
        import prometheus_client as client  # noqa: PLC0415 - 17 ms, for servers only

        self._client = client
        self._registry = client.CollectorRegistry(auto_describe=False)
        self._registry.register(_Families(metrics))
        client.ProcessCollector(registry=self._registry)

    def written(self, *, accept: str) -> tuple[bytes, str]:
        """Every metric as text, and its content type: OpenMetrics where ``accept`` asks for it."""
        encode, content_type = self._client.exposition.choose_encoder(accept)
        return encode(self._registry), content_type


class _Families:
    """Every metric as prometheus-client asks for it at a scrape."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Any]:
        """Nothing beforehand: the names are known from the table."""
        return []

    def collect(self) -> Iterator[Any]:
        """A family for each metric that is counted or that somebody tells."""
        from prometheus_client import core  # noqa: PLC0415 - there since the page was made

        families = {Kind.COUNTER: core.CounterMetricFamily, Kind.GAUGE: core.GaugeMetricFamily}
        for metric in filter(self._metrics.told, TABLE):
            if metric.kind is Kind.HISTOGRAM:
                yield self._histogram(metric, core)
            else:
                family = families[metric.kind](metric.name, metric.help, labels=metric.labels)
                for labels, value in self._metrics.samples(metric):
                    family.add_metric(labels, value)
                yield family

    def _histogram(self, metric: Metric, core: Any) -> Any:
        family = core.HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        bounds = (*map(str, metric.buckets), "+Inf")
        for labels, found in self._metrics.histograms(metric):
            family.add_metric(labels, list(zip(bounds, found.below(), strict=True)), found.total)
        return family
