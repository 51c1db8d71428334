"""``/metrics``, and what the application counts of every request."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from tintype.metrics import BATCH_PICTURES, MODEL_READY, REQUESTS, STAGE_SECONDS, TABLE, Metrics
from tintype.siblings import Siblings
from tintype.web.app import create_app
from tintype.web.scrape import PROCESS, PROCESS_LABEL, MetricsPage
from tintype.web.services import Services


def numbers(text: str) -> dict[tuple[str, ...], float]:
    """Every number on the page, by name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def written(metrics: Metrics) -> str:
    return MetricsPage(metrics).written(accept="")[0].decode()


async def told(client) -> dict[tuple[str, ...], float]:
    return numbers((await client.get("/metrics")).text)


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
    told = {name.removesuffix("_count") for name, *_ in numbers(written(metrics))}
    assert {metric.name for metric in TABLE} - told == set()


def test_a_histogram_is_told_bucket_by_bucket():
    """Upper bounds with how many lie below, their number and their sum."""
    metrics = Metrics()
    metrics.observe(BATCH_PICTURES, 3, "pets")
    told = numbers(written(metrics))
    assert (0, 1, 1) == tuple(
        told["tintype_batch_pictures_bucket", bound, "pets"] for bound in ("2.0", "4.0", "+Inf")
    )
    assert 3 == told["tintype_batch_pictures_sum", "pets"]


@pytest.mark.skipif(sys.platform != "linux", reason="told by /proc only")
def test_the_process_itself_is_told():
    """Memory, files, processor time."""
    told = {name for name, *_ in numbers(written(Metrics()))}
    assert set() == set(PROCESS) - told


def test_the_page_is_openmetrics_for_who_asks():
    """The content type says which."""
    page = MetricsPage(Metrics())
    plain = page.written(accept="")[1]
    other = page.written(accept="application/openmetrics-text; version=1.0.0")
    assert plain.startswith("text/plain")
    assert other[1].startswith("application/openmetrics-text")
    assert other[0].endswith(b"# EOF\n")


def test_importing_the_application_does_not_import_the_library():
    """The library costs start time, which only servers pay."""
    code = "import sys, tintype.web.app; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False" == done.stdout.strip()


async def test_requests_are_counted_by_route_and_status(client, png):
    """The route is the table's text, whatever the address held."""
    await client.post("/api/predict", content=png)
    await client.post("/api/predict", content=b"nix")
    for name in ("pets", "nix", "a/b"):
        await client.get(f"/api/models/{name}")
    counted = await told(client)
    assert [1, 1, 1, 2] == [
        counted["tintype_requests_total", route, status]
        for route, status in (
            ("/api/predict", "200"),
            ("/api/predict", "415"),
            ("/api/models/{name}", "200"),
            ("/api/models/{name}", "404"),
        )
    ]
    assert 2 == counted["tintype_request_seconds_count", "/api/predict"]


async def test_unknown_addresses_share_one_label(client):
    """A caller cannot fill the memory with names."""
    for number in range(20):
        await client.get(f"/nix/{number}")
    await client.delete("/api/predict")
    counted = await told(client)
    routes = {key[1] for key in counted if "tintype_requests_total" == key[0]}
    assert {"unknown"} == routes
    assert (20, 1) == (
        counted["tintype_requests_total", "unknown", "404"],
        counted["tintype_requests_total", "unknown", "405"],
    )


async def test_the_bytes_of_bodies_in_flight_are_told(client, png):
    """None when nobody sends."""
    await client.post("/api/predict", content=png)
    assert 0 == (await told(client))["tintype_body_bytes",]


async def test_without_metrics_there_is_no_page(predictor, limits):
    """And nothing is counted."""
    app = create_app(Services(predictor=predictor), limits=limits)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tintype.test") as client:
        assert 404 == (await client.get("/metrics")).status_code


async def test_every_answer_tells_its_time(client, png):
    """Errors and pages too; a prediction tells its stages."""
    answers = [
        await client.get("/live"),
        await client.get("/nix"),
        await client.post("/api/predict", content=b"nix"),
    ]
    for answer in answers:
        assert answer.headers["server-timing"].startswith("total;dur=")
    told = (await client.post("/api/predict", content=png)).headers.get_list("server-timing")
    assert 1 == len(told)
    assert told[0].startswith("decode;dur=")


def book(requests: int) -> Metrics:
    """A process that has answered so many."""
    metrics = Metrics()
    for _ in range(requests):
        metrics.count(REQUESTS, "/api/predict", "200")
        metrics.observe(STAGE_SECONDS, 0.002, "run")
    metrics.watch(MODEL_READY, lambda: [(("pets", "1"), 1)])
    return metrics


PARSERS = {
    "": text_string_to_metric_families,
    "application/openmetrics-text; version=1.0.0": openmetrics_families,
}


@pytest.mark.parametrize("accept", PARSERS)
def test_a_page_of_several_processes_is_one_that_prometheus_reads(accept: str):
    """Each family is told once, each series with the process it is of."""
    pages = {number: MetricsPage(book(number + 1)) for number in range(3)}
    others = {number: pages[number].families() for number in (2, 0)}
    body, content_type = pages[1].written_with(others, number=1, accept=accept)
    assert pages[1].written(accept=accept)[1] == content_type
    families = [*PARSERS[accept](body.decode())]
    assert len(families) == len({family.name for family in families})
    told = {family.name: family for family in families}
    counted = [each for each in told["tintype_requests"].samples if each.name.endswith("_total")]
    assert [("0", 1), ("1", 2), ("2", 3)] == [(s.labels["process"], s.value) for s in counted]
    assert {"0", "1", "2"} == {
        each.labels["process"] for family in families for each in family.samples
    }
    rows = [line for line in body.decode().splitlines() if line.startswith("# ")]
    assert len(rows) == len(set(rows))


def test_a_page_of_several_processes_leaves_out_nothing_of_any():
    """Without the label it is the page of each, number by number."""
    pages = {number: MetricsPage(book(number)) for number in (1, 2)}
    body = pages[1].written_with({2: pages[2].families()}, number=1, accept="")[0].decode()
    for number, page in pages.items():
        alone = numbers(page.written(accept="")[0].decode())
        of_it = {
            (sample.name, *(v for k, v in sample.labels.items() if k != "process")): sample.value
            for family in text_string_to_metric_families(body)
            for sample in family.samples
            if str(number) == sample.labels["process"]
        }
        assert {key for key in alone if not key[0].startswith("process_")} <= of_it.keys()
        assert alone.keys() == of_it.keys()


def test_no_metric_has_the_label_that_tells_processes_apart():
    """It would be written over."""
    assert [] == [metric.name for metric in TABLE if PROCESS_LABEL in metric.labels]


async def test_whichever_process_is_asked_tells_all(predictor, limits, png, family):
    """Two applications; one that has gone is left out."""
    siblings = [Siblings(worker) for worker in family]
    apps = [
        create_app(Services(predictor=predictor, metrics=Metrics(), siblings=each), limits=limits)
        for each in siblings
    ]
    one, two = (
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://tintype.test")
        for app in apps
    )
    async with one, two, siblings[0]:
        async with siblings[1]:
            for client, count in ((one, 2), (two, 3)):
                for _ in range(count):
                    await client.post("/api/predict", content=png)
            for client in (one, two):
                page = await told(client)
                counted = {
                    n: page["tintype_requests_total", n, "/api/predict", "200"] for n in "01"
                }
                assert {"0": 2, "1": 3} == counted
        alone = await told(one)
        assert {"0"} == {key[1] for key in alone if "tintype_stage_seconds_sum" == key[0]} | {
            key[1] for key in alone if "process_max_fds" == key[0]
        }
