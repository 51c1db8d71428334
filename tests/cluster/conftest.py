"""Two nodes of Ray on this machine, load on them, and what a single process answers."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import psutil
import pytest
from PIL import Image

import tintype

DEMO = Path(tintype.__file__).parent / "demo"
CAT = DEMO / "pictures/cat.jpg"
COLOURS = "/api/predict?model=colours"
SETTINGS: dict[str, object] = {
    "record.enabled": False,
    "log.level": "warning",
    "requests.deadline_seconds": 4.0,
    "engine.threads": 1,
    "cluster.replicas_max": 3,
    "cluster.target_ongoing": 2.0,
    "cluster.max_ongoing": 4,
    "cluster.max_queued": 6,
    "cluster.upscale_seconds": 1.0,
    "cluster.downscale_seconds": 2.0,
}


@dataclass(frozen=True)
class Heard:
    """One answer over HTTP. ``at`` and ``until``: when it was asked and answered.

    ``times``: how often a header is there.
    """

    status: int
    headers: dict[str, str]
    times: Counter[str]
    body: bytes
    at: float
    until: float

    @property
    def told(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)


class TwoNodes:
    """The orders of ``two_nodes.py``, and the processes that it started."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port
        self.models = Path()

    def order(self, words: str) -> Any:
        """Give an order and wait for its answer."""
        assert self.process.stdin
        self.process.stdin.write(f"{words}\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> Any:
        """The next answer to an order."""
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith('{"answer"'):
                return json.loads(line)["answer"]
        raise AssertionError("the cluster ended")

    def replicas(self, name: str) -> list[psutil.Process]:
        """The processes of a deployment's replicas, the oldest first."""
        found = []
        for each in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if f"ray::ServeReplica:tintype:{name}" in " ".join(each.cmdline()):
                    found.append((each.create_time(), each.pid, each))
            except psutil.Error:
                continue
        return [each for *_, each in sorted(found)]

    def kill_node(self) -> None:
        """End the second node as a power cut would: all of its processes at once."""
        children = psutil.Process(self.process.pid).children()
        raylets = [each for each in children if each.name() == "raylet"]
        raylet = max(raylets, key=psutil.Process.create_time)
        for each in (*raylet.children(recursive=True), raylet):
            each.kill()
        self.order("kill")

    def running(self, name: str) -> int:
        """Replicas of a deployment that take requests, as the controller has it."""
        return self.order("running")[name]

    def load(self, callers: int) -> Load:
        """Callers at work while it is entered, each of them at the model nearly all of its time."""
        return Load(self, callers, large_picture())

    def until(self, condition: Callable[[], object], *, seconds: float = 180) -> float:
        """Look until it holds; how long that took."""
        return until(condition, seconds=seconds)

    def get(self, path: str) -> Heard:
        """A page."""
        return self._ask("GET", path, None)

    def ask(
        self, picture: bytes | None = None, path: str = COLOURS, *, timeout: float = 60.0
    ) -> Heard:
        """One picture."""
        return self._ask("POST", path, picture or CAT.read_bytes(), timeout=timeout)

    def _ask(self, method: str, path: str, body: bytes | None, *, timeout: float = 60.0) -> Heard:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        at = time.monotonic()
        try:
            connection.request(method, path, body=body)
            response = connection.getresponse()
            headers = {key.lower(): value for key, value in response.getheaders()}
            times = Counter(key.lower() for key, _ in response.getheaders())
            return Heard(response.status, headers, times, response.read(), at, time.monotonic())
        finally:
            connection.close()


@dataclass
class Load:
    """Callers that ask about one picture again and again while it is entered."""

    nodes: TwoNodes
    callers: int
    picture: bytes
    heard: list[Heard] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(self.callers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        while not self._stop.is_set():
            self.heard.append(self.nodes.ask(self.picture))

    def failed(self) -> list[Heard]:
        """The answers that are none."""
        return [each for each in self.heard if each.status != 200]


def until(condition: Callable[[], object], *, seconds: float) -> float:
    """Look until it holds; how long that took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, "it did not come to that in time"
        time.sleep(0.1)
    return time.monotonic() - begun


@cache
def large_picture() -> bytes:
    """A JPEG of 3000 x 2000: decoding it is the work, so that callers queue where the models are.

    Of the demo's cat the front and Ray's own server have the most work. Six callers then had 2.3 of
    their requests at the model, where 2 are wanted of a replica: a second one came by chance.
    """
    with Image.open(CAT) as cat, BytesIO() as file:
        cat.convert("RGB").resize((3000, 2000)).save(file, "JPEG", quality=90)
        return file.getvalue()


def models_folder(path: Path) -> Path:
    """The demo's models; the card of one says that it has one replica."""
    shutil.copytree(DEMO / "models", path)
    with (path / "cats-dogs/model.toml").open("a") as card:
        card.write("\n[cluster]\nreplicas_max = 1\n")
    return path


@contextmanager
def two_nodes(
    models: Path, settings: dict[str, object], *, cpus: int, log: Path
) -> Iterator[TwoNodes]:
    """A cluster of one node; ``add`` makes it two."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).with_name("two_nodes.py")
    words = [sys.executable, str(script), str(models), json.dumps(settings), str(port), str(cpus)]
    short = tempfile.mkdtemp(dir="/tmp", prefix="tt")  # paths of sockets are at most 107 bytes
    environment = {**os.environ, "RAY_TMPDIR": short, "RAY_USAGE_STATS_ENABLED": "0"}
    with log.open("w") as errors:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
    nodes = TwoNodes(process, port)
    try:
        nodes.answer()
        yield nodes
        nodes.order("end")
    finally:
        started = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for each in started:
            try:
                each.kill()
            except psutil.Error:
                continue
        process.communicate()
        shutil.rmtree(short, ignore_errors=True)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    """The demo's models: a front and one replica of each on the first node, room on the second."""
    models = models_folder(tmp_path_factory.mktemp("cluster") / "models")
    with two_nodes(models, SETTINGS, cpus=3, log=models.parent / "ray.log") as made:
        made.order("deploy")
        until(lambda: made.get("/ready").status == 200, seconds=90)
        made.order("add")
        made.models = models
        yield made
