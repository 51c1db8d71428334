"""Every prediction is a line in the log and a number in the metrics."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from tintype.errors import ImageTruncated, Overloaded
from tintype.metrics import Metrics
from tintype.models.card import Card
from tintype.models.fake import fake_host
from tintype.observers import ModelLog, ModelMetrics, PredictionLog, PredictionMetrics
from tintype.predict import Caller, PredictRequest
from tintype.types import (
    Box,
    ImageFacts,
    LabelScore,
    Prediction,
    Result,
    ResultError,
    Seconds,
    Task,
)
from tintype.web.scrape import MetricsPage

ASKED = PredictRequest(image=bytes(100), caller=Caller(request_id="r1", key="shop"))
DOG = Result(
    model="pets",
    version="2",
    task=Task.CLASSIFY,
    labels=(
        LabelScore(index=1, label="dog", score=0.9),
        LabelScore(index=0, label="cat", score=0.1),
    ),
    seconds=0.003,
)
BROKEN = Result(
    model="things",
    version="1",
    task=Task.DETECT,
    error=ResultError(type="overloaded", detail="full"),
)
NOTHING = Result(model="things", version="1", task=Task.DETECT, boxes=())
THING = Result(
    model="things",
    version="1",
    task=Task.DETECT,
    boxes=(Box(index=0, label="cup", score=0.7, x1=0, y1=0, x2=1, y2=1),),
)


def prediction(*results: Result) -> Prediction:
    return Prediction(
        id="p1",
        image=ImageFacts(width=1, height=1, format="png", sha256="00"),
        results=results,
        seconds=Seconds(decode=0.001, prepare=0.002, queue=0.0, run=0.004, total=0.008),
    )


@pytest.fixture
def logs():
    """What was logged, instead of writing it."""
    with structlog.testing.capture_logs() as entries:
        yield entries


def test_a_line_tells_all_about_a_result(logs):
    """Who, which model and version, what it said, how long each stage took."""
    PredictionLog().answered(ASKED, prediction(DOG))
    assert [
        {
            "event": "prediction",
            "log_level": "info",
            "request_id": "r1",
            "key": "shop",
            "bytes": 100,
            "id": "p1",
            "model": "pets",
            "version": "2",
            "label": "dog",
            "score": 0.9,
            "decode_ms": 1.0,
            "prepare_ms": 2.0,
            "queue_ms": 0.0,
            "run_ms": 4.0,
            "total_ms": 8.0,
        }
    ] == logs


def test_each_result_has_its_line(logs):
    """A box, nothing found, an error."""
    PredictionLog().answered(ASKED, prediction(THING, NOTHING, BROKEN))
    assert [("cup", None), (None, None), (None, "overloaded")] == [
        (line.get("label"), line.get("error")) for line in logs
    ]


def test_a_refusal_is_a_line_too(logs):
    """The caller's fault is told, the server's is a warning."""
    log = PredictionLog()
    log.refused(ASKED, ImageTruncated("ends"), seconds=0.002)
    log.refused(ASKED, Overloaded("full"), seconds=0.001)
    assert [("info", "image-truncated", 2.0), ("warning", "overloaded", 1.0)] == [
        (line["log_level"], line["reason"], line["total_ms"]) for line in logs
    ]


def test_results_refusals_and_stages_are_counted():
    """By model, version and outcome; by reason; by stage."""
    metrics = Metrics()
    observer = PredictionMetrics(metrics)
    observer.answered(ASKED, prediction(DOG, BROKEN))
    observer.refused(ASKED, ImageTruncated("ends"), seconds=0.002)
    text, _ = MetricsPage(metrics).written(accept="")
    told = {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }
    assert 1 == told["tintype_results_total", "pets", "ok", "2"]
    assert 1 == told["tintype_results_total", "things", "overloaded", "1"]
    assert 0.003 == told["tintype_result_seconds_sum", "pets", "2"]
    assert 1 == told["tintype_refused_total", "image-truncated"]
    assert [0.001, 0.002, 0.0, 0.004, 0.008] == [
        told["tintype_stage_seconds_sum", stage]
        for stage in ("decode", "prepare", "queue", "run", "total")
    ]


def test_a_name_that_a_caller_made_up_becomes_no_series_and_no_line(logs):
    """Unknown models are counted together: their names are a stranger's text, without end."""
    unknown = [
        replace(
            BROKEN, model=f"made-up-{number}", error=ResultError(type="unknown-model", detail="")
        )
        for number in range(3)
    ]
    metrics = Metrics()
    for result in unknown:
        PredictionMetrics(metrics).answered(ASKED, prediction(DOG, result))
        PredictionLog().answered(ASKED, prediction(result))
    assert b"made-up" not in MetricsPage(metrics).written(accept="")[0]
    assert [""] * 3 == [line["model"] for line in logs]


def versioned(version: str):
    return fake_host(Card(name="pets", file=Path("p.onnx"), version=version))


def told_by(metrics: Metrics) -> str:
    return MetricsPage(metrics).written(accept="")[0].decode()


def test_versions_that_come_and_go_are_told(logs):
    """A line each, and a number; the load time goes with the version."""
    metrics = Metrics()
    for events in (ModelLog(), ModelMetrics(metrics)):
        events.loaded(versioned("1"), seconds=0.5)
        events.loaded(versioned("2"), seconds=0.25)
        events.refused("pets", ImageTruncated("no model"))
        events.removed(versioned("1"))
    assert ["model loaded", "model loaded", "model change refused", "model removed"] == [
        line["event"] for line in logs
    ]
    text = told_by(metrics)
    assert 'tintype_model_load_seconds{model="pets",version="2"} 0.25' in text
    assert 'version="1"' not in text
    for change, count in (("loaded", 2), ("refused", 1), ("removed", 1)):
        assert f'tintype_model_changes_total{{change="{change}",model="pets"}} {count}.0' in text


def test_a_version_loaded_anew_keeps_its_numbers():
    """The old one of the same number goes after the new one has come."""
    metrics = Metrics()
    events = ModelMetrics(metrics)
    events.loaded(versioned("1"), seconds=0.5)
    events.loaded(versioned("1"), seconds=0.75)
    events.removed(versioned("1"))
    assert 'tintype_model_load_seconds{model="pets",version="1"} 0.75' in told_by(metrics)
