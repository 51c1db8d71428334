"""``/metrics``, and what the application counts of every request."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tintype.web.app import create_app
from tintype.web.services import Services


async def told(client) -> dict[tuple[str, ...], float]:
    text = (await client.get("/metrics")).text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


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
