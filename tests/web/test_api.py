from __future__ import annotations

import asyncio
import base64
import re

import httpx
import pytest
from msgspec.structs import replace

from tintype.errors import DeadlineExceeded, Overloaded
from tintype.predict import Caller
from tintype.types import Point, Task
from tintype.web.app import create_app
from tintype.web.fake import fake_info
from tintype.web.services import Services
from tintype.web.uploads import UploadLimits

GIF = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
"""The smallest GIF."""


async def test_a_picture_is_answered_in_the_promised_shape(client, png):
    """The JSON of a prediction, member by member."""
    answer = await client.post("/api/predict?model=pets&top=3", content=png)
    body = answer.json()
    assert 200 == answer.status_code
    assert "application/json" == answer.headers["content-type"]
    assert ["id", "image", "results", "seconds"] == list(body)
    assert (64, 48, "png", []) == tuple(
        body["image"][key] for key in ("width", "height", "format", "warnings")
    )
    assert 64 == len(body["image"]["sha256"])
    assert {
        "model": "pets",
        "version": "1",
        "task": "classify",
        "point": None,
        "labels": [
            {"index": 1, "label": "dog", "score": 0.98},
            {"index": 0, "label": "cat", "score": 0.0195},
            {"index": 2, "label": "<b>bird</b>", "score": 0.0005},
        ],
        "boxes": None,
        "error": None,
        "fallback": False,
        "seconds": 0.003,
    } == body["results"][0]
    assert ["decode", "prepare", "queue", "run", "total"] == list(body["seconds"])


async def test_a_detector_answers_with_boxes(client, png):
    """Corners in pixels of the picture; labels are null then."""
    body = (await client.post("/api/predict?model=things", content=png)).json()
    result = body["results"][0]
    assert None is result["labels"]
    assert {"index": 1, "label": "dog", "score": 0.75} == {
        key: result["boxes"][0][key] for key in ("index", "label", "score")
    }
    assert {"x1", "y1", "x2", "y2"} < set(result["boxes"][0])


async def test_what_the_model_saw_is_told_only_when_asked(client, png):
    """explain=input adds the tensor as PNG, its ranges and the recipe."""
    plain = (await client.post("/api/predict", content=png)).json()
    told = (await client.post("/api/predict?explain=input", content=png)).json()
    assert "input" not in plain["results"][0]
    seen = told["results"][0]["input"]
    assert seen["png"].startswith("data:image/png;base64,")
    assert ["R", "G", "B"] == [each["channel"] for each in seen["channels"]]
    assert "keras-load-img" == seen["recipe"]["preset"]


async def test_every_form_of_sending_asks_the_same(client, predictor, png):
    """Raw body with query, form, and JSON reach the predictor as equal requests."""
    options = {"model": "pets", "x": "3", "y": "4", "top": "2", "threshold": "0.1"}
    text = base64.b64encode(png).decode()
    answers = [
        await client.post("/api/predict", params=options, content=png),
        await client.post("/api/predict", data=options, files={"image": png}),
        await client.post("/api/predict", data=options, files={"file": ("a.png", png)}),
        await client.post("/api/predict", json={**options, "image": text}),
        await client.post(
            "/api/predict",
            json={"model": ["pets"], "points": [[3, 4]], "top": 2}
            | {"image": text, "threshold": 0.1},
        ),
    ]
    assert [200] * 5 == [answer.status_code for answer in answers]
    assert 1 == len({replace(asked, caller=Caller()) for asked in predictor.asked})
    assert (Point(x=3, y=4),) == predictor.asked[0].points


async def test_the_time_each_stage_took_is_a_header(client, png):
    """Server-Timing is shown by every browser's tools."""
    answer = await client.post("/api/predict", content=png)
    assert (
        "decode;dur=1.000, prepare;dur=0.400, queue;dur=0.100, run;dur=2.300, total;dur=4.100"
        == answer.headers["server-timing"]
    )


@pytest.mark.parametrize(
    ("send", "status", "slug"),
    [
        ({"content": b""}, 400, "malformed-request"),
        ({"content": b"hello"}, 415, "unsupported-image-format"),
        ({"content": b"\xff\xd8\xff\xe0"}, 422, "image-truncated"),
        ({"content": bytes(300 << 10)}, 413, "body-too-large"),
        (
            {"content": b"x", "headers": {"content-encoding": "gzip"}},
            415,
            "unsupported-content-encoding",
        ),
        ({"json": {"url": "http://localhost/"}}, 403, "input-disabled"),
        ({"json": {"image": GIF, "model": "nix"}}, 404, "unknown-model"),
        ({"files": [("image", b"a"), ("image", b"b")]}, 413, "too-many-images"),
        ({"content": b"x", "params": {"colour": "red"}}, 400, "malformed-request"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_every_mistake_has_its_own_problem(client, send, status, slug):
    """Status, media type and a stable type; words that say what was wrong."""
    answer = await client.post("/api/predict", **send)
    problem = answer.json()
    assert (status, "application/problem+json") == (
        answer.status_code,
        answer.headers["content-type"],
    )
    assert (status, f"/problems/{slug}") == (problem["status"], problem["type"])
    assert problem["detail"]
    assert f"urn:request:{answer.headers['x-request-id']}" == problem["instance"]


async def test_a_chunked_body_counts_as_it_arrives(client):
    """No length is declared; the limit holds all the same."""

    async def endless():
        while True:
            yield bytes(64 << 10)

    answer = await client.post("/api/predict", content=endless())
    assert 413 == answer.status_code


@pytest.mark.parametrize(
    ("failure", "status", "retry"),
    [(Overloaded("full"), 503, "1"), (DeadlineExceeded("late"), 504, None)],
)
async def test_a_server_that_cannot_answer_says_when_to_come_back(
    client, predictor, png, failure, status, retry
):
    """503 with Retry-After when trying again may help, 504 when it took too long."""
    predictor.failure = failure
    answer = await client.post("/api/predict", content=png)
    assert (status, retry) == (answer.status_code, answer.headers.get("retry-after"))


async def test_an_unexpected_fault_is_logged_and_not_told(client, predictor, png, logs):
    """The caller gets the request's id and no detail; the log has both."""
    predictor.failure = ZeroDivisionError("secret")
    answer = await client.post("/api/predict", content=png, headers={"x-request-id": "me-1"})
    assert 500 == answer.status_code
    assert "secret" not in answer.text
    assert "me-1" in answer.json()["detail"]
    assert [("me-1", predictor.failure)] == [
        (entry["request_id"], entry["exc_info"]) for entry in logs if entry["log_level"] == "error"
    ]


async def test_a_bad_picture_harms_no_other_of_its_batch(client, png):
    """Predictions and errors in the order of the pictures."""
    files = [("image", png), ("image", b"no picture"), ("image", png)]
    answer = await client.post("/api/predict/batch", files=files)
    first, second, third = answer.json()
    assert 200 == answer.status_code
    assert 64 == first["image"]["width"] == third["image"]["width"]
    assert (415, "/problems/unsupported-image-format", 1) == (
        second["error"]["status"],
        second["error"]["type"],
        second["error"]["index"],
    )


async def test_a_fault_on_one_picture_stays_with_it(client, predictor, png, logs):
    """Even what nobody expected is an error in its place, logged, without details."""
    predictor.failure = ZeroDivisionError("secret")
    answer = await client.post("/api/predict/batch", files=[("image", png)])
    assert ["/problems/internal-error"] == [item["error"]["type"] for item in answer.json()]
    assert "secret" not in answer.text
    assert ["unexpected error"] == [e["event"] for e in logs if e["log_level"] == "error"]


async def test_a_batch_of_json_keeps_order(client, png):
    """The list images; one that is no base64 is an error in its place."""
    images = ["%%%", base64.urlsafe_b64encode(png).decode()]
    answer = await client.post("/api/predict/batch", json={"images": images, "model": "pets"})
    assert 400 == answer.json()[0]["error"]["status"]
    assert "pets" == answer.json()[1]["results"][0]["model"]


async def test_an_unknown_model_refuses_the_whole_batch(client, png):
    """It is a mistake of the request and not of its pictures."""
    answer = await client.post("/api/predict/batch?model=nix", files=[("image", png)])
    assert 404 == answer.status_code


async def test_the_pictures_of_a_batch_are_asked_side_by_side(client, predictor, png):
    """So that they can share the model's batches."""
    predictor.hold = asyncio.Event()
    files = [("image", png)] * 3
    sent = asyncio.ensure_future(client.post("/api/predict/batch", files=files))
    await predictor.waiting.wait()
    await asyncio.sleep(0)
    assert 3 == len(predictor.asked)
    predictor.hold.set()
    assert 3 == len((await sent).json())


@pytest.mark.parametrize("path", ["/api/predict", "/api/predict/batch", "/"])
async def test_a_lost_client_cancels_its_work(app, predictor, png, path):
    """Nobody reads the answer, so nobody works on it."""
    predictor.hold = asyncio.Event()
    messages = [{"type": "http.request", "body": png, "more_body": False}]

    async def receive():
        if messages:
            return messages.pop()
        await predictor.waiting.wait()
        return {"type": "http.disconnect"}

    sent = []

    async def send(message):
        sent.append(message)

    request = httpx.Request("POST", f"http://tintype.test{path}", content=png)
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": ("tintype.test", 80),
    }
    await app(scope, receive, send)
    assert 1 == predictor.cancelled
    assert 499 == sent[0]["status"]


async def test_served_models_are_listed_and_told(client):
    """All of what is known of a model, by list and by name."""
    listed = (await client.get("/api/models")).json()["models"]
    assert ["pets", "things"] == [model["name"] for model in listed]
    assert listed[0] == (await client.get("/api/models/pets")).json()
    assert {"version", "input", "recipe", "labels", "engine", "precision", "health"} < set(
        listed[0]
    )
    assert "/problems/unknown-model" == (await client.get("/api/models/nix")).json()["type"]


async def test_numbers_are_finite(client, png):
    """JSON has no word for not-a-number, and none is written."""
    text = (await client.post("/api/predict?explain=input", content=png)).text
    assert not re.search(r"\b(NaN|Infinity)\b", text)


async def test_a_model_whose_name_has_a_slash_has_its_address(client, predictor):
    """A card may name it so."""
    predictor.infos["a/b"] = fake_info("a/b", task=Task.CLASSIFY)
    assert "a/b" == (await client.get("/api/models/a%2Fb")).json()["name"]


async def test_a_large_batch_leaves_room_for_others(predictor, png):
    """Only some of its pictures are at work at a time; all are answered."""
    predictor.hold = asyncio.Event()
    images = [base64.b64encode(png).decode()] * 12
    roomy = create_app(Services(predictor=predictor), limits=UploadLimits())
    transport = httpx.ASGITransport(app=roomy)
    async with httpx.AsyncClient(transport=transport, base_url="http://tintype.test") as other:
        sent = asyncio.ensure_future(other.post("/api/predict/batch", json={"images": images}))
        await predictor.waiting.wait()
        at_work = len(predictor.asked)
        predictor.hold.set()
        answer = await sent
    assert (8, 12) == (at_work, len(answer.json()))
