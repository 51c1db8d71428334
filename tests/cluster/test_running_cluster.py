"""``tintype serve --on ray --address`` on a cluster that ``ray start`` started and that stays."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

import tintype

DEMO = Path(tintype.__file__).parent / "demo"
PROGRAM = Path(sys.executable).with_name("tintype")
CAT = (DEMO / "pictures/cat.jpg").read_bytes()
CARD = """\
task = "classify"
[recipe]
preset = "raw"
[view]
kind = "pixels"
size = 9
[versions]
stable = "1"
canary = "2"
share = 0.5
shadow = true
"""


@dataclass(frozen=True)
class Head:
    """A running cluster: its process, its address, and the variables of who may come."""

    process: subprocess.Popen[str]
    address: str
    known: dict[str, str]

    def serve(self, models: Path, port: int, **variables: str) -> subprocess.Popen[str]:
        """Start ``tintype serve`` on it."""
        words = [PROGRAM, "serve", models, "--on", "ray", "--address", self.address]
        return subprocess.Popen(
            [*words, "--port", str(port), "--state", models.parent],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(variables or self.known)},
        )

    def of_serve(self) -> list[str]:
        """The processes of Ray Serve."""
        found = [" ".join(each.cmdline()) for each in processes(self.process.pid)]
        return [each for each in found if each.startswith(("ray::Serve", "ray::Proxy"))]


def processes(pid: int) -> list[psutil.Process]:
    """A process's own, those that it left to others included."""
    return psutil.Process(pid).children(recursive=True)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """``ray start --head`` with a token; it and all that it started end with the module."""
    short = tempfile.mkdtemp(dir="/tmp", prefix="tt")  # paths of sockets are at most 107 bytes
    known = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "5a1c" * 16}
    port, clients = free_port(), free_port()
    words = ["start", "--head", "--block", "--port", port, "--ray-client-server-port", clients]
    words += ["--temp-dir", short, "--num-cpus", 4, "--object-store-memory", 80 << 20]
    words += ["--include-dashboard", "false", "--disable-usage-stats"]
    process = subprocess.Popen(
        [PROGRAM.with_name("ray"), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **known},
    )
    try:
        assert any("Ray runtime started" in line for line in process.stdout)
        yield Head(process, f"127.0.0.1:{port}", known)
    finally:
        for each in (*processes(process.pid), process):
            each.kill()
        process.communicate()
        shutil.rmtree(short, ignore_errors=True)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two versions, whose labels tell which one answered."""
    folder = tmp_path_factory.mktemp("running") / "models"
    names = (DEMO / "models/colours/labels.txt").read_text().splitlines()
    for version in ("1", "2"):
        made = folder / "pets" / version
        made.mkdir(parents=True)
        shutil.copy(DEMO / "models/colours/model.keras", made)
        (made / "labels.txt").write_text("\n".join(f"{version} {name}" for name in names))
    (folder / "pets/model.toml").write_text(CARD)
    return folder


@pytest.fixture(scope="module")
def stranger(head, models) -> Iterator[subprocess.Popen[str]]:
    """One without the token, who asks from the beginning: Ray tries for twenty seconds."""
    with ended(head.serve(models, free_port(), RAY_AUTH_MODE="disabled")) as process:
        yield process


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """The process, which does not outlive what is tested."""
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until_ready(process: subprocess.Popen[str]) -> list[str]:
    """What it says until it is ready."""
    told = []
    for line in process.stderr:
        told.append(line)
        if line.startswith("ready:"):
            return told
    raise AssertionError("".join(told))


def answered(port: int, picture: bytes, model: str = "pets") -> Any:
    """The version that answered, and its first label."""
    url = f"http://127.0.0.1:{port}/api/predict?model={model}"
    with urllib.request.urlopen(url, data=picture, timeout=60) as response:
        (result,) = json.loads(response.read())["results"]
    return result["version"], result["labels"][0]["label"]


def shadowed(port: int) -> bool:
    """Whether the canary was asked, unseen, about a picture that the stable version answered."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as response:
        lines = response.read().decode().splitlines()
    return any(each.startswith("tintype_shadow_total{") and "differ" in each for each in lines)


def until(condition: Callable[[], object], *, seconds: float) -> None:
    """Look until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.1)


@pytest.mark.usefixtures("stranger")
def test_versions_are_served_until_ctrl_c_and_the_cluster_stays(head, models):
    """By name, by alias and by share, as in one process; nothing of Serve is left at the end."""
    port = free_port()
    with ended(head.serve(models, port)) as process:
        assert [f"ready: http://127.0.0.1:{port}  (Ctrl-C stops)\n"] == until_ready(process)
        for name, version in (("pets@1", "1"), ("pets@stable", "1"), ("pets@canary", "2")):
            told, label = answered(port, CAT, name)
            assert (version, version) == (told, label.split()[0])
        shared = {answered(port, CAT + bytes(number)) for number in range(16)}
        assert {"1", "2"} == {told for told, _ in shared}
        assert all(told == label.split()[0] for told, label in shared)

        until(lambda: shadowed(port), seconds=30)

        with ended(head.serve(models, free_port())) as second:
            _, errors = second.communicate(timeout=60)
        assert 1 == second.returncode
        assert errors.startswith("error: an application 'tintype' is served on this cluster")
        assert "1" == answered(port, CAT, "pets@1")[0]

        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=60)
    assert (0, "", "") == (process.returncode, told, errors)
    assert [] == head.of_serve()
    assert head.process.poll() is None


def test_who_has_no_token_is_told_so(stranger):
    """Ray says it in the cause of its error only."""
    _, errors = stranger.communicate(timeout=60)
    assert 1 == stranger.returncode
    assert "error: the Ray cluster at" in errors
    assert "RAY_AUTH_MODE=token" in errors
    assert "Traceback" not in errors
