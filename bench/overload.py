"""Ten times the capacity offered: how much is still answered, in what memory, and what comes after.

    .venv/bin/python bench/overload.py [MODEL PICTURE] [--seconds 60] [--rounds 3] [--times 10]

Starts ``tintype serve`` with its defaults. A round is: the peak (as many answers as 16 clients get
that ask one after the other), the overload (an open loop: requests are sent when they are due,
whatever became of those before), the second after it, and the peak again. ``--layout pinned``, the
default, gives the server the first core and the generator the last (see serving/cores.py), so
that neither takes processor time from the other; ``--layout shared`` gives both all cores. On a
machine with other work the share of the processors that the server gets differs from phase to
phase; then read the answers for the same processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psutil
import uvloop

from serving.cores import LAYOUTS, Layout, on
from serving.generator import Load, quantiles, request

DEMO = Path(__file__).resolve().parents[1] / "src/tintype/demo"
CLIENTS = 16


@contextmanager
def serving(model: Path, layout: Layout) -> Iterator[tuple[int, psutil.Process]]:
    """``tintype serve`` with its defaults: its port and process."""
    program = str(Path(sys.executable).parent / "tintype")
    command = on(layout.server, [program, "serve", str(model), "--port", "0"])
    if layout.generator:
        os.sched_setaffinity(0, layout.generator)
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("w+") as log:
        process = subprocess.Popen([*command, "--state", folder], stderr=log)
        try:
            while not (ready := re.search(r"ready: http://\S+?:(\d+)", Path(log.name).read_text())):
                time.sleep(0.05)
            yield int(ready[1]), psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)


class Watch:
    """Processor time and the largest memory of the server while a phase runs."""

    def __init__(self, server: psutil.Process, port: int) -> None:
        self.server = server
        self.port = port

    async def __aenter__(self) -> Self:
        self.begun, self.mine = time.perf_counter(), time.process_time()
        self.cpu = sum(self.server.cpu_times()[:2])
        self.largest = 0
        self.health: list[float] = []
        self.tasks = [asyncio.ensure_future(each()) for each in (self.look, self.ask)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        seconds = time.perf_counter() - self.begun
        self.server_cores = (sum(self.server.cpu_times()[:2]) - self.cpu) / seconds
        self.my_cores = (time.process_time() - self.mine) / seconds

    async def look(self) -> None:
        """Note the memory, four times a second."""
        while True:
            self.largest = max(self.largest, self.server.memory_info().rss)
            await asyncio.sleep(0.25)

    async def ask(self) -> None:
        """Ask whether it lives, four times a second, on a new connection each time."""
        while True:
            begun = time.perf_counter()
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            if b" 200 " in await reader.readline():
                self.health.append(time.perf_counter() - begun)
            writer.close()
            await asyncio.sleep(0.25)


async def one_round(load: Load, server: psutil.Process, args: argparse.Namespace) -> dict:
    """Peak, overload, the second after, peak."""
    alone = await load.one_by_one(2, clients=1)
    async with Watch(server, load.port) as at_peak:
        before = await load.one_by_one(args.peak_seconds, clients=CLIENTS)
    peak = before.in_time / args.peak_seconds
    rate = args.times * peak
    async with Watch(server, load.port) as in_overload:
        flood = await load.when_due(args.seconds, rate=rate)
    probe = Load(load.port, load.request)
    seconds = [await probe.one_by_one(1, clients=1) for _ in range(3)]
    await load.rest()
    async with Watch(server, load.port) as at_peak_again:
        again = await load.one_by_one(args.peak_seconds, clients=CLIENTS)
    goodput = flood.in_time / args.seconds
    peaks = [peak, again.in_time / args.peak_seconds]
    rates = (peaks[0], goodput, peaks[1])
    watches = (at_peak, in_overload, at_peak_again)
    worth = [rate / watch.server_cores for rate, watch in zip(rates, watches, strict=True)]
    return {
        "peak before, after": [round(each) for each in peaks],
        "offered a second": round(rate),
        "answered a second": round(goodput),
        "goodput of peak": round(goodput / statistics.mean(peaks), 3),
        "answered a second of the server's processor time: peak, overload, peak": [
            round(each, 1) for each in worth
        ],
        "goodput of peak for the same processor time": round(
            worth[1] / statistics.mean((worth[0], worth[2])), 3
        ),
        "statuses": dict(flood.statuses),
        "answered after, p50 p99 (s)": quantiles(flood.answered),
        "refused after, p50 p99 (s)": quantiles(flood.refused),
        "memory at peak, in overload (MiB)": [
            round(each.largest / 2**20) for each in (at_peak, in_overload)
        ],
        "/live in overload, p50 p99 (s)": quantiles(in_overload.health),
        "cores of server, generator": [
            [round(each.server_cores, 2), round(each.my_cores, 2)]
            for each in (at_peak, in_overload)
        ],
        "one client alone before, in each second after: answered, median ms": [
            [dict(each.statuses), round(statistics.median(each.answered or [0.0]) * 1000, 1)]
            for each in (alone, *seconds)
        ],
    }


def main() -> None:
    """Print a JSON object a round."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?", type=Path, default=DEMO / "models/cats-dogs")
    parser.add_argument("picture", nargs="?", type=Path, default=DEMO / "pictures/cat.jpg")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--peak-seconds", type=float, default=15)
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layout", choices=LAYOUTS, default="pinned")
    args = parser.parse_args()
    with (
        serving(args.model, LAYOUTS[args.layout]) as (port, server),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        picture = args.picture.read_bytes()
        load = Load(port, request("/api/predict", picture))
        runner.run(load.one_by_one(3, clients=CLIENTS))
        for _ in range(args.rounds):
            print(json.dumps(runner.run(one_round(load, server, args)), indent=1), flush=True)


if __name__ == "__main__":
    main()
