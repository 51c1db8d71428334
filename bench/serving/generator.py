"""An open loop of requests: each is sent when it is due, whatever became of those before.

python bench/serving/generator.py URL BODY --content-type image/jpeg --rate 900 --seconds 5

Prints one JSON object. One process on one event loop: enough for some thousand requests a second;
``late_ms`` and ``cores`` tell whether it kept up with itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import uvloop

PATIENCE: Final = 10.0
"""Seconds after which a client gives up and leaves; a later answer would not count."""
MOST_CONNECTIONS: Final = 1500
TICK: Final = 0.002
_LAST_CHUNK: Final = b"0\r\n\r\n"


def request(
    path: str, data: bytes, *, content_type: str = "image/jpeg", headers: Sequence[str] = ()
) -> bytes:
    """A whole request in bytes."""
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Accept: */*",
        "User-Agent: bench",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(data)}",
        *headers,
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


@dataclass
class Tally:
    """What came of the requests of one phase. Seconds are from when a request was due.

    ``in_time`` are the answers that came before the phase's end, ``until``; others were on the way.
    """

    until: float = math.inf
    in_time: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    """How long after it was due each request was sent."""

    def add(self, status: str, seconds: float) -> None:
        """Count one."""
        self.statuses[status] += 1
        if status == "200":
            self.answered.append(seconds)
            self.in_time += time.perf_counter() < self.until
        elif status in {"429", "503"}:
            self.refused.append(seconds)


class Line(asyncio.Protocol):
    """One connection that asks one thing at a time."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.due = 0.0
        self.head = b""
        self.left = 0
        self.tail = b""
        self.chunked = False
        self.busy = False
        self.dead = False
        self.waiting: asyncio.Future[str] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """It is open."""
        self.transport = transport

    def ask(self, due: float) -> None:
        """Send the request."""
        self.busy, self.due, self.head, self.left = True, due, b"", -1
        self.load.tally.late.append(time.perf_counter() - due)
        self.transport.write(self.load.request)

    def data_received(self, data: bytes) -> None:
        """Some of an answer, whose length is told or which comes in chunks."""
        if self.left < 0:
            self.head += data
            head, end, data = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            self.chunked = found is None and b"chunked" in head.lower()
            self.left, self.tail = int(found[1]) if found else 0, b""
        if self.chunked:
            self.tail = (self.tail + data)[-len(_LAST_CHUNK) :]
            over = self.tail == _LAST_CHUNK
        else:
            self.left -= len(data)
            over = self.left <= 0
        if over:
            self.done(self.head[9:12].decode())

    def connection_lost(self, _error: Exception | None) -> None:
        """It is closed."""
        self.dead = True
        self.load.lost(self)
        if self.busy:
            self.done("closed")

    def done(self, status: str) -> None:
        """The answer is there, or will not come."""
        self.busy = False
        self.load.tally.add(status, time.perf_counter() - self.due)
        if not self.dead:
            self.load.idle.append(self)
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(status)


class Load:
    """Connections to one server, and what came of the requests on them."""

    def __init__(self, port: int, whole: bytes) -> None:
        self.port = port
        self.request = whole
        self.idle: list[Line] = []
        self.lines: set[Line] = set()
        self.opening = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.tally = Tally()
        self.most = MOST_CONNECTIONS

    def lost(self, line: Line) -> None:
        """A connection is gone."""
        self.lines.discard(line)
        if line in self.idle:
            self.idle.remove(line)

    async def open(self) -> Line:
        """One more connection."""
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(lambda: Line(self), "127.0.0.1", self.port)
        self.lines.add(line)
        return line

    async def one_by_one(self, seconds: float, *, clients: int) -> Tally:
        """So many clients that each ask when they have their answer."""
        until = time.perf_counter() + seconds
        self.tally = Tally(until)

        async def client() -> None:
            line = await self.open()
            while time.perf_counter() < until:
                if line.dead:
                    line = await self.open()
                line.waiting = asyncio.get_running_loop().create_future()
                line.ask(time.perf_counter())
                if await line.waiting != "200":
                    await asyncio.sleep(0.05)
            line.transport.close()

        await asyncio.gather(*(client() for _ in range(clients)))
        self.idle.clear()
        return self.tally

    async def when_due(self, seconds: float, *, rate: float) -> Tally:
        """So many requests a second, whatever becomes of them."""
        begun = time.perf_counter()
        self.tally = Tally(begun + seconds)
        sent, swept = 0, begun
        while (now := time.perf_counter()) < begun + seconds:
            for number in range(sent, int((now - begun) * rate)):
                self.send(begun + (number + 1) / rate)
            sent = int((now - begun) * rate)
            if now - swept > 0.5:
                self.sweep(now)
                swept = now
            await asyncio.sleep(min(TICK, 1 / rate))
        return self.tally

    async def rest(self) -> None:
        """Wait until those on the way have their answers, then hang up."""
        until = time.perf_counter() + PATIENCE
        while any(line.busy for line in self.lines) and time.perf_counter() < until:  # noqa: ASYNC110 - the end of a benchmark
            await asyncio.sleep(TICK)
        for line in list(self.lines):
            line.transport.abort()
        await asyncio.sleep(TICK)
        self.idle.clear()

    def send(self, due: float) -> None:
        """One request on a connection that is free, or on a new one."""
        if self.idle:
            self.idle.pop().ask(due)
        elif len(self.lines) + self.opening < self.most:
            self.opening += 1
            task = asyncio.ensure_future(self.open_and_ask(due))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        else:
            self.tally.add("not sent", 0.0)

    async def open_and_ask(self, due: float) -> None:
        """The same on a new connection."""
        try:
            (await self.open()).ask(due)
        except OSError:
            self.tally.add("not connected", 0.0)
        finally:
            self.opening -= 1

    def sweep(self, now: float) -> None:
        """Clients that waited too long leave."""
        for line in list(self.lines):
            if line.busy and now - line.due > PATIENCE:
                line.transport.abort()


def quantiles(seconds: list[float]) -> list[float]:
    """The median and the 99th percentile."""
    ordered = sorted(seconds) or [0.0]
    return [round(ordered[int((len(ordered) - 1) * q)], 4) for q in (0.5, 0.99)]


async def offer(load: Load, *, rate: float, seconds: float) -> dict[str, object]:
    """The load, then the time for the last answers."""
    used = time.process_time()
    tally = await load.when_due(seconds, rate=rate)
    cores = (time.process_time() - used) / seconds
    await load.rest()
    p50, p99 = quantiles(tally.answered)
    return {
        "offered": round(rate, 1),
        "rate": tally.in_time / seconds,
        "p50": 1000 * p50,
        "p99": 1000 * p99,
        "refused_p99": 1000 * quantiles(tally.refused)[1],
        "statuses": dict(tally.statuses),
        "late_p50_ms": 1000 * quantiles(tally.late)[0],
        "late_ms": 1000 * quantiles(tally.late)[1],
        "cores": round(cores, 2),
    }


def main() -> None:
    """Print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("body", type=Path)
    parser.add_argument("--content-type", default="image/jpeg")
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, default=5.0)
    args = parser.parse_args()
    where = urlsplit(args.url)
    path = f"{where.path}?{where.query}" if where.query else where.path
    data = args.body.read_bytes()
    whole = request(path, data, content_type=args.content_type, headers=args.header)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        load = Load(where.port or 80, whole)
        print(json.dumps(runner.run(offer(load, rate=args.rate, seconds=args.seconds))))


if __name__ == "__main__":
    main()
