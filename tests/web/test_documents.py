"""Documents are held to the code: the OpenAPI document, the page /docs, docs/reference/api.md."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import msgspec
import pytest

from tintype.web.errors import HTTP_PROBLEMS, TABLE
from tintype.web.openapi import document
from tintype.web.openapi_examples import (
    BATCH_CURL,
    BATCH_EXAMPLE,
    MODEL_EXAMPLE,
    PREDICT_CURL,
    PREDICTION_EXAMPLE,
    PROBLEM_EXAMPLE,
)
from tintype.web.openapi_parameters import OPTIONS
from tintype.web.openapi_parts import problem_rows
from tintype.web.options import OPTION_NAMES
from tintype.web.schemas import prediction_body

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "api.md"


def routes_of(app) -> set[tuple[str, str]]:
    """Method and path of every route, HEAD and OPTIONS left out."""
    return {
        (method, re.sub(r"{(\w+):path}", r"{\1}", route.path))
        for route in app.routes
        for method in route.methods - {"HEAD", "OPTIONS"}
    }


def test_every_route_is_in_the_reference(app):
    """And the reference has no route that is not there."""
    told = set(
        re.findall(r"^\| `(GET|POST|PUT|DELETE) (\S+)` \|", REFERENCE.read_text(), re.MULTILINE)
    )
    assert routes_of(app) == told


def test_every_problem_is_in_the_reference():
    """Each with its status and in the words of the table."""
    text = REFERENCE.read_text().partition("## Problems")[2]
    told = re.findall(r"^\| `([\w-]+)` \| (\d+) \| (.+) \|$", text, re.MULTILINE)
    assert [(r["slug"], str(r["status"]), r["when"]) for r in problem_rows()] == told


def test_every_option_is_in_the_reference_and_in_the_document():
    """Names are the same everywhere."""
    text = REFERENCE.read_text().partition("## Options")[2].partition("## The answer")[0]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", text, re.MULTILINE)
    assert list(OPTION_NAMES) == [name for row in rows for name in re.findall(r"\w+", row)]
    assert list(OPTION_NAMES) == [option["name"] for option in OPTIONS]


def test_every_default_limit_is_in_the_reference(limits):
    """The table of limits names every setting of uploads with its default."""
    text = REFERENCE.read_text()
    defaults = {
        "max_body_bytes": "25 MiB",
        "max_body_seconds": 120,
        "max_bytes_in_flight": "512 MiB",
        "max_images": 32,
        "max_points": 64,
    }
    assert set(msgspec.to_builtins(limits)) == set(defaults)
    fresh = msgspec.to_builtins(type(limits)())
    assert {
        "max_body_bytes": 25 << 20,
        "max_body_seconds": 120,
        "max_bytes_in_flight": 512 << 20,
        "max_images": 32,
        "max_points": 64,
    } == fresh
    for name, value in defaults.items():
        assert f"| {value} | `uploads.{name}` |" in text


def test_the_api_is_described_for_programs(app):
    """Every route for programs is in the document; the page's own are not."""
    told = {
        (method.upper(), path)
        for path, operations in document()["paths"].items()
        for method in operations
    }
    for_people = (
        *("/static", "/samples", "/problems", "/docs", "/predictions", "/feedback"),
        *("/sign-in", "/sign-out", "/dashboard"),
    )
    assert told == {
        (method, path)
        for method, path in routes_of(app)
        if path != "/" and not path.startswith(for_people)
    }


def test_every_reference_in_the_document_leads_somewhere():
    """No schema is named that is not there."""
    text = json.dumps(document())
    names = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert names <= set(document()["components"]["schemas"])


async def test_the_document_is_served(client):
    """As JSON; the same that the page is made of."""
    answer = await client.get("/openapi.json")
    assert json.loads(msgspec.json.encode(document())) == answer.json()


async def test_the_page_has_every_route_option_and_problem(client):
    """And an anchor for every type of problem."""
    text = (await client.get("/docs")).text
    for path in document()["paths"]:
        assert f"<code>{path}</code>" in text
    for slug in [cls.type for cls in TABLE] + list(HTTP_PROBLEMS):
        assert f'id="problem-{slug}"' in text
    assert "curl --data-binary @cat.jpg http://tintype.test/api/predict" in text


async def test_the_type_of_a_problem_is_an_address(client):
    """It leads to the problem's words; others lead nowhere."""
    found = await client.get("/problems/overloaded")
    assert (303, "/docs#problem-overloaded") == (found.status_code, found.headers["location"])
    assert 404 == (await client.get("/problems/nix")).status_code


def same_shape(expected, actual) -> bool:
    """Whether two JSON values have the same members, lists compared by their first item."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(
            same_shape(value, actual[key]) for key, value in expected.items() if key != "recipe"
        )
    if isinstance(expected, list) and isinstance(actual, list) and expected and actual:
        return same_shape(expected[0], actual[0])
    return True


async def test_the_examples_have_the_shape_of_real_answers(client, predictor, png):
    """What is shown is what is sent."""
    real = (await client.post("/api/predict?model=pets", content=png)).json()
    model = (await client.get("/api/models/pets")).json()
    problem = (await client.post("/api/predict", content=bytes(300 << 10))).json()
    assert same_shape(PREDICTION_EXAMPLE, real)
    assert same_shape(MODEL_EXAMPLE, model | {"view": {}})
    assert same_shape(PROBLEM_EXAMPLE, problem)
    assert set(BATCH_EXAMPLE[1]["error"]) <= set(PROBLEM_EXAMPLE) | {"index"}
    encoded = json.loads(
        msgspec.json.encode(prediction_body(await predictor.predict(predictor.asked[0])))
    )
    assert encoded.keys() == real.keys()


@pytest.mark.parametrize("example", [*PREDICT_CURL, *BATCH_CURL], ids=lambda each: each["title"])
def test_the_curl_lines_are_words_for_a_shell(example):
    """Quotes are closed, and the address is filled in. The browser's tests run one."""
    words = shlex.split(
        example["command"].format(base="http://h").replace("$(", "").replace(")", "")
    )
    assert "curl" in words
    assert any(word.startswith("http://h/api/predict") for word in words)
