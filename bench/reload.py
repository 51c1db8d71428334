"""Versions are swapped while many clients ask: does a request fail, does the memory come back?

Starts the real program on a free port, keeps ``--clients`` connections asking all the time, and
puts ``--swaps`` new version folders beside the first, each when the one before has taken over.
Prints one JSON object.

    python bench/reload.py --clients 200 --swaps 10
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import tintype

DEMO = Path(tintype.__file__).parent / "demo"
LIMIT_SECONDS = 120.0


@dataclass
class Tally:
    """What came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    seconds: list[float] = field(default_factory=list)


class Client:
    """One connection that asks again and again."""

    def __init__(self, port: int, body: bytes, tally: Tally) -> None:
        head = (
            "POST /api/predict?model=pets HTTP/1.1\r\nHost: x\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._port, self._request, self._tally = port, head.encode() + body, tally

    async def ask_until(self, stop: asyncio.Event) -> None:
        """Ask until told; a connection that breaks counts as a failure."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while not stop.is_set():
            begun = time.monotonic()
            writer.write(self._request)
            try:
                status, body = await read_answer(reader)
            except (OSError, asyncio.IncompleteReadError):
                self._tally.broken += 1
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                continue
            self._tally.seconds.append(time.monotonic() - begun)
            self._tally.statuses[status] += 1
            if status == 200:
                (result,) = json.loads(body)["results"]
                failed = result["error"] is not None
                self._tally.versions["failed" if failed else result["version"]] += 1
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of one HTTP answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(
        int(line.split(":")[1])
        for line in head.split("\r\n")
        if line.lower().startswith("content-length:")
    )
    return int(head.split()[1]), await reader.readexactly(length)


async def get(port: int, path: str) -> dict[str, object]:
    """One JSON answer on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    _, body = await read_answer(reader)
    writer.close()
    return json.loads(body)


def put_version(folder: Path, number: int) -> None:
    """A whole version at once: copied beside, then moved in."""
    copied = folder.parent.parent / f"copy-{number}"
    shutil.copytree(DEMO / "models/cats-dogs", copied)
    (copied / "model.toml").write_text('file = "model.keras"\nlabels = "labels.txt"\n')
    copied.rename(folder / str(number))


def resident_mib(pid: int) -> float:
    """Resident memory of a process (VmRSS of ``proc(5)``)."""
    text = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far (``proc(5)``)."""
    parts = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


async def swap_all(port: int, folder: Path, swaps: int, pid: int) -> list[dict[str, float]]:
    """Put one version after another; how long each took to take over, and the memory then."""
    told = []
    for number in range(2, swaps + 2):
        put_version(folder, number)
        begun = time.monotonic()
        while (await get(port, "/api/models/pets"))["version"] != str(number):
            if time.monotonic() - begun > LIMIT_SECONDS:
                raise TimeoutError(f"version {number} did not take over")
            await asyncio.sleep(0.05)
        taken = time.monotonic() - begun
        told.append({"seconds": round(taken, 2), "mib": round(resident_mib(pid), 1)})
    return told


async def measure(port: int, folder: Path, pid: int, options: argparse.Namespace) -> dict:
    """Load, swaps, and quiet before and after."""
    body = (DEMO / "pictures/dog.jpg").read_bytes()
    tally, stop = Tally(), asyncio.Event()
    clients = [
        asyncio.ensure_future(Client(port, body, tally).ask_until(stop))
        for _ in range(options.clients)
    ]
    await asyncio.sleep(1)
    tally.seconds.clear()
    begun = cpu_seconds(pid)
    await asyncio.sleep(options.quiet)
    before, quiet, rested = resident_mib(pid), [*tally.seconds], cpu_seconds(pid)
    tally.seconds.clear()
    swaps = await swap_all(port, folder, options.swaps, pid)
    during, swapped = [*tally.seconds], cpu_seconds(pid)
    await asyncio.sleep(options.quiet)
    after = resident_mib(pid)
    stop.set()
    await asyncio.gather(*clients)
    return {
        "clients": options.clients,
        "requests": sum(tally.statuses.values()),
        "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
        "failed": tally.broken
        + tally.versions["failed"]
        + sum(count for status, count in tally.statuses.items() if status != 200),
        "versions": len(tally.versions.keys() - {"failed"}),
        "swaps": swaps,
        "mib_before": round(before, 1),
        "mib_after": round(after, 1),
        "cpu_ms_a_request_quiet": round((rested - begun) * 1000 / len(quiet), 1),
        "cpu_ms_a_request_swapping": round((swapped - rested) * 1000 / len(during), 1),
        "median_ms_quiet": round(statistics.median(quiet) * 1000, 1),
        "median_ms_swapping": round(statistics.median(during) * 1000, 1),
        "p99_ms_quiet": round(statistics.quantiles(quiet, n=100)[98] * 1000, 1),
        "p99_ms_swapping": round(statistics.quantiles(during, n=100)[98] * 1000, 1),
    }


def main() -> None:
    """Start, measure, stop."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--swaps", type=int, default=10)
    parser.add_argument("--quiet", type=float, default=5.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "models/pets"
        folder.mkdir(parents=True)
        put_version(folder, 1)
        environment = {
            **os.environ,
            "TINTYPE_MODELS_POLL_SECONDS": "0.25",
            "TINTYPE_LOG_LEVEL": "warning",
            # a busy machine is slow for reasons that are not measured here
            "TINTYPE_REQUESTS_DEADLINE_SECONDS": "120",
            "TINTYPE_REQUESTS_MAX_WAIT_SECONDS": "120",  # its many clients wait: no refusals here
        }
        server = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("tintype")),
                "serve",
                str(folder.parent),
                "--port",
                "0",
            ],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            port = next(
                int(line.split("  ")[0].rsplit(":", 1)[1])
                for line in server.stderr
                if line.startswith("ready:")
            )
            print(json.dumps(asyncio.run(measure(port, folder, server.pid, options)), indent=1))
        finally:
            server.terminate()
            server.wait(60)


if __name__ == "__main__":
    main()
