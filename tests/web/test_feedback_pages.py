"""Saying in the page whether it was right, with and without scripts."""

from __future__ import annotations

import html
import re

import httpx
import pytest

from tintype.errors import ForeignForm
from tintype.imaging.strip import strip
from tintype.record.picture_place import PictureFolder
from tintype.record.pictures import PictureKeeper
from tintype.record.policy import PicturePolicy
from tintype.web.app import create_app
from tintype.web.same_origin import refuse_foreign_form
from tintype.web.services import Services

FRAGMENT = {"X-Fragment": "verdict"}


@pytest.fixture
def app(predictor, limits, record):
    predictor.observers = (record,)
    return create_app(Services(predictor=predictor, record=record), limits=limits)


def forms(text: str) -> list[dict[str, str]]:
    """The hidden fields of every form for feedback in a page."""
    return [
        dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
        for form in re.findall(r"<form class=\"verdict\".*?</form>", text, re.DOTALL)
    ]


async def answered(client, png, **options) -> list[dict[str, str]]:
    return forms((await client.post("/", files={"image": png}, data=options)).text)


async def test_every_result_has_a_form_that_says_which_it_is(client, png):
    """Id, model and point are in it."""
    found = await answered(client, png, x="3", y="4")
    assert ["pets", "things"] == [form["model"] for form in found]
    assert {("3.0", "4.0")} == {(form["x"], form["y"]) for form in found}
    assert 1 == len({form["id"] for form in found})


async def test_without_scripts_the_predictions_page_follows(client, png):
    """What was said stands on it, and can be changed there."""
    pets, _ = await answered(client, png)
    said = await client.post("/feedback", data={**pets, "label": "cat"})
    assert (303, f"/predictions/{pets['id']}") == (said.status_code, said.headers["location"])
    page = (await client.get(said.headers["location"])).text
    assert "Noted: it is cat." in page
    assert 2 == len(forms(page))
    await client.post("/feedback", data={**pets, "label": "", "correct": "true"})
    assert "Noted: it was right." in (await client.get(said.headers["location"])).text


async def test_scripts_get_the_form_again(client, png):
    """With what is now noted, as the button says whatever is chosen beside it."""
    pets, things = await answered(client, png)
    wrong = await client.post(
        "/feedback", data={**pets, "label": "cat", "correct": "false"}, headers=FRAGMENT
    )
    assert "Noted: it was wrong." in wrong.text
    assert "<!doctype" not in wrong.text
    assert [pets] == forms(wrong.text)
    right = await client.post("/feedback", data={**things, "correct": "true"}, headers=FRAGMENT)
    assert "Noted: it was right." in right.text


async def test_labels_to_choose_are_escaped(client, png):
    """A label is text, whatever it contains."""
    pets, _ = await answered(client, png)
    said = await client.post("/feedback", data={**pets, "label": "<b>bird</b>"}, headers=FRAGMENT)
    assert "<b>" not in said.text
    assert "Noted: it is <b>bird</b>." in html.unescape(said.text)


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
async def test_what_cannot_be_meant_is_told_in_the_page(client, png, headers):
    """In words, with the form to try again or a page of its own."""
    pets, _ = await answered(client, png)
    for fields, words in (
        ({"label": "dgo"}, "did you mean 'dog'"),
        ({"label": ""}, "nothing is given"),
    ):
        told = await client.post("/feedback", data={**pets, **fields}, headers=headers)
        assert 400 == told.status_code
        assert words in html.unescape(told.text)
        assert told.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    "body", [b"", b"a", b"id=x", b"\xff=1", b"&".join([b"a=1"] * 99), b"id=%00"]
)
async def test_a_form_of_nonsense_is_told_in_a_page(client, body):
    """No input makes a 500."""
    told = await client.post("/feedback", content=body)
    assert told.status_code in {400, 404}
    assert 'role="alert"' in told.text


async def test_an_unknown_prediction_is_told_in_a_page(client):
    """To people in HTML, to scripts as a problem."""
    lost = await client.get(f"/predictions/{'0' * 32}")
    assert 404 == lost.status_code
    assert "Unknown prediction" in lost.text
    fields = {"id": "0" * 32, "correct": "true"}
    told = await client.post("/feedback", data=fields, headers=FRAGMENT)
    assert (404, "/problems/unknown-prediction") == (told.status_code, told.json()["type"])


async def test_a_form_from_another_site_is_refused(client, png):
    """Nothing is kept of it."""
    pets, _ = await answered(client, png)
    said = await client.post(
        "/feedback",
        data={**pets, "correct": "true"},
        headers={**FRAGMENT, "sec-fetch-site": "cross-site"},
    )
    assert (403, "/problems/foreign-form") == (said.status_code, said.json()["type"])
    assert "Noted" not in (await client.get(f"/predictions/{pets['id']}")).text


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://h:1"}, False),
        ({"origin": "http://h:1"}, True),
        ({"origin": "https://H:1"}, True),
        ({"origin": "http://h:2"}, False),
        ({"origin": "http://h"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://[nonsense"}, False),
        ({"origin": ""}, False),
    ],
)
def test_where_a_form_may_come_from(headers, ours):
    """A browser says it; a program that says nothing has only its own rights."""
    if ours:
        refuse_foreign_form({"host": "h:1", **headers})
    else:
        with pytest.raises(ForeignForm):
            refuse_foreign_form({"host": "h:1", **headers})


async def test_without_a_record_nothing_is_asked(predictor, limits, png):
    """No form, and its address says why."""
    app = create_app(Services(predictor=predictor), limits=limits)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tintype.test") as client:
        assert [] == await answered(client, png)
        told = await client.post("/feedback", data={"id": "0" * 32, "correct": "true"})
    assert 403 == told.status_code


@pytest.mark.parametrize(("keep", "words"), [(False, "are not kept"), (True, "are kept")])
async def test_the_page_says_whether_pictures_are_kept(
    predictor, limits, record, tmp_path, keep, words
):
    """Before anybody sends one."""
    where = PictureFolder(tmp_path)
    keeper = PictureKeeper(record, place=where, policy=PicturePolicy(keep=keep), strip=strip)
    services = Services(predictor=predictor, record=record, pictures=keeper)
    transport = httpx.ASGITransport(app=create_app(services, limits=limits))
    async with httpx.AsyncClient(transport=transport, base_url="http://tintype.test") as client:
        assert f"Pictures {words}" in (await client.get("/")).text
