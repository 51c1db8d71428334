"""Models on another server: a stand-in for TensorFlow Serving in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tintype.models.library import find_cards
from tintype.settings import Settings
from tintype.web.services import Services
from tintype.wiring.plans import make_plans
from tintype.wiring.running import running

SERVE = Path(__file__).resolve().parents[1] / "stand_in/serve.py"
START_SECONDS = 120


@dataclass
class StandIn:
    """A running stand-in, and what tests tell it and ask of it."""

    folder: Path
    grpc: int = 0
    rest: int = 0
    process: subprocess.Popen | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it, on the same ports as before if it ran before; wait until it listens."""
        command = [sys.executable, SERVE, self.folder]
        ports = ["--grpc-port", str(self.grpc), "--rest-port", str(self.rest)]
        self.process = subprocess.Popen(
            [*map(str, command), *ports],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        watch = threading.Timer(START_SECONDS, self.process.kill)
        watch.start()
        told = json.loads(self.process.stdout.readline())
        watch.cancel()
        self.grpc, self.rest = told["grpc"], told["rest"]

    def stop(self) -> None:
        """End it at once, as a crash would."""
        self.process.kill()
        self.process.wait(20)
        self.process.stdout.close()

    def address(self, language: str) -> str:
        """Its address in one of its languages."""
        port = {"grpc": self.grpc, "http": self.rest}[language]
        return f"{language}://127.0.0.1:{port}"

    def fault(self, kind: str, **more: float) -> None:
        """What goes wrong from now on."""
        body = json.dumps({"kind": kind, **more}).encode()
        url = f"http://127.0.0.1:{self.rest}/fault"
        urllib.request.urlopen(url, data=body, timeout=10).close()

    def wait_taken(self) -> None:
        """Block until a fault with ``times`` has met its last call."""
        while self.seen()["kind"] != "none":
            pass

    def seen(self) -> dict:
        """How often it was asked, with what time left and how many bytes."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.rest}/seen", timeout=10) as told:
            return json.load(told)


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where stand-ins find their models; the first fills it."""
    pytest.importorskip("tensorflow_serving", reason="the official messages are missing")
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="session")
def running_stand_in(models_folder: Path) -> Iterator[StandIn]:
    """One for all tests that leave it alive."""
    made = StandIn(models_folder)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def stand_in(running_stand_in: StandIn) -> Iterator[StandIn]:
    """The stand-in, well again after each test."""
    yield running_stand_in
    running_stand_in.fault("none")


@pytest.fixture
def write_card(tmp_path: Path) -> Callable[..., Path]:
    """Writes a card for a model at an address, with more lines of its own."""

    def write(name: str, address: str, *, top: str = "", remote: str = "") -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        lines = ['engine = "tfserving"', top, "[remote]", f'address = "{address}"', remote]
        (folder / "model.toml").write_text("\n".join(lines))
        return folder

    return write


@pytest.fixture
def serve() -> Callable[..., object]:
    """Everything that runs for some cards, as the server would have it."""

    @asynccontextmanager
    async def serve(*paths: Path, settings: Settings | None = None) -> AsyncIterator[Services]:
        plans = await make_plans(find_cards(paths), left_out=pytest.fail)
        async with running(
            plans, settings=settings or Settings(), left_out=pytest.fail
        ) as services:
            yield services

    return serve


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """Makes a picture of one colour, 64 x 48."""

    def make(colour: tuple[int, int, int] = (220, 20, 30), kind: str = "PNG") -> bytes:
        out = BytesIO()
        Image.new("RGB", (64, 48), colour).save(out, kind)
        return out.getvalue()

    return make


@pytest.fixture
def two_things() -> bytes:
    """Red at x 20..60, y 10..50 and green at x 120..180, y 40..90 on grey, 200 x 100."""
    pixels = np.full((100, 200, 3), 128, np.uint8)
    pixels[10:50, 20:60] = (255, 0, 0)
    pixels[40:90, 120:180] = (0, 255, 0)
    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
