"""The record over HTTP, on a real record in a temporary folder."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from tintype.predict import Caller, PredictRequest
from tintype.web.app import create_app
from tintype.web.openapi_examples import FEEDBACK_CURL, FEEDBACK_EXAMPLE, RECORDED_EXAMPLE
from tintype.web.services import Services


@pytest.fixture
def app(predictor, limits, record):
    predictor.observers = (record,)
    return create_app(Services(predictor=predictor, record=record), limits=limits)


async def ask(client, png, query: str = "model=pets") -> str:
    """Predict; the id of the answer."""
    return (await client.post(f"/api/predict?{query}", content=png)).json()["id"]


async def test_a_prediction_comes_back_as_it_was_answered(client, png):
    """The same results, at once, and what is known beside them."""
    told = (await client.post("/api/predict?model=pets&x=3&y=4", content=png)).json()
    found = (await client.get(f"/api/predictions/{told['id']}")).json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["at"])
    assert (len(png), False) == (found["image"]["bytes"], found["image"]["kept"])
    (result,) = found["results"]
    assert told["results"][0] == {"fallback": False} | {
        key: value
        for key, value in result.items()
        if key not in {"model_sha256", "feedback", "canary"}
    }
    assert (None, None) == (result["feedback"], result["canary"])
    assert told["seconds"] == found["seconds"]


async def test_the_examples_have_the_shape_of_real_answers(client, png):
    """What is shown is what is sent."""
    identity = await ask(client, png)
    said = await client.put(f"/api/predictions/{identity}/feedback", json={"label": "cat"})
    found = (await client.get(f"/api/predictions/{identity}")).json()
    assert FEEDBACK_EXAMPLE | {"id": identity} == said.json()
    assert RECORDED_EXAMPLE.keys() == found.keys()
    assert RECORDED_EXAMPLE["image"].keys() == found["image"].keys()
    assert RECORDED_EXAMPLE["results"][0].keys() == found["results"][0].keys()
    assert said.json()["feedback"] == found["results"][0]["feedback"]


@pytest.mark.parametrize("example", FEEDBACK_CURL, ids=lambda each: each["title"])
async def test_what_the_curl_lines_send_is_taken(client, png, example):
    """Their JSON, to a prediction that has such a result."""
    identity = await ask(client, png)
    body = re.search(r"--data '(.*?)'", example["command"].format(base="http://h"))[1]
    answer = await client.put(f"/api/predictions/{identity}/feedback", content=body)
    assert 200 == answer.status_code


async def test_several_results_need_a_name(client, png):
    """Model, and point."""
    identity = await ask(client, png, "points=1,2;3,4")
    path = f"/api/predictions/{identity}/feedback"
    unnamed = await client.put(path, json={"correct": True})
    assert 400 == unnamed.status_code
    assert "4 results that may be meant" in unnamed.json()["detail"]
    named = await client.put(path, json={"label": "cat", "model": "pets", "x": 3, "y": 4})
    assert {"x": 3.0, "y": 4.0} == named.json()["point"]
    found = (await client.get(f"/api/predictions/{identity}")).json()
    assert [None, "cat", None, None] == [
        (each["feedback"] or {}).get("right_label") for each in found["results"]
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"[1]", "cannot be read"),
        (b'{"correkt": true}', "unknown field `correkt`"),
        (b'{"correct": "yes"}', "cannot be read"),
        (b"{}", "nothing is given"),
        (b'{"label": "brid", "correct": null}', "is not a label of this model"),
        (b'{"correct": true, "x": 1}', "a point needs both x and y"),
        (b'{"correct": true, "x": 1e999, "y": 1}', "cannot be read"),
        (json.dumps({"label": "x" * 2000}).encode(), "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
    ],
)
async def test_feedback_that_cannot_be_meant_is_told(client, png, body, words):
    """400 in words, and nothing is kept."""
    identity = await ask(client, png)
    answer = await client.put(f"/api/predictions/{identity}/feedback", content=body)
    assert (400, "/problems/malformed-request") == (answer.status_code, answer.json()["type"])
    assert words in answer.json()["detail"]
    assert (
        None is (await client.get(f"/api/predictions/{identity}")).json()["results"][0]["feedback"]
    )


async def test_a_deleted_prediction_is_gone(client, png):
    """From then on it is unknown, like one that never was."""
    identity = await ask(client, png)
    path = f"/api/predictions/{identity}"
    assert {"deleted": identity} == (await client.delete(path)).json()
    for answer in (
        await client.get(path),
        await client.delete(path),
        await client.put(f"{path}/feedback", json={"correct": True}),
    ):
        assert (404, "/problems/unknown-prediction") == (answer.status_code, answer.json()["type"])


@pytest.mark.parametrize(
    "name", ["nix", "A" * 32, "0" * 31, "a%00" + "b" * 30, "é" * 32, "0" * 999]
)
async def test_what_is_no_id_is_unknown(client, name):
    """It never comes near the database."""
    answer = await client.get(f"/api/predictions/{name}")
    assert (404, "/problems/unknown-prediction") == (answer.status_code, answer.json()["type"])


async def test_without_a_record_there_is_nothing_to_look_up(predictor, limits):
    """The setting that turns it on is named."""
    app = create_app(Services(predictor=predictor), limits=limits)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tintype.test") as client:
        answer = await client.get(f"/api/predictions/{'0' * 32}")
    assert (403, "/problems/record-disabled") == (answer.status_code, answer.json()["type"])
    assert "record.enabled" in answer.json()["hint"]


async def test_the_request_id_is_recorded(client, png, record):
    """The line in the log and the row in the record have the same name."""
    await client.post("/api/predict", content=png, headers={"x-request-id": "me"})
    rows = await record.ask(
        lambda connection: connection.exec_driver_sql("SELECT request_id FROM predictions").all()
    )
    assert [("me",)] == [tuple(row) for row in rows]


async def test_the_fake_tells_its_observers(predictor, record, png):
    """As the real one does: with an id of its own for every answer."""
    predictor.observers = (record,)
    request = PredictRequest(image=png, caller=Caller(request_id="r"))
    first, second = [await predictor.predict(request) for _ in range(2)]
    assert first.id != second.id
    assert first.id == (await record.find(first.id)).id
