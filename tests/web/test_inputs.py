"""Pictures that requests name, through every door, with what holds for all of them."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tintype.errors import InputDisabled, InputUnreachable, Overloaded
from tintype.web.app import create_app
from tintype.web.inflight import BytesInFlight
from tintype.web.inputs import InputPolicy, Inputs, Pictures
from tintype.web.paths import allowed_roots
from tintype.web.services import Services
from tintype.web.uploads import NamedPicture, UploadLimits


@pytest.fixture
def folder(tmp_path: Path, png: bytes) -> Path:
    """One real picture, and a file that is none."""
    (tmp_path / "2026").mkdir()
    (tmp_path / "2026/cat.png").write_bytes(png)
    (tmp_path / "words").write_bytes(b"hello")
    return tmp_path


@pytest.fixture
def inputs(folder: Path) -> Inputs:
    return Inputs(InputPolicy(paths=(str(folder),)), roots=allowed_roots([str(folder)]))


@pytest.fixture
async def reading(predictor, inputs) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that reads pictures by path."""
    app = create_app(Services(predictor=predictor, inputs=inputs), limits=UploadLimits())
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tintype.test") as client:
        yield client


NAME = "2026/cat.png"


def ignore(_size: int) -> None:
    """Counts nothing."""


@pytest.mark.parametrize(
    "send",
    [
        {"params": {"path": NAME}},
        {"json": {"path": NAME}},
        {"files": {"path": (None, NAME)}},
        {"params": {"path": ""}, "json": {"path": NAME, "top": 2}},
    ],
    ids=["query", "json", "form", "empty-means-not-given"],
)
async def test_a_path_may_come_in_any_form(reading, predictor, png, send):
    """As query, JSON key and form field; the model gets the file's bytes."""
    answer = await reading.post("/api/predict", **send)
    assert (200, png) == (answer.status_code, predictor.asked[0].image)


async def test_the_page_takes_a_path_too(reading, predictor, png):
    """And shows the picture under its name."""
    answer = await reading.post("/", files={"path": (None, NAME)})
    assert (200, png) == (answer.status_code, predictor.asked[0].image)
    assert "cat.png" in answer.text


async def test_a_batch_mixes_sent_and_named_pictures(reading, png):
    """Each answers in its place; one that is not there harms no other."""
    encoded = base64.b64encode(png).decode()
    images = [encoded, {"path": NAME}, {"path": "nix"}, {"path": "../x"}, {"path": 5}, {"p": NAME}]
    answer = await reading.post("/api/predict/batch", json={"images": images})
    told = [each.get("error", {}).get("type", "fine").split("/")[-1] for each in answer.json()]
    assert told == [
        "fine",
        "fine",
        "input-unreachable",
        "input-not-allowed",
        "malformed-request",
        "malformed-request",
    ]


async def test_a_batch_takes_paths_as_options(reading):
    """Given again, a path is one more picture."""
    answer = await reading.post("/api/predict/batch", params={"path": [NAME, "words"]})
    kinds = ["error" in each for each in answer.json()]
    assert [False, True] == kinds


async def test_a_picture_and_a_path_are_two(reading, png):
    """One request, one picture."""
    answer = await reading.post("/api/predict", params={"path": NAME}, content=png)
    assert "/problems/too-many-images" == answer.json()["type"]


@pytest.mark.parametrize("kind", ["path", "url"])
@pytest.mark.parametrize("address", ["/api/predict", "/"])
async def test_named_pictures_are_off_by_default(client, kind, address):
    """The server fetches nothing and opens nothing that a caller names."""
    answer = await client.post(address, params={kind: "http://169.254.169.254/"})
    assert 403 == answer.status_code
    assert "not switched on" in answer.text


async def test_named_pictures_are_off_in_a_batch(client):
    """Each is refused in its place."""
    answer = await client.post("/api/predict/batch", json={"images": [{"url": "x"}, {"path": "x"}]})
    assert ["/problems/input-disabled"] * 2 == [each["error"]["type"] for each in answer.json()]


async def test_without_a_policy_nothing_is_read():
    """The default value itself is off."""
    with pytest.raises(InputDisabled):
        await Inputs().read(NamedPicture(kind="path", text="/etc/passwd"), limit=100, count=ignore)


async def test_a_disk_that_hangs_costs_only_its_request(folder):
    """The caller is told after the limit; the thread is still stuck then."""
    policy = InputPolicy(max_seconds=0.05)
    stuck = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(stuck.wait)
        inputs = Inputs(policy, roots=allowed_roots([str(folder)]), threads=threads)
        try:
            with pytest.raises(InputUnreachable, match=r"within 0\.05 seconds"):
                await inputs.read(NamedPicture(kind="path", text=NAME), limit=1 << 20, count=ignore)
        finally:
            stuck.set()


async def test_named_pictures_count_as_bytes_in_flight(inputs, png):
    """Two that are held together pass the bound; those given back count no more."""
    held = BytesInFlight(len(png) + 10)
    pictures = Pictures(inputs, held=held, limit=1 << 20)
    named = NamedPicture(kind="path", text=NAME)
    for _ in range(3):
        async with pictures.bytes_of(named) as data:
            assert png == data
            with pytest.raises(Overloaded):
                async with pictures.bytes_of(named):
                    pass
    with held.counted() as count:
        count(len(png) + 10)


async def test_a_client_that_leaves_stops_the_waiting(predictor, folder):
    """It asked for a file on a disk that hangs; its place is free at once."""
    stuck = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(stuck.wait)
        inputs = Inputs(
            InputPolicy(max_seconds=60), roots=allowed_roots([str(folder)]), threads=threads
        )
        app = create_app(Services(predictor=predictor, inputs=inputs), limits=UploadLimits())
        sent = []
        messages = [{"type": "http.disconnect"}, {"type": "http.request", "body": b""}]

        async def receive():
            return messages.pop()

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/predict",
            "query_string": b"path=" + NAME.encode(),
            "headers": [],
        }
        try:
            await asyncio.wait_for(app(scope, receive, send), 20)
        finally:
            stuck.set()
    assert 499 == sent[0]["status"]
