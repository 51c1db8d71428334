"""The dashboard as the server draws it."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest

from tintype.live import LiveWindow
from tintype.record.accuracy import report
from tintype.record.drift import Drift, Sample
from tintype.record.outcomes import count
from tintype.record.picture_place import PictureFolder
from tintype.record.pictures import PictureKeeper
from tintype.record.policy import PicturePolicy
from tintype.record.reports import Overview, Reference
from tintype.types import LabelScore, Result, Task
from tintype.web.app import create_app
from tintype.web.dashboard_view import live_view, record_view
from tintype.web.services import Services


@pytest.fixture
def live() -> LiveWindow:
    return LiveWindow()


@pytest.fixture
def app(predictor, limits, record, live):
    predictor.observers = (record, live)
    services = Services(predictor=predictor, record=record, live=live)
    return create_app(services, limits=limits)


async def page(client, path: str = "/dashboard", **headers: str) -> str:
    answer = await client.get(path, headers=headers)
    assert (200, "text/html; charset=utf-8") == (
        answer.status_code,
        answer.headers["content-type"],
    )
    return answer.text


async def test_a_new_server_has_a_page(client):
    """Nothing was asked and nothing judged; nothing fails."""
    text = await page(client)
    assert "Nothing was asked in these minutes." in text
    assert "Nobody has said yet whether an answer was right." in text
    assert "No answer of this version is in the record yet." in text


async def test_traffic_and_feedback_are_shown(client, png):
    """Rates, stages, accuracy, confusion, labels, and the disagreement with its page."""
    for said in ({"correct": True}, {"correct": True}, {"label": "cat"}):
        told = (await client.post("/api/predict?model=pets", content=png)).json()
        await client.put(f"/api/predictions/{told['id']}/feedback", json=said)
    text = await page(client)
    assert re.search(r"<dt>answered</dt><dd>3</dd>", text)
    assert "66.7 %" in text
    assert "2 of 3, 95 % interval" in text
    assert f'<a href="/predictions/{told["id"]}">dog</a>' in text
    assert 'title="1 of 1 pictures of cat answered dog (100%)"' in text
    assert re.search(r'<th scope="row">decode</th><td>1 ms</td>', text)


async def test_where_the_canary_differs_is_shown(client, record, png):
    """What was answered, what the canary says, either version, and the way to the prediction."""
    told = (await client.post("/api/predict?model=pets", content=png)).json()
    assert "Where the canary differs" not in await page(client, "/dashboard?model=things")
    label = LabelScore(index=0, label="a <canary>", score=0.625)
    canary = Result(model="pets", version="9", task=Task.CLASSIFY, labels=(label,))
    record.differs(told["id"], 0, canary)
    text = await page(client)
    assert "Where the canary differs" in text
    row = re.search(rf'<a href="/predictions/{told["id"]}">dog</a>.*', text)[0]
    version = told["results"][0]["version"]
    assert f"<td>a &lt;canary&gt;, 62.5 %</td><td>{version}, 9</td>" in row
    assert "says a &lt;canary&gt; (62.5 %)" in await page(client, f"/predictions/{told['id']}")
    body = (await client.get(f"/api/predictions/{told['id']}")).json()
    assert "9" == body["results"][0]["canary"]["version"]


async def test_the_part_that_changes_is_sent_alone(client):
    """To scripts that ask for it."""
    text = await page(client, **{"X-Fragment": "board"})
    assert "<html" not in text
    assert text.startswith('<p class="small board-at">')


async def test_each_model_has_its_own_page(client):
    """The one that is shown is marked."""
    text = await page(client, "/dashboard?model=things")
    assert re.search(r'<a href="/dashboard\?model=things" aria-current="page">', text)
    assert "Things, version 1" in text


@pytest.mark.parametrize(("query", "status"), [("model=nobody", 404), ("colour=red", 400)])
async def test_what_is_not_there_is_told_in_a_page(client, query: str, status: int):
    """With its reason."""
    answer = await client.get(f"/dashboard?{query}")
    assert status == answer.status_code
    assert "text/html" in answer.headers["content-type"]


async def test_without_a_record_the_rest_is_shown(predictor, limits, live):
    """Live numbers need none."""
    services = Services(predictor=predictor, live=live)
    transport = httpx.ASGITransport(app=create_app(services, limits=limits))
    async with httpx.AsyncClient(transport=transport, base_url="http://tintype.test") as client:
        text = await page(client)
    assert "record.enabled" in text
    assert "Where the time goes" in text


async def test_the_record_is_asked_once_for_all_who_look(client, record):
    """Pages that refresh themselves are many."""
    asked = []
    read = record.read

    async def counted(work):
        asked.append(work)
        return await read(work)

    record.read = counted
    await asyncio.gather(*(page(client) for _ in range(5)))
    assert 1 == len(asked)


async def test_kept_pictures_are_shown_small(predictor, limits, record, png, tmp_path):
    """Beside the disagreement; one that cannot be read leaves its row."""

    def bare(image: bytes, *, kind: str, orientation: int) -> bytes:
        del kind, orientation
        return image

    place = PictureFolder(tmp_path / "pictures")
    policy = PicturePolicy(keep=True)
    with PictureKeeper(record, place=place, strip=bare, policy=policy) as kept:
        predictor.observers = (record, kept)
        services = Services(predictor=predictor, record=record, pictures=kept)
        transport = httpx.ASGITransport(app=create_app(services, limits=limits))
        async with httpx.AsyncClient(transport=transport, base_url="http://t.test") as client:
            told = (await client.post("/api/predict?model=pets", content=png)).json()
            await client.put(f"/api/predictions/{told['id']}/feedback", json={"correct": False})
            async with asyncio.timeout(20):
                while not list((tmp_path / "pictures").rglob("*.png")):  # noqa: ASYNC110 - a thread writes it
                    await asyncio.sleep(0.01)
            text = await page(client)
    assert 1 == text.count('<img class="thumb" src="data:image/jpeg;base64,')
    assert "something else" in text


async def test_no_attribute_holds_a_style(client, png):
    """The policy forbids it, and scripts inside the page."""
    await client.post("/api/predict?model=pets", content=png)
    text = await page(client)
    assert not re.search(r"\sstyle=|<style|\son\w+=", text)
    assert "<script" not in text.replace('<script type="module" src="/static/dashboard.js">', "")


def overview(*, drift: Drift | None = None, labels: dict[str, int] | None = None) -> Overview:
    sample = Sample(measures={"score": [0.95] * 3}, labels=labels or {})
    return Overview(
        accuracy=report(count([])),
        reference=Reference(name="the golden set", sample=sample),
        recent=sample,
        drift=drift,
        disagreements=(),
        differences=(),
        lost={"dropped": 3, "killed": 2},
    )


@pytest.mark.parametrize(
    ("enough", "words"),
    [
        (False, "Too little to say: 20 answers to compare with the golden set; 50 on both sides"),
        (True, "The last 20 answers are like the golden set"),
    ],
)
def test_no_drift_is_told_in_words(enough, words: str):
    """Too little to say is something else than no change."""
    drift = Drift(
        reference="the golden set",
        reference_count=10,
        recent_count=20,
        enough=enough,
        findings=(),
    )
    assert words in record_view(overview(drift=drift), thumbnails={}).drift_words


def test_the_mix_has_the_commonest_labels_first():
    """With their share before; what is rarer is counted."""
    told = overview(labels={f"label {n}": 20 - n for n in range(15)})
    view = record_view(told, thumbnails={})
    assert view.mix is not None
    assert ["label 0", "label 1"] == [row.label for row in view.mix.rows[:2]]
    assert (12, 3) == (len(view.mix.rows), view.mix.more)
    assert 5 == view.lost


def test_rates_are_columns_by_time():
    """Thirty steps; the last is now."""
    view = live_view(LiveWindow().view())
    assert "0 seconds" == view.minutes
    assert "-4:50" == view.rates.x_ticks[0].text
