"""What one request costs, by stage, and what its neighbours take for it: the figures of a plan.

    .venv/bin/python bench/serving/request_cost.py [MODEL PICTURE] [--out bench/results/...json]

``tintype serve`` has the first core alone and records into a PostgreSQL on the last one, where the
clients are too. Its settings are the defaults, but for ``requests.max_wait_seconds = 1``, so that
a short flood shows what a long one does. Every load is of its own: one client (stages and times),
eight (the peak; CPU time by thread), an open loop at shares of that peak. Then nginx before the
server, the record's writer and Redis alone. About two minutes; on a busy machine the figures
are too high.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import neighbours
import psutil
import uvloop
from cores import PINNED, on
from generator import Load, Tally, offer, request
from hot_path import by_name, ticks_of

from tintype.record.items import MOST_AT_ONCE

ROOT: Final = Path(__file__).resolve().parents[2]
DEMO: Final = ROOT / "src/tintype/demo"
OUT: Final = ROOT / "bench/results/request_cost.json"
SHARES: Final = (0.5, 0.9, 1.2, 3.0)
_CALIBRATION: Final = 6.0
"""Times the peak of the flood from which the cost of a refusal is taken."""
_IN_PODS: Final = 200
"""Predictions that a pod of four cores has to write each half second."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_THREADS: Final = (
    ("loop", r"MainThread"),
    ("pictures", r"picture|prepare|decode|ThreadPool|asyncio"),
    ("record and log", r"record|log|writer"),
)


def stage_of(thread: str) -> str:
    """The stage that a thread's CPU time is counted to, by its name."""
    return next((stage for stage, name in _THREADS if re.search(name, thread)), "engine")


@contextmanager
def serving(model: Path, database: str) -> Iterator[tuple[int, psutil.Process]]:
    """The server on its core: port and process."""
    program = str(Path(sys.executable).parent / "tintype")
    words = on(PINNED.server, [program, "serve", str(model), "--port", "0"])
    environment = {
        **os.environ,
        "TINTYPE_RECORD_DATABASE": database,
        "TINTYPE_REQUESTS_MAX_WAIT_SECONDS": "1",
    }
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("w+") as log:
        process = subprocess.Popen([*words, "--state", folder], stderr=log, env=environment)
        try:
            while not (ready := re.search(r"ready: http://\S+?:(\d+)", Path(log.name).read_text())):
                time.sleep(0.05)
            yield int(ready[1]), psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)


def alone(port: int, picture: bytes, *, seconds: float) -> dict[str, Any]:
    """One client: seconds of each stage as the answers tell them, and as the client sees them."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    stages: dict[str, list[float]] = {}
    walls: list[float] = []
    size = 0
    until = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < until:
        connection.request("POST", "/api/predict", picture, {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        body = answer.read()
        walls.append(time.perf_counter() - begun)
        head = "".join(f"{name}: {value}\r\n" for name, value in answer.getheaders())
        size = len(f"HTTP/1.1 200 OK\r\n{head}\r\n") + len(body)
        for name, spent in json.loads(body)["seconds"].items():
            stages.setdefault(name, []).append(spent)
    connection.close()
    milliseconds = sorted(round(1000 * each, 3) for each in walls)
    return {
        "stage_ms": {name: 1000 * statistics.median(each) for name, each in stages.items()},
        "wall_ms": milliseconds[:: max(1, len(milliseconds) // 200)],
        "answer_bytes": size,
    }


async def peak(port: int, whole: bytes, server: psutil.Process, *, seconds: float) -> dict:
    """Eight clients: answers a second, and the CPU time of an answer by thread."""
    load = Load(port, whole)
    await load.one_by_one(3, clients=8)
    resting = server.memory_info().rss
    before, used = ticks_of(server.pid), sum(server.cpu_times()[:2])
    tally = await load.one_by_one(seconds, clients=8)
    after, used = ticks_of(server.pid), sum(server.cpu_times()[:2]) - used
    busy = server.memory_info().rss
    await load.rest()
    after.subtract(before)
    answered = len(tally.answered)
    threads: Counter[str] = Counter()
    for thread, ticks in by_name(after, server.pid).items():
        threads[thread] += ticks
    stages: Counter[str] = Counter()
    for thread, ticks in threads.items():
        stages[stage_of(thread)] += ticks
    return {
        "rate": answered / seconds,
        "cpu_ms": 1000 * used / answered,
        "cpu_ms_by_stage": _milliseconds(stages, answered),
        "cpu_ms_by_thread": _milliseconds(threads, answered),
        "memory_mib": {"8 clients before": resting / 2**20, "8 clients after": busy / 2**20},
    }


def parted(by_stage: dict[str, float], *, made: float) -> dict[str, float]:
    """The milliseconds of each stage, where the thread that runs a picture may also have made it.

    Its time is parted by what the answers tell: ``made`` milliseconds of decoding and preparing.
    """
    moved = max(0.0, made - by_stage.get("pictures", 0.0))
    return {
        **by_stage,
        "pictures": round(by_stage.get("pictures", 0.0) + moved, 4),
        "engine": round(by_stage["engine"] - moved, 4),
    }


def _milliseconds(ticks: Counter[str], answered: int) -> dict[str, float]:
    return {
        name: round(1000 * count / _TICKS / answered, 4)
        for name, count in ticks.most_common()
        if count > 0
    }


async def open_loop(port: int, whole: bytes, server: psutil.Process, *, rate: float) -> dict:
    """Eight seconds at this rate; then the server rests until its line is short again."""
    load = Load(port, whole)
    used = sum(server.cpu_times()[:2])
    told = await offer(load, rate=rate, seconds=8)
    tally: Tally = load.tally
    told["seconds"] = 8
    told["cpu_seconds"] = sum(server.cpu_times()[:2]) - used
    told["refused"] = len(tally.refused) / max(1, tally.statuses.total())
    await asyncio.sleep(1.5)
    return told


async def loads(port: int, picture: bytes, server: psutil.Process) -> dict[str, Any]:
    """All loads on one server."""
    whole = request("/api/predict", picture)
    at_peak = await peak(port, whole, server, seconds=10)
    found: dict[str, Any] = {"request_bytes": len(whole), "peak": at_peak, "open": []}
    for share in SHARES:
        told = await open_loop(port, whole, server, rate=share * at_peak["rate"])
        found["open"].append({"of_peak": share, **told})
    flood = await open_loop(port, whole, server, rate=_CALIBRATION * at_peak["rate"])
    answered, refused = (flood["statuses"].get(each, 0) for each in ("200", "503"))
    spent = flood["cpu_seconds"] - answered * at_peak["cpu_ms"] / 1000
    found["refusal"] = {
        "of_peak": _CALIBRATION,
        "statuses": flood["statuses"],
        "cpu_ms": max(0.0, 1000 * spent / max(1, refused)),
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        front = free.getsockname()[1]
    found |= await neighbours.proxy(port, whole, port=front, seconds=5)
    return found


def everything(model: Path, file: Path) -> dict[str, Any]:
    """All figures of a model and a picture."""
    os.sched_setaffinity(0, PINNED.generator)
    picture = file.read_bytes()
    found: dict[str, Any] = {
        "machine": f"{platform.machine()}, one core of {os.cpu_count()}",
        "python": platform.python_version(),
        "model": model.name,
        "picture": file.name,
    }
    with neighbours.postgresql() as (address, database):
        with (
            serving(model, address) as (port, server),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(Load(port, request("/api/predict", picture)).one_by_one(2, clients=4))
            found["alone"] = alone(port, picture, seconds=5)
            found |= runner.run(loads(port, picture, server))
        made = sum(found["alone"]["stage_ms"][stage] for stage in ("decode", "prepare"))
        by_stage = found["peak"]["cpu_ms_by_stage"]
        found["peak"]["cpu_ms_by_stage"] = parted(by_stage, made=made)
        found |= recorded(address, database)
    os.sched_setaffinity(0, PINNED.generator)
    found |= asyncio.run(neighbours.limits(seconds=3))
    return found


def recorded(address: str, database: psutil.Process) -> dict[str, Any]:
    """The writer on a core of its own, the database on the other."""
    os.sched_setaffinity(0, PINNED.server)
    return {
        name: neighbours.record(address, database, predictions=20_000, batch=batch)
        for name, batch in (("record", MOST_AT_ONCE), ("record_in_pods", _IN_PODS))
    }


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?", type=Path, default=DEMO / "models/cats-dogs")
    parser.add_argument("picture", nargs="?", type=Path, default=DEMO / "pictures/cat.jpg")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--record-again", action="store_true", help="take the rest from --out")
    args = parser.parse_args()
    if args.record_again:
        with neighbours.postgresql() as (address, database):
            found = json.loads(args.out.read_text()) | recorded(address, database)
    else:
        found = everything(args.model, args.picture)
    args.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
