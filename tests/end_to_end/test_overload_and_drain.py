"""The real program, real sockets, real signals: refusing at once, and leaving in good order."""

from __future__ import annotations

import asyncio
import io
import re
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

import tintype

TINTYPE = str(Path(sys.executable).parent / "tintype")
COLOURS = Path(tintype.__file__).parent / "demo/models/colours"


@pytest.fixture(scope="module")
def slow_picture() -> bytes:
    """13 megapixels of noise as JPEG: some tenths of a second to decode."""
    noise = np.random.default_rng(1).integers(0, 255, (1000, 1500, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((4500, 3000)).save(file, "JPEG", quality=60)
    return file.getvalue()


async def test_past_the_limit_it_refuses_at_once_and_serves_the_rest(serving, slow_picture):
    """503 with Retry-After, before those at work are done; they are answered all the same."""
    with serving("serve", COLOURS, TINTYPE_REQUESTS_MAX_IN_FLIGHT="2") as server:
        async with httpx.AsyncClient(base_url=server.address, timeout=60) as client:
            ended: list[int] = []

            async def ask() -> httpx.Response:
                answer = await client.post("/api/predict", content=slow_picture)
                ended.append(answer.status_code)
                return answer

            answers = await asyncio.gather(*(ask() for _ in range(12)))
            healthy = await client.get("/ready")
            metrics = (await client.get("/metrics")).text
    assert {200, 503} == set(ended)
    assert 503 == ended[0]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert all(answer.headers["retry-after"] == "1" for answer in refused)
    assert {"/problems/overloaded"} == {answer.json()["type"] for answer in refused}
    assert 200 == healthy.status_code
    shed = int(float(re.search(r"^tintype_shed_total (\S+)", metrics, re.MULTILINE)[1]))
    assert 0 <= shed <= len(refused)


async def test_who_leaves_makes_room(serving, slow_picture):
    """Two clients fill the server and hang up: the next is let in and answered."""
    with serving("serve", COLOURS, TINTYPE_REQUESTS_MAX_IN_FLIGHT="2") as server:
        head = (
            f"POST /api/predict HTTP/1.1\r\nHost: a\r\nContent-Length: {len(slow_picture)}\r\n\r\n"
        )
        for _ in range(2):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(head.encode() + slow_picture)
            await writer.drain()
            writer.close()
        async with httpx.AsyncClient(base_url=server.address, timeout=60) as client:
            async with asyncio.timeout(30):
                while (await client.post("/api/predict", content=slow_picture)).status_code != 200:
                    pass


async def until_not_ready(client: httpx.AsyncClient) -> None:
    """Ask again and again. Raises TransportError when nobody listens any more."""
    while (await client.get("/ready")).status_code == 200:
        pass


async def test_sigterm_finishes_what_was_accepted_then_leaves(serving, slow_picture):
    """Nobody new comes in, not even to ask whether it is ready; everybody at work is answered."""
    with serving("serve", COLOURS) as server:
        async with httpx.AsyncClient(base_url=server.address, timeout=60) as client:
            asked = [
                asyncio.create_task(client.post("/api/predict", content=slow_picture))
                for _ in range(8)
            ]
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            server.process.terminate()
            async with httpx.AsyncClient(base_url=server.address, timeout=60) as late:
                with pytest.raises(httpx.TransportError):
                    await asyncio.wait_for(until_not_ready(late), 30)
            answers = await asyncio.gather(*asked)
        assert [200] * 8 == [answer.status_code for answer in answers]
        assert 0 == await asyncio.to_thread(server.process.wait, 30)


def test_an_impatient_person_leaves_while_a_model_loads(tmp_path):
    """Ctrl-C, three times, between the summary and the address: nothing is said that frightens."""
    words = [TINTYPE, "serve", COLOURS, "--port", "0", "--state", tmp_path]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as server:
        said = server.stderr.readline()
        for _ in range(3):
            server.send_signal(signal.SIGINT)
        said += server.stderr.read()
    assert server.wait(20) in {0, 130, -signal.SIGINT}
    assert "Traceback" not in said
    assert "Exception" not in said


def test_more_callers_than_a_shell_allows_may_connect(serving):
    """Each connection is an open file, and shells allow few."""
    few = ("sh", "-c", 'ulimit -S -n 64; exec "$0" "$@"')
    with serving("serve", COLOURS, prefix=few) as server, ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 20))
        assert 200 == httpx.get(f"{server.address}/live", timeout=20).status_code


def test_another_address_without_a_key_is_warned_of(serving):
    """In the first lines that are printed."""
    with serving("serve", COLOURS, "--host", "0.0.0.0") as server:
        assert any(line.startswith("WARNING: no API key is asked for.") for line in server.lines)


def test_keys_are_made_listed_and_revoked_on_the_command_line(serving, tmp_path):
    """The text is on stdout alone; a running server takes it, and then takes it no more."""
    state = ("--state", str(tmp_path))

    def keys(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [TINTYPE, "keys", *words, *state], capture_output=True, text=True, check=True
        )

    made = keys("add", "ann", "--scope", "predict", "--per-day", "5")
    assert re.fullmatch(r"tt_\w{8}_\w{43}\n", made.stdout)
    assert made.stdout.strip() not in made.stderr
    headers = {"x-api-key": made.stdout.strip()}
    with serving("serve", COLOURS, *state) as server:
        assert 401 == httpx.get(f"{server.address}/api/models").status_code
        assert 200 == httpx.get(f"{server.address}/api/models", headers=headers).status_code
        keys("revoke", "ann")
        client = httpx.Client(base_url=server.address, headers=headers)
        statuses = []
        while 401 not in statuses and len(statuses) < 10_000:
            statuses.append(client.get("/api/models").status_code)
        client.close()
    assert 401 == statuses[-1]
    assert "revoked  predict  " in keys("list").stdout
