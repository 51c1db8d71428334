"""``GET /api/accuracy`` on a real record in a temporary folder."""

from __future__ import annotations

import httpx
import pytest

from tintype.errors import MalformedRequest
from tintype.web.accuracy import read_filters, read_since
from tintype.web.app import create_app
from tintype.web.openapi_examples import ACCURACY_EXAMPLE
from tintype.web.services import Services


@pytest.fixture
def app(predictor, limits, record):
    predictor.observers = (record,)
    return create_app(Services(predictor=predictor, record=record), limits=limits)


async def say(client, png, **said) -> None:
    """Ask the fake, which says dog, and say what is right."""
    told = (await client.post("/api/predict?model=pets", content=png)).json()
    answer = await client.put(f"/api/predictions/{told['id']}/feedback", json=said)
    assert 200 == answer.status_code


async def accuracy(client, **filters) -> dict:
    answer = await client.get("/api/accuracy", params=filters)
    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"])
    return answer.json()


async def test_what_people_said_is_told_at_once(client, png):
    """Three of four right, with the interval and the confusion."""
    for _ in range(3):
        await say(client, png, correct=True)
    await say(client, png, label="cat")
    told = (await accuracy(client))["report"]
    assert (0.75, 3, 4) == tuple(told["accuracy"][key] for key in ("value", "right", "judged"))
    assert told["accuracy"]["low"] < 0.75 < told["accuracy"]["high"]
    assert [
        {"right": "dog", "answered": "dog", "count": 3},
        {"right": "cat", "answered": "dog", "count": 1},
    ] == told["confusion"]
    assert [("pets", "1")] == [(each["model"], each["version"]) for each in told["versions"]]


@pytest.mark.parametrize(
    ("filters", "judged"),
    [
        ({"model": "pets"}, 2),
        ({"model": "things"}, 0),
        ({"version": "2"}, 0),
        ({"label": "cat"}, 1),
        ({"since": "2000-01-01"}, 2),
        ({"since": "2100-01-01T00:00:00Z"}, 0),
        ({"model": "pets", "label": "dog", "version": "1"}, 1),
    ],
    ids=str,
)
async def test_filters_choose_what_is_counted(client, png, filters: dict, judged: int):
    """All that is given must fit."""
    await say(client, png, correct=True)
    await say(client, png, label="cat")
    assert judged == (await accuracy(client, **filters))["report"]["accuracy"]["judged"]


async def test_nothing_judged_is_told_as_null(client):
    """An empty record is no error."""
    told = await accuracy(client, model="pets", since="2026-11-01")
    assert ("pets", "2026-11-01T00:00:00Z") == (told["model"], told["since"])
    assert None is told["report"]["accuracy"]["value"]


async def test_the_example_has_the_shape_of_real_answers(client, png):
    """What is shown is what is sent."""
    await say(client, png, correct=True)
    told = await accuracy(client)
    assert ACCURACY_EXAMPLE.keys() == told.keys()
    assert ACCURACY_EXAMPLE["report"].keys() == told["report"].keys()
    for name in ("top", "classes", "confusion", "versions", "weeks"):
        assert ACCURACY_EXAMPLE["report"][name][0].keys() == told["report"][name][0].keys()
    assert ACCURACY_EXAMPLE["report"]["calibration"].keys() == told["report"]["calibration"].keys()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("modle=pets", "unknown option 'modle'"),
        ("model=a&model=b", "model is given twice"),
        ("since=yesterday", "'yesterday' is no time"),
    ],
)
async def test_what_cannot_be_read_is_refused(client, query: str, words: str):
    """In words, with a hint where there is one."""
    answer = await client.get(f"/api/accuracy?{query}")
    assert 400 == answer.status_code
    assert words in answer.json()["detail"]


async def test_without_a_record_there_is_no_accuracy(predictor, limits):
    """The setting that turns it on is named."""
    app = create_app(Services(predictor=predictor), limits=limits)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tintype.test") as client:
        answer = await client.get("/api/accuracy")
    assert 403 == answer.status_code
    assert "record.enabled" in answer.json()["hint"]


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("1970-01-02", 86_400_000),
        ("1970-01-01T01:00:00Z", 3_600_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:01.500", 1500),
        ("0001-01-01T00:00:00+23:59", 0),
    ],
)
def test_times_are_utc_where_they_name_no_zone(text: str, at_ms: int):
    """ISO 8601."""
    assert at_ms == read_since(text)


@pytest.mark.parametrize("text", ["", "0", "9999-99-99", "9999-12-31T23:59:59-14:00", "x" * 5000])
def test_no_time_is_a_fault_of_ours(text: str):
    """What no calendar has is refused."""
    with pytest.raises(MalformedRequest):
        read_since(text)


def test_an_empty_filter_is_not_given():
    """A form cannot leave a field out."""
    assert None is read_filters([("model", ""), ("since", " ")]).model
