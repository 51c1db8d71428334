"""Faults injected into the remote, and what the caller sees of each.

``make gateway`` runs this module and writes the table of ``docs/reference/gateway.md``.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tintype.models.info import Health
from tintype.settings import read_settings
from tintype.web.app import create_app
from tintype.web.uploads import UploadLimits

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/gateway.md"
TABLE = re.compile(r"(?<=<!-- faults -->\n).*?(?=<!-- /faults -->)", re.DOTALL)
HEAD = (
    "| what goes wrong there | language | status | `type` | `detail` |\n"
    "| --- | --- | --- | --- | --- |\n"
)


@dataclass(frozen=True)
class Fault:
    """A fault as the stand-in knows it, and how the page calls it."""

    kind: str
    words: str
    status: int
    type: str
    seconds: float = 0.0
    rest_type: str | None = None
    rest_status: int | None = None


FAULTS = [
    Fault("slow", "answers later than `timeout_seconds`", 504, "deadline-exceeded", seconds=1.0),
    Fault("refusing", "says that it is too busy", 502, "remote-failed"),
    Fault("invalid", "calls the input invalid", 502, "remote-refused"),
    Fault("broken", "fails inside", 502, "remote-failed"),
    Fault("wrong-shape", "answers another number of classes", 502, "remote-failed"),
    Fault("wrong-type", "answers texts instead of numbers", 502, "remote-failed"),
    Fault("missing", "leaves the output out", 502, "remote-failed"),
    Fault(
        "nan",
        "answers NaN",
        503,
        "engine-failed",
        rest_type="remote-failed",
        rest_status=502,
    ),
    Fault("garbage", "answers bytes that are no message", 502, "remote-failed"),
    Fault("dying", "dies in the middle of the answer", 502, "remote-failed"),
    Fault("gone", "is not there any more", 502, "remote-unreachable"),
]
TOLD: dict[tuple[str, str], str] = {}
"""Rows of the table, by fault and language."""


@asynccontextmanager
async def client_of(services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(services, limits=UploadLimits()))
    async with httpx.AsyncClient(transport=transport, base_url="http://tintype.test") as client:
        yield client


def row(fault: Fault, language: str, answer: httpx.Response) -> str:
    """A row of the table; how a system calls a lost connection differs, and is left out."""
    told = answer.json()
    detail = (
        re.sub("(UNAVAILABLE: ).*", r"\1...", told["detail"])
        if fault.kind == "dying"
        else told["detail"]
    )
    kind = told["type"].rpartition("/")[2]
    name = {"grpc": "gRPC", "http": "REST"}[language]
    return f"| {fault.words} | {name} | {answer.status_code} | `{kind}` | {detail} |\n"


def expected(fault: Fault, language: str) -> tuple[int, str]:
    if language == "http" and fault.rest_type is not None:
        return fault.rest_status, f"/problems/{fault.rest_type}"
    return fault.status, f"/problems/{fault.type}"


@pytest.mark.parametrize("language", ["grpc", "http"])
@pytest.mark.parametrize(
    "fault", [f for f in FAULTS if f.kind not in {"dying", "gone"}], ids=lambda f: f.kind
)
async def test_a_fault_is_told_once_and_clearly(
    stand_in, write_card, serve, picture, fault, language
):
    """A problem with what the remote said; asked once only; and well again afterwards."""
    card = write_card("colours", stand_in.address(language), remote="timeout_seconds = 0.5")
    async with serve(card) as services, client_of(services) as client:
        before = stand_in.seen()["calls"]
        stand_in.fault(fault.kind, seconds=fault.seconds)
        answer = await client.post("/api/predict", content=picture())
        assert expected(fault, language) == (answer.status_code, answer.json()["type"])
        assert before + 1 == stand_in.seen()["calls"]
        TOLD[fault.kind, language] = row(fault, language, answer)
        stand_in.fault("none")
        assert 200 == (await client.post("/api/predict", content=picture())).status_code


@pytest.mark.parametrize("language", ["grpc", "http"])
async def test_a_remote_that_dies_is_left_alone_and_found_again(
    models_folder, write_card, serve, picture, language, stand_in
):
    """Half an answer, then no connection, then not even tried; and served when it is back.

    The model on the other server, asked in the same requests, answers all the while.
    """
    mortal = type(stand_in)(models_folder)
    mortal.start()
    try:
        dying = write_card(
            "dying", mortal.address(language), remote='name = "colours"\ntimeout_seconds = 5'
        )
        living = write_card("raw", stand_in.address("grpc"))
        asked = "/api/predict?model=dying"
        async with serve(dying, living) as services, client_of(services) as client:
            mortal.fault("dying")
            answer = await client.post(asked, content=picture())
            fault = next(f for f in FAULTS if f.kind == "dying")
            assert expected(fault, language) == (answer.status_code, answer.json()["type"])
            TOLD["dying", language] = row(fault, language, answer)
            mortal.stop()

            gone = next(f for f in FAULTS if f.kind == "gone")
            answer = await client.post(asked, content=picture())
            assert expected(gone, language) == (answer.status_code, answer.json()["type"])
            TOLD["gone", language] = row(gone, language, answer)
            assert "1" == answer.headers["Retry-After"]

            both = (await client.post("/api/predict", content=picture())).json()["results"]
            assert ["remote-unreachable", None] == [
                each["error"] and each["error"]["type"] for each in both
            ]
            while Health.READY is services.predictor.model("dying").health:
                await client.post(asked, content=picture())
            ready = await client.get("/ready")
            assert (200, {"dying": "unreachable", "raw": "ready"}) == (
                ready.status_code,
                ready.json()["models"],
            )
            answer = await client.post(asked, content=picture())
            assert "is asked again in" in answer.json()["detail"]

            async def status() -> int:
                return (await client.post(asked, content=picture())).status_code

            mortal.start()
            async with asyncio.timeout(60):
                while 200 != await status():
                    pass
            assert Health.READY is services.predictor.model("dying").health
    finally:
        mortal.stop()


async def test_the_deadline_reaches_the_remote(stand_in, write_card, serve, picture):
    """What is left of the request's time, not the card's longest."""
    settings = read_settings(environment={}, flags={"requests.deadline_seconds": 3})
    card = write_card("colours", stand_in.address("grpc"), remote="timeout_seconds = 60")
    async with serve(card, settings=settings) as services, client_of(services) as client:
        await client.post("/api/predict", content=picture())
        assert 0 < stand_in.seen()["remaining"][-1] <= 3


async def test_a_slow_remote_holds_up_no_other_call(stand_in, write_card, serve, picture):
    """Eight calls may be under way; one that hangs takes one of them."""
    card = write_card("colours", stand_in.address("grpc"))
    async with serve(card) as services, client_of(services) as client:
        stand_in.fault("slow", seconds=5, times=1)
        slow = asyncio.ensure_future(client.post("/api/predict", content=picture()))
        await asyncio.to_thread(stand_in.wait_taken)
        done = await asyncio.gather(
            *(client.post("/api/predict", content=picture()) for _ in range(4))
        )
        assert [200] * 4 == [each.status_code for each in done]
        assert not slow.done()
        assert 200 == (await slow).status_code


async def test_one_refused_picture_harms_no_other(stand_in, write_card, serve, picture):
    """A batch that the remote refuses is asked again, picture by picture."""
    card = write_card("colours", stand_in.address("grpc"), remote="calls = 1")
    async with serve(card) as services, client_of(services) as client:
        stand_in.fault("slow", seconds=0.5, times=1)
        first = asyncio.ensure_future(client.post("/api/predict", content=picture()))
        await asyncio.to_thread(stand_in.wait_taken)
        stand_in.fault("invalid", times=2)
        more = [client.post("/api/predict", content=picture()) for _ in range(3)]
        codes = [answer.status_code for answer in await asyncio.gather(first, *more)]
        assert [200, 200, 200, 502] == sorted(codes)


def test_the_page_tells_what_callers_saw():
    """The table of ``docs/reference/gateway.md`` is the one these tests made."""
    order = [(fault.kind, language) for fault in FAULTS for language in ("grpc", "http")]
    assert [] == [each for each in order if each not in TOLD], "run the whole module"
    table = HEAD + "".join(TOLD[each] for each in order)
    page = PAGE.read_text()
    if os.environ.get("TINTYPE_WRITE_GATEWAY"):
        PAGE.write_text(TABLE.sub(lambda _: table, page))
        return
    assert table == TABLE.search(page)[0]
