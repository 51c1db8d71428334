"""Two processes of one server: whoever asks one of them never notices that there is another."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import httpx
import pytest
import structlog

import tintype
from tintype.access.keys import Key, Scope, digest_of, id_of, new_text
from tintype.access.store import KeyStore
from tintype.models.library import find_cards
from tintype.settings import Settings, read_settings
from tintype.web.app import create_app
from tintype.web.compat.policy import CompatPolicy
from tintype.web.scrape import MetricsPage
from tintype.web.services import Services
from tintype.web.uploads import UploadLimits
from tintype.wiring.plans import make_plans
from tintype.wiring.running import running
from tintype.worker import ALONE, Worker

DEMO = Path(tintype.__file__).parent / "demo"
PICTURE = (DEMO / "pictures/colours.png").read_bytes()
PUBLIC = ("203.0.113.7", 1234)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one model, which its tests may change."""
    (tmp_path / "models/colours/1").mkdir(parents=True)
    shutil.copy(DEMO / "models/colours/model.keras", tmp_path / "models/colours/1")
    return tmp_path / "models"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings(
        environment={
            "TINTYPE_STATE_FOLDER": str(tmp_path / "state"),
            "TINTYPE_MODELS_POLL_SECONDS": "0",
        }
    )


async def started(
    stack: AsyncExitStack, worker: Worker, folder: Path, settings: Settings
) -> Services:
    """One process' services, in this process."""
    find = partial(find_cards, (folder,))
    plans = await make_plans(find(), left_out=pytest.fail)
    return await stack.enter_async_context(
        running(plans, settings=settings, left_out=pytest.fail, find=find, worker=worker)
    )


@dataclass(frozen=True)
class Process:
    """One of them: what runs in it, and a client that reaches it."""

    services: Services
    client: httpx.AsyncClient


@pytest.fixture
async def pair(folder: Path, settings: Settings, family) -> AsyncIterator[list[Process]]:
    """Both, with the routes of older systems."""
    async with AsyncExitStack() as stack:
        found = []
        for worker in family:
            services = await started(stack, worker, folder, settings)
            app = create_app(services, limits=UploadLimits(), compat=CompatPolicy(enabled=True))
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app, client=PUBLIC),
                base_url="http://tintype.test",
            )
            found.append(Process(services, await stack.enter_async_context(client)))
        yield found


async def ask(process: Process) -> str:
    """Send the picture; the prediction's id."""
    answer = await process.client.post("/api/predict", content=PICTURE)
    assert 200 == answer.status_code, answer.text
    return answer.json()["id"]


def counted(page: str, series: str) -> dict[str, float]:
    """The value of a series by its process."""
    found = re.findall(rf'^{series}\{{.*process="(\d)".*\}} (\S+)$', page, re.MULTILINE)
    return {number: float(value) for number, value in found}


async def test_a_prediction_is_found_judged_and_deleted_in_either(pair):
    """Over every way in by its id, the moment it is answered."""
    one, other = pair
    path = f"/api/predictions/{await ask(one)}"
    assert 200 == (await other.client.get(path)).status_code
    path = f"/api/predictions/{await ask(one)}"
    assert 200 == (await other.client.put(f"{path}/feedback", json={"correct": True})).status_code
    assert (await one.client.get(path)).json()["results"][0]["feedback"]["correct"]
    fields = {"id": await ask(other), "model": "colours", "correct": "true"}
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "http://tintype.test"}
    said = await one.client.post("/feedback", data=fields, headers=headers)
    assert 303 == said.status_code
    assert 200 == (await other.client.get(said.headers["location"])).status_code
    assert 200 == (await one.client.get(f"/predictions/{await ask(other)}")).status_code
    path = f"/api/predictions/{await ask(one)}"
    assert 200 == (await other.client.delete(path)).status_code
    for each in pair:
        assert 404 == (await each.client.get(path)).status_code


async def test_guessing_ids_does_not_make_others_write_without_end(pair):
    """However many unknown ids come, the other process flushes eight times, then four a second."""
    one, other = pair
    flushes = []
    flush = other.services.siblings._give["flush"]

    async def counted_flush(about: str) -> None:
        flushes.append(about)
        await flush(about)

    other.services.siblings.answer("flush", counted_flush)
    begun = time.monotonic()
    for number in range(11):
        guesses = [one.client.get(f"/api/predictions/{number:030x}{n:02x}") for n in range(20)]
        assert {404} == {answer.status_code for answer in await asyncio.gather(*guesses)}
    assert 8 <= len(flushes) <= 8 + 4 * (time.monotonic() - begun) + 1


async def test_metrics_and_dashboard_of_either_tell_both(pair):
    """Predictions of both, each under its process; the dashboard adds them up."""
    one, other = pair
    for process, count in ((one, 2), (other, 3)):
        for _ in range(count):
            await ask(process)
    for process in pair:
        page = (await process.client.get("/metrics")).text
        results = counted(page, "tintype_results_total")
        assert {"0": 2, "1": 3} == results
        assert {"0", "1"} == set(counted(page, "process_start_time_seconds"))
        board = (await process.client.get("/dashboard")).text
        assert "<dt>answered</dt><dd>5</dd>" in board
        assert "Of all models and 2 processes." in board


async def test_one_process_alone_tells_what_it_always_told(folder: Path, settings: Settings):
    """No label, no socket, nothing to ask."""
    async with AsyncExitStack() as stack:
        services = await started(stack, ALONE, folder, settings)
        assert services.siblings is None
        page = MetricsPage(services.metrics).written(accept="")[0].decode()
        assert "process=" not in page
        assert services.record._others is None


async def test_a_dead_process_is_missing_and_harms_nobody(folder: Path, settings: Settings, family):
    """The page and the dashboard say so; what is unknown is told at once."""
    async with AsyncExitStack() as stack:
        services = await started(stack, family[0], folder, settings)
        app = create_app(services, limits=UploadLimits())
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://tintype.test"
        )
        async with client:
            assert {"0"} == set(
                counted((await client.get("/metrics")).text, "process_start_time_seconds")
            )
            board = (await client.get("/dashboard")).text
            assert "1 of 2 processes. 1 did not tell what they know." in board
            assert 404 == (await client.get(f"/api/predictions/{'0' * 32}")).status_code


@pytest.fixture
def key(settings: Settings) -> str:
    """An admin's, made while the processes run."""
    text = new_text()
    one = Key(
        id=id_of(text.encode()),
        name="ann",
        digest=digest_of(text.encode()),
        scopes=frozenset({Scope.ADMIN}),
        created=1.0,
    )
    KeyStore(Path(settings.state.folder)).add(one)
    return text


async def test_a_sign_in_is_one_for_both(key, pair):
    """The form of one is taken by the other; the session holds in both, and ends in both."""
    one, other = pair
    for each in pair:
        assert 303 == (await each.client.get("/", headers={"accept": "text/html"})).status_code
    headers = {"Sec-Fetch-Site": "same-origin"}
    assert 200 == (await one.client.get("/sign-in")).status_code
    signed = await other.client.post("/sign-in", data={"key": key, "next": "/"}, headers=headers)
    assert 303 == signed.status_code
    cookie = {"Cookie": signed.headers["set-cookie"].partition(";")[0]}
    for each in pair:
        assert 200 == (await each.client.get("/dashboard", headers=cookie)).status_code
    assert 303 == (await one.client.post("/sign-out", headers=headers | cookie)).status_code
    for each in pair:
        gone = await each.client.get("/dashboard", headers=cookie)
        assert 401 == gone.status_code


async def test_a_score_page_is_there_in_both(pair):
    """And its picture; an id of nobody's is nowhere."""
    one, other = pair
    sent = await one.client.post("/classify", files={"file": ("a.png", PICTURE, "image/png")})
    assert 302 == sent.status_code
    where = sent.headers["location"]
    for each in pair:
        assert 200 == (await each.client.get(where)).status_code
        assert (await each.client.get(f"{where}/picture")).content == PICTURE
    for odd in ("x.0", "x.1", "x.2", "x.-1", "x.", "x", f"x{where[-2:]}"):
        assert 404 == (await other.client.get(f"/score/{odd}")).status_code


async def test_a_model_loaded_anew_is_loaded_anew_in_both(pair, folder: Path):
    """When the answer is there, either answers with the new version."""
    one, other = pair
    shutil.copytree(folder / "colours/1", folder / "colours/2")
    assert 200 == (await one.client.post("/api/models/colours/reload")).status_code
    for each in pair:
        told = (await each.client.get("/api/models/colours")).json()
        assert "2" == told["version"]
    damaged = folder / "colours/2/model.keras"
    keeper = other.services.keeper
    load = keeper._load_card

    async def refuse(card):
        damaged.write_bytes(b"cut short")
        return await load(replace(card, file=damaged))

    keeper._load_card = refuse
    answer = await one.client.post("/api/models/colours/reload")
    assert (503, "/problems/model-unavailable") == (answer.status_code, answer.json()["type"])
    assert "1 of 2 processes serve 'colours' as it was" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"TINTYPE_LIMITS_ADDRESS_PER_MINUTE": "9"}, 1),
        ({"TINTYPE_LIMITS_ADDRESS_PER_MINUTE": "9", "TINTYPE_LIMITS_REDIS": "redis://h:1/0"}, 0),
        ({}, 0),
    ],
)
async def test_limits_that_each_process_counts_are_told_once(
    folder: Path, tmp_path: Path, family, variables, told: int
):
    """By the first of them, where there are any and no Redis."""
    settings = read_settings(
        environment={
            "TINTYPE_STATE_FOLDER": str(tmp_path / "state"),
            "TINTYPE_RECORD_ENABLED": "off",
        }
        | variables
    )
    with structlog.testing.capture_logs() as logs:
        async with AsyncExitStack() as stack:
            for worker in family:
                await started(stack, worker, folder, settings)
    found = [each for each in logs if "limits" in each["event"]]
    assert [2] * told == [each["processes"] for each in found]
