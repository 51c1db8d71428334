"""What stands around servers at scale, each measured alone: database, Redis, proxy.

Each is started by its Debian program in a temporary folder, reached through a socket or a free port
of 127.0.0.1, and ended. As root, PostgreSQL is run by nobody.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
from cores import PINNED, on
from generator import Load
from msgspec.structs import replace
from sqlalchemy import Engine

from tintype.access.limits import Rule
from tintype.access.redis_limits import RedisLimiter
from tintype.record.batch import KnownModels, write
from tintype.record.database import reading, writing
from tintype.record.fake import PETS, classified, entry
from tintype.record.items import MOST_AT_ONCE
from tintype.record.opening import open_database
from tintype.record.values import Entry, now_ms
from tintype.types import ImageFacts, Prediction, Seconds

_DEBIAN: Final = Path("/usr/lib/postgresql")
_SIZES: Final = (
    "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relname IN"
    " ('predictions', 'results')"
)
_LOG: Final = "SELECT pg_current_wal_lsn() - '0/0'"


def cpu_seconds(process: psutil.Process) -> float:
    """CPU time so far of a process, its children, and those of them that have ended."""
    own = sum(process.cpu_times()[:4])
    return float(own) + sum(sum(each.cpu_times()[:2]) for each in process.children(recursive=True))


@contextmanager
def postgresql() -> Iterator[tuple[str, psutil.Process]]:
    """A PostgreSQL with Debian's own settings (each commit is on the disk): address, process."""
    programs = max(_DEBIAN.glob("*/bin"))
    user: dict[str, str] = {"user": "nobody", "group": "nogroup"} if os.getuid() == 0 else {}
    with tempfile.TemporaryDirectory() as folder:
        if user:
            shutil.chown(folder, **user)
        data = f"{folder}/data"

        def run(program: str, *words: str) -> None:
            command = on(PINNED.generator, [str(programs / program), "-D", data, *words])
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **user)

        run("initdb", "-U", "tintype", "-A", "trust", "-E", "UTF8")
        options = f"-c listen_addresses='' -k {folder}"
        run("pg_ctl", "-l", f"{folder}/log", "-o", options, "-w", "start")
        try:
            main = int(Path(data, "postmaster.pid").read_text().splitlines()[0])
            yield f"postgresql://tintype@/postgres?host={folder}", psutil.Process(main)
        finally:
            run("pg_ctl", "-m", "fast", "-w", "stop")


def made_up(count: int) -> Iterator[Entry]:
    """Predictions of a model of two labels, each of a picture of its own."""
    for number in range(count):
        identity = uuid.uuid4().hex
        score = 0.5 + number % 1000 / 2000
        prediction = Prediction(
            id=identity,
            image=ImageFacts(width=640, height=480, format="jpeg", sha256=identity * 2),
            results=(classified(("cat", score), ("dog", 1 - score)),),
            seconds=Seconds(decode=0.001, prepare=0.001, run=0.003, total=0.006 + score / 1000),
        )
        one = entry(prediction, at_ms=now_ms())
        yield replace(one, models={(PETS.name, PETS.version): PETS})


def record(address: str, main: psutil.Process, *, predictions: int, batch: int) -> dict[str, float]:
    """The writer's own transactions of ``batch`` predictions, one by one, on one connection.

    Rates are predictions a second. A prediction of one model is two rows.
    """
    engine = open_database(address)
    known = KnownModels()
    made = list(made_up(predictions))
    _write(engine, known, list(made_up(MOST_AT_ONCE)))
    size, logged = _numbers(engine)
    used, mine, begun = cpu_seconds(main), time.process_time(), time.perf_counter()
    entries = iter(made)
    for some in iter(lambda: list(itertools.islice(entries, batch)), []):
        _write(engine, known, some)
    took = time.perf_counter() - begun
    mine, used = time.process_time() - mine, cpu_seconds(main) - used
    after, written = _numbers(engine)
    engine.dispose()
    return {
        "predictions_a_second": predictions / took,
        "writer_cpu_ms": 1000 * mine / predictions,
        "database_cpu_ms": 1000 * used / predictions,
        "stored_bytes": (after - size) / predictions,
        "log_bytes": (written - logged) / predictions,
    }


def _write(engine: Engine, known: KnownModels, batch: list[Entry]) -> None:
    with writing(engine) as connection:
        write(connection, batch, models=known)


def _numbers(engine: Engine) -> tuple[float, float]:
    with reading(engine) as connection:
        size = connection.exec_driver_sql(_SIZES).scalar_one()
        return float(size), float(connection.exec_driver_sql(_LOG).scalar_one())


async def limits(*, seconds: float) -> dict[str, float]:
    """Two limits taken at once in Redis, as for a request with a key, 16 at a time."""
    rules = (
        Rule(name="a minute", bucket="key:m", most=10**9, seconds=60),
        Rule(name="of the address", bucket="address:m", most=10**9, seconds=60),
    )
    with _redis() as (url, server):
        limiter = RedisLimiter(url)
        await limiter.take(rules)
        used, taken, until = cpu_seconds(server), 0, time.perf_counter() + seconds

        async def client() -> None:
            nonlocal taken
            while time.perf_counter() < until:
                await limiter.take(rules)
                taken += 1

        await asyncio.gather(*(client() for _ in range(16)))
        used = cpu_seconds(server) - used
        await limiter.close()
        if limiter.failures:
            raise SystemExit(f"Redis did not answer {limiter.failures} times")
    return {"redis_cpu_ms": 1000 * used / taken}


@contextmanager
def _redis() -> Iterator[tuple[str, psutil.Process]]:
    with tempfile.TemporaryDirectory() as folder:
        words = ["redis-server", "--port", "0", "--unixsocket", "redis.sock", "--save", ""]
        process = subprocess.Popen(
            on(PINNED.server, words), cwd=folder, stdout=subprocess.PIPE, text=True
        )
        try:
            next(line for line in process.stdout or () if "accept connections at" in line)
            yield f"unix://{folder}/redis.sock", psutil.Process(process.pid)
        finally:
            process.terminate()
            process.communicate(timeout=30)


_PROXY: Final = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_buffer_size 1m; client_max_body_size 25m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream tintype {{ server 127.0.0.1:{behind}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://tintype; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
}}
"""


async def proxy(behind: int, request: bytes, *, port: int, seconds: float) -> dict[str, float]:
    """What nginx takes for passing on a request without TLS: 8 clients of a server behind it."""
    with _nginx(behind, port=port) as main:
        await _open(port)
        load = Load(port, request)
        used = cpu_seconds(main)
        tally = await load.one_by_one(seconds, clients=8)
        used = cpu_seconds(main) - used
        await load.rest()
    if set(tally.statuses) != {"200"}:
        raise SystemExit(f"behind the proxy: {dict(tally.statuses)}")
    return {"proxy_cpu_ms": 1000 * used / len(tally.answered)}


@contextmanager
def _nginx(behind: int, *, port: int) -> Iterator[psutil.Process]:
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "nginx.conf"
        written.write_text(_PROXY.format(folder=folder, behind=behind, port=port))
        command = on(PINNED.generator, ["nginx", "-c", str(written), "-e", f"{folder}/log"])
        process = subprocess.Popen(command)
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(30)


async def _open(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(100):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise SystemExit(f"nothing listens on port {port}")
