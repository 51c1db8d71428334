"""A remote that is not there at the start: the others are served, and it as soon as it is."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

import tintype
from tintype.errors import RemoteUnreachable
from tintype.models.library import find_cards
from tintype.settings import Settings
from tintype.web.app import create_app
from tintype.web.uploads import UploadLimits
from tintype.wiring.plans import make_plans
from tintype.wiring.running import running

COLOURS = Path(tintype.__file__).parent / "demo/models/colours"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def start():
    """The application around some cards, as ``tintype serve`` starts it."""

    @asynccontextmanager
    async def start(*paths: Path):
        absent = []
        plans = await make_plans(find_cards(paths), left_out=absent.append, patient=True)
        async with running(
            plans, settings=Settings(), left_out=pytest.fail, absent=tuple(absent)
        ) as services:
            transport = httpx.ASGITransport(app=create_app(services, limits=UploadLimits()))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://tintype.test"
            ) as client:
                yield client

    return start


async def test_the_others_are_served_and_it_is_told(write_card, start, picture):
    """By name a 502 that says why; in the lists of models and of health it is there."""
    remote = write_card("pets", f"grpc://127.0.0.1:{free_port()}")
    async with start(remote, COLOURS) as client:
        ready = await client.get("/ready")
        assert (200, "unreachable") == (ready.status_code, ready.json()["models"]["pets"])
        told = (await client.get("/api/models")).json()["absent"]
        assert [("pets", "remote-unreachable")] == [(e["name"], e["error"]["type"]) for e in told]
        assert 502 == (await client.get("/api/models/pets")).status_code
        answer = await client.post("/api/predict?model=pets", content=picture())
        assert 502 == answer.status_code
        assert "is not served yet: no connection to the TensorFlow" in answer.json()["detail"]
        assert "model.toml" not in answer.text
        assert 200 == (await client.post("/api/predict", content=picture())).status_code


async def test_alone_it_is_waited_for(write_card, start, picture):
    """The server starts, is not ready, and has its page all the same."""
    async with start(write_card("pets", f"http://127.0.0.1:{free_port()}")) as client:
        assert 503 == (await client.get("/ready")).status_code
        assert 200 == (await client.get("/")).status_code
        answer = await client.post("/api/predict", content=picture())
        assert (502, "/problems/remote-unreachable") == (answer.status_code, answer.json()["type"])


async def test_it_is_served_as_soon_as_it_is_there(
    stand_in, models_folder, write_card, start, picture
):
    """No restart, no request: it is asked for again and again."""
    late = type(stand_in)(models_folder, grpc=free_port())
    async with start(write_card("colours", late.address("grpc"))) as client:
        await asyncio.to_thread(late.start)
        try:
            async with asyncio.timeout(60):
                while True:
                    await asyncio.sleep(0)  # a turn of the loop: there is no event to wait for
                    if (await client.get("/ready")).status_code == 200:
                        break
            answer = await client.post("/api/predict?model=colours", content=picture())
            assert 200 == answer.status_code
            assert [] == (await client.get("/api/models")).json()["absent"]
        finally:
            late.stop()


async def test_without_patience_the_last_one_stops_the_start(write_card):
    """``predict`` and ``inspect`` have nothing else to tell."""
    card = write_card("pets", f"grpc://127.0.0.1:{free_port()}")
    with pytest.raises(RemoteUnreachable, match=r"pets/model\.toml: no connection"):
        await make_plans(find_cards((card,)), left_out=pytest.fail)
