"""The table of metrics, and the book kept of them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tintype.metrics import (
    BATCH_PICTURES,
    MODEL_LOAD_SECONDS,
    PROCESS,
    QUEUE_PICTURES,
    RECORD_DROPPED,
    RESULTS,
    TABLE,
    Metrics,
)


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every number on the page, by name and labels; labels in the order of their names."""
    text, _ = metrics.page(accept="")
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_every_metric_of_the_table_can_be_told():
    """Counted or watched, with its labels; under the name that the table says."""
    metrics = Metrics()
    for metric in TABLE:
        labels = tuple("x" for _ in metric.labels)
        if metric.watched:
            metrics.watch(metric, lambda labels=labels: [(labels, 1)])
        else:
            tell = {"counter": metrics.count, "histogram": metrics.observe, "gauge": metrics.set}
            value = () if metric.kind == "counter" else (1.0,)
            tell[metric.kind](metric, *value, *labels)
    told = {name.removesuffix("_count") for name, _ in samples(metrics)}
    assert {metric.name for metric in TABLE} - told == set()


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
    told = samples(metrics)
    assert [2, 1] == [
        told["tintype_results_total", ("pets", outcome, "1")] for outcome in ("ok", "overloaded")
    ]


def test_a_histogram_has_its_own_buckets():
    """A batch of three is in the bucket of four."""
    metrics = Metrics()
    metrics.observe(BATCH_PICTURES, 3, "pets")
    told = samples(metrics)
    assert (0, 1) == (
        told["tintype_batch_pictures_bucket", ("2.0", "pets")],
        told["tintype_batch_pictures_bucket", ("4.0", "pets")],
    )


def test_watched_metrics_are_asked_at_each_scrape():
    """The number of the moment; several may tell samples of one metric."""
    metrics, waiting = Metrics(), [3]
    metrics.watch(QUEUE_PICTURES, lambda: [(("pets", "1"), waiting[0])])
    metrics.watch(QUEUE_PICTURES, lambda: [(("things", "1"), 7)])
    metrics.watch(RECORD_DROPPED, lambda: [((), 2)])
    assert 3 == samples(metrics)["tintype_queue_pictures", ("pets", "1")]
    waiting[0] = 4
    told = samples(metrics)
    assert (4, 7, 2) == (
        told["tintype_queue_pictures", ("pets", "1")],
        told["tintype_queue_pictures", ("things", "1")],
        told["tintype_record_dropped_total", ()],
    )


def test_a_version_that_has_gone_is_forgotten():
    """Its series are dropped, others stay, and it may come back."""
    metrics = Metrics()
    for version in ("1", "2"):
        metrics.count(RESULTS, "pets", version, "ok")
        metrics.set(MODEL_LOAD_SECONDS, 0.5, "pets", version)
    metrics.forget(model="pets", version="1")
    assert {"2"} == {labels[-1] for _, labels in samples(metrics) if "pets" in labels}
    metrics.count(RESULTS, "pets", "1", "ok")
    assert 1 == samples(metrics)["tintype_results_total", ("pets", "ok", "1")]


@pytest.mark.skipif(sys.platform != "linux", reason="told by /proc only")
def test_the_process_itself_is_told():
    """Memory, files, processor time."""
    told = {name for name, _ in samples(Metrics())}
    assert set() == set(PROCESS) - told


def test_the_page_is_openmetrics_for_who_asks():
    """The content type says which."""
    plain = Metrics().page(accept="")[1]
    other = Metrics().page(accept="application/openmetrics-text; version=1.0.0")
    assert plain.startswith("text/plain")
    assert other[1].startswith("application/openmetrics-text")
    assert other[0].endswith(b"# EOF\n")


def test_importing_the_table_does_not_import_the_library():
    """The library costs start time, which only servers pay."""
    code = "import sys, tintype.wiring.running; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False" == done.stdout.strip()


def test_a_counter_can_be_told_from_zero():
    """An alert on its growth sees the first event only if there was a number before it."""
    metrics = Metrics()
    metrics.begin(RESULTS, "pets", "1", "ok")
    assert 0 == samples(metrics)["tintype_results_total", ("pets", "ok", "1")]
