"""``/metrics``: what Prometheus reads, written by prometheus-client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tintype.metrics import TABLE, Kind, Metric, Metrics
from tintype.siblings import Siblings

PROCESS: Final = (
    "process_cpu_seconds_total", "process_max_fds", "process_open_fds",
    "process_resident_memory_bytes", "process_start_time_seconds", "process_virtual_memory_bytes",
)  # fmt: skip
"""What prometheus-client tells of the process itself, on Linux."""

PROCESS_LABEL: Final = "process"
_QUESTION: Final = "metrics"


class Scrape:
    """The page of every metric. Labels are names of models, so it tells what is served.

    Whichever of several processes is asked, all of them are told.
    """

    def __init__(self, metrics: Metrics, *, siblings: Siblings | None = None) -> None:
        self._page = MetricsPage(metrics)
        self._siblings = siblings
        if siblings is not None:
            siblings.answer(_QUESTION, self._told)

    async def metrics(self, request: Request) -> Response:
        """Prometheus' text format, or OpenMetrics where the client asks for it."""
        accept = request.headers.get("accept", "")
        if self._siblings is None:
            body, content_type = self._page.written(accept=accept)
        else:
            told = await self._siblings.ask(_QUESTION, list[Family])
            body, content_type = self._page.written_with(
                told, number=self._siblings.number, accept=accept
            )
        headers = {"Cache-Control": "no-store", "Content-Type": content_type}
        return Response(body, headers=headers)

    async def _told(self, _: str) -> list[Family]:
        return self._page.families()


class Family(msgspec.Struct, frozen=True, array_like=True):
    """A metric on its way to another process, with its samples as the page has them."""

    name: str
    help: str
    kind: str
    samples: list[tuple[str, dict[str, str], float]]


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

    def written_with(
        self, others: Mapping[int, Sequence[Family]], *, number: int, accept: str
    ) -> tuple[bytes, str]:
        """The page of several processes: this one of that ``number``, and what ``others`` told.

        Each series says in a label which process it is of. So a counter of one that was started
        anew begins anew by itself, and the others go on.
        """
        encode, content_type = self._client.exposition.choose_encoder(accept)
        return encode(_Together({**others, number: self.families()})), content_type

    def families(self) -> list[Family]:
        """Every metric, for the page of another process."""
        return [
            Family(
                family.name,
                family.documentation,
                family.type,
                [(each.name, each.labels, float(each.value)) for each in family.samples],
            )
            for family in self._registry.collect()
        ]


class _Together:
    """The families of several processes as prometheus-client asks for them, each told once."""

    def __init__(self, told: Mapping[int, Sequence[Family]]) -> None:
        self._told = told

    def collect(self) -> Iterator[Any]:
        """A family for each metric of any process."""
        from prometheus_client import core  # noqa: PLC0415 - there since the page was made

        found: dict[str, Any] = {}
        for number, families in sorted(self._told.items()):
            for family in families:
                one = found.setdefault(
                    family.name, core.Metric(family.name, family.help, family.kind)
                )
                for name, labels, value in family.samples:
                    one.add_sample(name, {**labels, PROCESS_LABEL: str(number)}, value)
        yield from found.values()


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
