"""Every metric in one table, and the book that is kept of them.

``web/scrape.py`` writes the page of it.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, TypeAlias

Sample: TypeAlias = tuple[tuple[str, ...], float]
"""The values of a metric's labels, in its order, and its number."""

Read: TypeAlias = Callable[[], Iterable[Sample]]
"""Tells a watched metric's samples at the moment it is asked. Must be quick and must not raise."""

_SECONDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
_PICTURES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


class Kind(enum.StrEnum):
    """What a metric's number means (Prometheus' metric types)."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Metric:
    """One metric. ``buckets`` are the upper bounds of a histogram.

    ``watched``: nobody counts it as things happen; whoever has the number hands a function to
    ``Metrics.watch``, and it is asked at each scrape.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    watched: bool = False


REQUESTS: Final = Metric(
    name="tintype_requests_total",
    kind=Kind.COUNTER,
    help="HTTP requests answered; route is unknown for an address or method that is not served",
    labels=("route", "status"),
)
REQUEST_SECONDS: Final = Metric(
    name="tintype_request_seconds",
    kind=Kind.HISTOGRAM,
    help="Seconds from a request's head to the head of its answer",
    labels=("route",),
    buckets=_SECONDS,
)
RESULTS: Final = Metric(
    name="tintype_results_total",
    kind=Kind.COUNTER,
    help="Results of models; outcome is ok or the type of the error left in the result",
    labels=("model", "version", "outcome"),
)
RESULT_SECONDS: Final = Metric(
    name="tintype_result_seconds",
    kind=Kind.HISTOGRAM,
    help="Seconds a row waited for its model and ran",
    labels=("model", "version"),
    buckets=_SECONDS,
)
STAGE_SECONDS: Final = Metric(
    name="tintype_stage_seconds",
    kind=Kind.HISTOGRAM,
    help="Seconds of a prediction's stages: decode, prepare, queue, run, total",
    labels=("stage",),
    buckets=_SECONDS,
)
REFUSED: Final = Metric(
    name="tintype_refused_total",
    kind=Kind.COUNTER,
    help="Predictions that ended with an error, by its type",
    labels=("reason",),
)
SHED: Final = Metric(
    name="tintype_shed_total",
    kind=Kind.COUNTER,
    help="Requests refused unread because more was asked than could be answered in time",
    watched=True,
)
BATCH_PICTURES: Final = Metric(
    name="tintype_batch_pictures",
    kind=Kind.HISTOGRAM,
    help="Pictures in a run of a model",
    labels=("model",),
    buckets=_PICTURES,
)
QUEUE_PICTURES: Final = Metric(
    name="tintype_queue_pictures",
    kind=Kind.GAUGE,
    help="Pictures that wait for a model",
    labels=("model", "version"),
    watched=True,
)
MODEL_READY: Final = Metric(
    name="tintype_model_ready",
    kind=Kind.GAUGE,
    help="1 for a version that answers, else 0",
    labels=("model", "version"),
    watched=True,
)
MODEL_LOAD_SECONDS: Final = Metric(
    name="tintype_model_load_seconds",
    kind=Kind.GAUGE,
    help="Seconds the version took to be loaded and warmed",
    labels=("model", "version"),
)
MODEL_CHANGES: Final = Metric(
    name="tintype_model_changes_total",
    kind=Kind.COUNTER,
    help="Changes of served models: loaded, refused (the old version stays), removed",
    labels=("model", "change"),
)
SHADOW: Final = Metric(
    name="tintype_shadow_total",
    kind=Kind.COUNTER,
    help="Pictures a canary answered in the shadow: agrees, differs, failed, skipped",
    labels=("model", "outcome"),
)
PICTURE_BYTES: Final = Metric(
    name="tintype_picture_bytes",
    kind=Kind.GAUGE,
    help="Bytes of memory held for decoded pictures in flight",
    watched=True,
)
PICTURES_WAITING: Final = Metric(
    name="tintype_pictures_waiting",
    kind=Kind.GAUGE,
    help="Pictures that wait for memory to be decoded in",
    watched=True,
)
BODY_BYTES: Final = Metric(
    name="tintype_body_bytes",
    kind=Kind.GAUGE,
    help="Bytes of request bodies in flight",
    watched=True,
)
LOG_DROPPED: Final = Metric(
    name="tintype_log_lines_dropped_total",
    kind=Kind.COUNTER,
    help="Log lines dropped: their reader was too slow or gone, or the disk full",
    watched=True,
)
REDIS_FAILURES: Final = Metric(
    name="tintype_redis_failures_total",
    kind=Kind.COUNTER,
    help="Times that Redis did not answer; meanwhile each process keeps the limits by itself",
    watched=True,
)
RECORD_QUEUE: Final = Metric(
    name="tintype_record_queue",
    kind=Kind.GAUGE,
    help="Predictions that wait to be written to the record",
    watched=True,
)
RECORD_DROPPED: Final = Metric(
    name="tintype_record_dropped_total",
    kind=Kind.COUNTER,
    help="Predictions that never reached the record",
    watched=True,
)
PICTURES_DROPPED: Final = Metric(
    name="tintype_kept_pictures_dropped_total",
    kind=Kind.COUNTER,
    help="Pictures that should have been kept and could not be",
    watched=True,
)
FEEDBACK: Final = Metric(
    name="tintype_feedback",
    kind=Kind.GAUGE,
    help="Answers in the whole record that a person has judged, by verdict: right, wrong",
    labels=("model", "version", "verdict"),
    watched=True,
)
ACCURACY: Final = Metric(
    name="tintype_accuracy_ratio",
    kind=Kind.GAUGE,
    help="Share of the judged answers in the whole record that were right, 0 to 1",
    labels=("model", "version"),
    watched=True,
)

TABLE: Final[tuple[Metric, ...]] = (
    REQUESTS, REQUEST_SECONDS, RESULTS, RESULT_SECONDS, STAGE_SECONDS, REFUSED, SHED,
    BATCH_PICTURES, QUEUE_PICTURES, MODEL_READY, MODEL_LOAD_SECONDS, MODEL_CHANGES, SHADOW,
    PICTURE_BYTES, PICTURES_WAITING, BODY_BYTES, LOG_DROPPED, REDIS_FAILURES,
    RECORD_QUEUE, RECORD_DROPPED, PICTURES_DROPPED, FEEDBACK, ACCURACY,
)  # fmt: skip


class Metrics:
    """The book: counts what happens, asks for what is.

    Labels are few and known: routes, types of errors, served models. Never a text of a caller.
    Belongs to the event loop: the numbers are plain ones, without locks, since every request
    counts a dozen of them.
    """

    def __init__(self) -> None:
        self._numbers: dict[_Series, float] = {}
        self._histograms: dict[_Series, Histogram] = {}
        self._watched: dict[Metric, list[Read]] = {}

    def count(self, metric: Metric, *labels: str) -> None:
        """One more of a counter."""
        series = metric, labels
        self._numbers[series] = self._numbers.get(series, 0.0) + 1.0

    def begin(self, metric: Metric, *labels: str) -> None:
        """Tell a counter from 0 on: who watches its growth then sees the first one too."""
        self._numbers.setdefault((metric, labels), 0.0)

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """One value of a histogram."""
        histogram = self._histograms.get((metric, labels))
        if histogram is None:
            histogram = self._histograms[metric, labels] = Histogram(metric.buckets)
        histogram.counts[bisect_left(metric.buckets, value)] += 1
        histogram.total += value

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """The number of a gauge from now on."""
        self._numbers[metric, labels] = value

    def watch(self, metric: Metric, read: Read) -> None:
        """Ask ``read`` at each scrape; several may tell samples of one watched metric."""
        self._watched.setdefault(metric, []).append(read)

    def forget(self, **labels: str) -> None:
        """Drop every counted series that has all these labels: a version that has gone."""
        book: dict[_Series, Any]
        for book in (self._numbers, self._histograms):
            for metric, values in [*book]:
                told = dict(zip(metric.labels, values, strict=True))
                if labels.items() <= told.items():
                    del book[metric, values]

    def told(self, metric: Metric) -> bool:
        """Whether somebody counts it or tells it."""
        return not metric.watched or metric in self._watched

    def samples(self, metric: Metric) -> Iterator[Sample]:
        """The numbers of a counter or gauge at this moment."""
        for read in self._watched.get(metric, ()):
            yield from read()
        for (each, labels), value in self._numbers.items():
            if each is metric:
                yield labels, value

    def histograms(self, metric: Metric) -> Iterator[tuple[tuple[str, ...], Histogram]]:
        """The values of a histogram's labels, and what was observed with them."""
        for (each, labels), found in self._histograms.items():
            if each is metric:
                yield labels, found


_Series: TypeAlias = tuple[Metric, tuple[str, ...]]
"""A metric and the values of its labels, in its order."""


class Histogram:
    """How many values lay in each bucket, the last of them without a bound, and their sum."""

    __slots__ = ("counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def below(self) -> tuple[float, ...]:
        """How many values lay below each bound, the last being all of them."""
        return tuple(map(float, accumulate(self.counts)))
