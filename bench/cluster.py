"""One process beside a Ray cluster on this machine, and what kills and load do to the cluster.

    python bench/cluster.py [--seconds 4] [--only speed | kills]

Prints Markdown. The load is closed (a connection asks again when it is answered), by one process on
the same cores. Speed: the demo's cats-dogs on its own cat, 640 x 480 (50 kB), over kept
connections. Kills: the demo's colours on that cat at 3000 x 2000 (0.6 MB), whose decoding keeps the
replicas busy; a connection for each request.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tintype

ROOT = Path(__file__).resolve().parents[1]
DEMO = Path(tintype.__file__).parent / "demo"
PICTURE = (DEMO / "pictures/cat.jpg").read_bytes()
PATH = "/api/predict?model=cats-dogs"
CONNECTIONS = (1, 8, 32)
OPEN: dict[str, object] = {
    "record.enabled": False,
    "log.level": "warning",
    "engine.threads": 1,
    "requests.deadline_seconds": 10.0,
    "cluster.max_ongoing": 32,
}
PACED = {
    **OPEN,
    "cluster.replicas_max": 3,
    "cluster.target_ongoing": 2.0,
    "cluster.max_ongoing": 4,
    "cluster.upscale_seconds": 1.0,
    "cluster.downscale_seconds": 2.0,
}


def _harness() -> Any:
    """The cluster of the tests, and its load."""
    path = ROOT / "tests/cluster/conftest.py"
    spec = importlib.util.spec_from_file_location("cluster_conftest", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is not there")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Row:
    """One closed load: milliseconds and answers a second."""

    connections: int
    p50: float
    p99: float
    rate: float
    failed: int


async def closed(port: int, connections: int, *, seconds: float) -> Row:
    """Ask over so many connections; half a second first does not count."""
    times: list[float] = []
    failed = 0
    begun = time.monotonic() + 0.5
    end = begun + seconds
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(PICTURE)}\r\n\r\n".encode()

    async def call() -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (at := time.monotonic()) < end:
            writer.write(head + PICTURE)
            answer = await reader.readuntil(b"\r\n\r\n")
            lines = answer.lower().split(b"\r\n")
            (length,) = (int(each[15:]) for each in lines if each.startswith(b"content-length:"))
            await reader.readexactly(length)
            if at >= begun:
                times.append(time.monotonic() - at)
                failed += not answer.startswith(b"HTTP/1.1 200")
        writer.close()

    await asyncio.gather(*(call() for _ in range(connections)))
    times.sort()
    return Row(
        connections=connections,
        p50=times[len(times) // 2] * 1e3,
        p99=times[int(len(times) * 0.99)] * 1e3,
        rate=len(times) / seconds,
        failed=failed,
    )


def measured(port: int, seconds: float) -> list[Row]:
    """Every number of connections, one after the other."""
    return [asyncio.run(closed(port, each, seconds=seconds)) for each in CONNECTIONS]


@contextlib.contextmanager
def alone() -> Iterator[int]:
    """``tintype serve`` with the same settings."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("tintype")
    environment = {
        **os.environ,
        "TINTYPE_RECORD_ENABLED": "false",
        "TINTYPE_LOG_LEVEL": "warning",
        "TINTYPE_ENGINE_THREADS": "1",
    }
    process = subprocess.Popen(
        [program, "serve", DEMO / "models", "--port", str(port)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        next(line for line in process.stderr or () if line.startswith("ready:"))
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def table(rows: dict[str, list[Row]]) -> None:
    """The first against each other."""
    (first, base), *others = rows.items()
    print("| connections | | p50 ms | p99 ms | answers/s | of one process |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for at, connections in enumerate(CONNECTIONS):
        for name, found in ((first, base), *others):
            row = found[at]
            if row.failed:
                raise SystemExit(f"{row.failed} failed: {name}, {connections} connections")
            share = row.rate / base[at].rate
            print(
                f"| {connections} | {name} | {row.p50:.1f} | {row.p99:.1f} | {row.rate:.0f} "
                f"| {share:.2f} |"
            )
    print()


def speed(harness: Any, seconds: float, folder: Path) -> None:
    """One process, and clusters of one and of two replicas."""
    with alone() as port:
        rows = {"one process": measured(port, seconds)}
    for replicas in (1, 2):
        limits = {"cluster.replicas_min": replicas, "cluster.replicas_max": replicas}
        models = harness.DEMO / "models/cats-dogs"
        with harness.two_nodes(models, {**OPEN, **limits}, cpus=4, log=folder / "ray.log") as nodes:
            nodes.order("deploy")
            nodes.until(lambda: nodes.get("/ready").status == 200)
            name = f"Ray, {replicas} replica{'s' * (replicas > 1)}"
            rows[name] = measured(nodes.port, seconds)
    table(rows)


def kills(harness: Any, folder: Path) -> None:
    """Load that adds replicas; one killed, then the node that holds those that were added."""
    models = harness.models_folder(folder / "models")
    with harness.two_nodes(models, PACED, cpus=3, log=folder / "ray.log") as nodes:
        nodes.order("deploy")
        nodes.until(lambda: nodes.get("/ready").status == 200)
        nodes.order("add")
        time.sleep(3)  # it is there, and still starting its processes
        print("| what | answered | failed (503) | at work when it died, at most | seconds |")
        print("| --- | ---: | ---: | ---: | --- |")
        with nodes.load(6) as load:
            up = nodes.until(lambda: nodes.running("model-colours") >= 2)
        _tell("load begins: 2 replicas", load, "", f"{up:.1f} until the second answers")
        with nodes.load(6) as load:
            _shared(nodes, load)
            nodes.replicas("model-colours")[1].send_signal(signal.SIGKILL)
            at = time.monotonic()
            nodes.until(lambda: nodes.running("model-colours") < 2, seconds=10)
            nodes.until(lambda: nodes.running("model-colours") >= 2)
            back = time.monotonic() - at
        _tell("a replica killed", load, "4", f"{_last(load, at)}; {back:.1f} until it is replaced")
        with nodes.load(6) as load:
            _shared(nodes, load)
            at = time.monotonic()
            nodes.kill_node()
            nodes.order("add")
            nodes.until(lambda: nodes.running("model-colours") < 2, seconds=10)
            nodes.until(lambda: nodes.running("model-colours") >= 2)
            back = time.monotonic() - at
        _tell("a node killed", load, "8", f"{_last(load, at)}; {back:.1f} until 2 replicas again")
        down = nodes.until(lambda: nodes.running("model-colours") == 1)
        with nodes.load(6) as load:
            nodes.until(lambda: len(load.heard) >= 50)
            at = time.monotonic()
            nodes.replicas("front")[0].kill()
            nodes.until(lambda: any(each.status == 200 and each.at > at for each in load.heard))
            back = time.monotonic() - at
        _tell("the front killed", load, "6", f"{_last(load, at)}; {back:.1f} until it answers")
        print(f"\nWithout load, one replica again after {down:.1f} s (downscale_seconds = 2).")


def _shared(nodes: Any, load: Any) -> None:
    """Two replicas, and load on both of them for a while."""
    nodes.until(lambda: nodes.running("model-colours") >= 2)
    enough = len(load.heard) + 100
    nodes.until(lambda: len(load.heard) >= enough)


def _last(load: Any, at: float) -> str:
    failed = [each.until - at for each in load.failed()]
    return f"{max(failed):.1f} to the last failure" if failed else "no failure"


def _tell(what: str, load: Any, most: str, words: str) -> None:
    if {each.status for each in load.failed()} - {503}:
        raise SystemExit(f"{what}: {[each.status for each in load.failed()]}")
    answered = len(load.heard) - len(load.failed())
    print(f"| {what} | {answered} | {len(load.failed())} | {most} | {words} |")


def main() -> None:
    """Run everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each closed load")
    parser.add_argument("--only", choices=("speed", "kills"))
    asked = parser.parse_args()
    harness = _harness()
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}\n")
    with tempfile.TemporaryDirectory() as folder:
        if asked.only != "kills":
            speed(harness, asked.seconds, Path(folder))
        if asked.only != "speed":
            kills(harness, Path(folder))


if __name__ == "__main__":
    main()
