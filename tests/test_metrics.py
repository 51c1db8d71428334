"""The table of metrics, and the book kept of them."""

from __future__ import annotations

from tintype.metrics import (
    BATCH_PICTURES,
    MODEL_LOAD_SECONDS,
    QUEUE_PICTURES,
    RECORD_DROPPED,
    REQUESTS,
    RESULTS,
    TABLE,
    Metrics,
)


def test_names_follow_the_custom_of_prometheus():
    """A prefix, ``_total`` for counters and nothing else, seconds and bytes as units."""
    for metric in TABLE:
        assert metric.name.startswith("tintype_")
        assert ("counter" == metric.kind) == metric.name.endswith("_total")
        assert ("histogram" == metric.kind) == bool(metric.buckets)
    assert len(TABLE) == len({metric.name for metric in TABLE})


def test_counts_add_up():
    """Each combination of labels for itself."""
    metrics = Metrics()
    for outcome in ("ok", "ok", "overloaded"):
        metrics.count(RESULTS, "pets", "1", outcome)
    assert {("pets", "1", "ok"): 2, ("pets", "1", "overloaded"): 1} == dict(
        metrics.samples(RESULTS)
    )


def test_a_histogram_has_its_own_buckets():
    """A batch of three is in the bucket of four, and in every one above."""
    metrics = Metrics()
    metrics.observe(BATCH_PICTURES, 3, "pets")
    ((labels, found),) = metrics.histograms(BATCH_PICTURES)
    assert (("pets",), 3) == (labels, found.total)
    assert (0, 0, 1, 1, 1, 1, 1, 1) == found.below()


def test_watched_metrics_are_asked_each_time():
    """The number of the moment; several may tell samples of one metric."""
    metrics, waiting = Metrics(), [3]
    metrics.watch(QUEUE_PICTURES, lambda: [(("pets", "1"), waiting[0])])
    metrics.watch(QUEUE_PICTURES, lambda: [(("things", "1"), 7)])
    assert {("pets", "1"): 3, ("things", "1"): 7} == dict(metrics.samples(QUEUE_PICTURES))
    waiting[0] = 4
    assert {("pets", "1"): 4, ("things", "1"): 7} == dict(metrics.samples(QUEUE_PICTURES))


def test_a_watched_metric_is_told_when_somebody_tells_it():
    """A counted one always: nothing so far is a number too."""
    metrics = Metrics()
    assert (True, False) == (metrics.told(REQUESTS), metrics.told(RECORD_DROPPED))
    metrics.watch(RECORD_DROPPED, lambda: [((), 2)])
    assert metrics.told(RECORD_DROPPED)


def test_a_version_that_has_gone_is_forgotten():
    """Its series are dropped, others stay, and it may come back."""
    metrics = Metrics()
    for version in ("1", "2"):
        metrics.count(RESULTS, "pets", version, "ok")
        metrics.set(MODEL_LOAD_SECONDS, 0.5, "pets", version)
    metrics.forget(model="pets", version="1")
    assert [(("pets", "2", "ok"), 1)] == [*metrics.samples(RESULTS)]
    assert [(("pets", "2"), 0.5)] == [*metrics.samples(MODEL_LOAD_SECONDS)]
    metrics.count(RESULTS, "pets", "1", "ok")
    assert 1 == dict(metrics.samples(RESULTS))["pets", "1", "ok"]


def test_a_counter_can_be_told_from_zero():
    """An alert on its growth sees the first event only if there was a number before it."""
    metrics = Metrics()
    metrics.begin(RESULTS, "pets", "1", "ok")
    assert [(("pets", "1", "ok"), 0)] == [*metrics.samples(RESULTS)]
