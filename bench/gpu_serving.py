"""A GPU's server, and what a GPU needs around it: pictures made ready, requests answered.

``around``: the pictures that the cores make ready, in the threads of one process and in processes
of their own, and a job in bulk. ``serving``: ``tintype serve`` in one process and in several on the
same GPU, load by h2load from the same cores: answers a second, times, mean batch, cores used, how
busy the GPU and each event loop were.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent / "serving"))

from cores import SHARED, on
from limit import threads_at
from load import closed_loop
from materials import Body, body

from tintype.engines.engine import EngineOptions
from tintype.imaging.limits import DecodeLimits
from tintype.models.library import find_cards
from tintype.models.plan import plan_model
from tintype.models.rows import row_of_picture
from tintype.predict import PredictRequest
from tintype.settings import Settings
from tintype.wiring.bulk import direct, loaded, threads_for

CONNECTIONS = (8, 64, 256)
_ALLOWED = tuple(sorted(os.sched_getaffinity(0)))
_CORES = len(_ALLOWED)
_PATIENCE = 90.0
_AT_ONCE = 64
_SERVE = "from tintype.cli.app import main; main()"


def around(model: Path, materials: Path, *, seconds: float, device: str) -> dict[str, Any]:
    """Pictures a second that are decoded and prepared, and those of a job in bulk."""
    picture = body(materials, picture="small", wrapped="raw").file
    told: dict[str, Any] = {"ready_in_threads": {}, "ready_in_processes": {}}
    for loops in dict.fromkeys((1, 4, _CORES)):
        told["ready_in_threads"][str(loops)] = _ready(model, picture, loops, seconds / 2)
        with multiprocessing.get_context("spawn").Pool(loops) as pool:
            each = (model, picture, 1, seconds / 2)
            told["ready_in_processes"][str(loops)] = sum(pool.starmap(_ready, [each] * loops))
    told["bulk"] = _bulk(model, picture, seconds=seconds, device=device)
    return told


def _ready(model: Path, picture: Path, loops: int, seconds: float) -> float:
    plan, data, limits = plan_model(find_cards((model,))[0]), picture.read_bytes(), DecodeLimits()
    runs, took, _ = threads_at(
        lambda: row_of_picture(plan, data, limits=limits), loops=loops, seconds=seconds
    )
    return runs / took


def _bulk(model: Path, picture: Path, *, seconds: float, device: str) -> dict[str, float]:
    """Threads that each answer pieces of 64 pictures, as ``tintype batch`` does."""
    settings = Settings(engine=EngineOptions(device=device))
    card = replace(find_cards((model,))[0], engine="onnxruntime")
    plans = (plan_model(card, device=device),)
    images, asked = [picture.read_bytes()] * _AT_ONCE, PredictRequest(image=b"")
    with loaded(plans, settings=settings) as hosts:
        asker = direct(hosts, settings=settings)
        threads = threads_for(hosts)
        runs, took, used = threads_at(
            lambda: asker.answer(images, asked), loops=threads, seconds=seconds
        )
    return {"rate": runs * _AT_ONCE / took, "threads": threads, "cores": used / took}


def serving(
    model: Path, materials: Path, *, counts: tuple[int, ...], seconds: float, device: str
) -> dict[str, Any]:
    """Answers a second of so many servers, by connections; each has its share of the cores."""
    sent = body(materials, picture="small", wrapped="raw")
    told: dict[str, Any] = {}
    for count in [each for each in counts if each <= _CORES]:
        begun = time.perf_counter()
        with _servers(model, count=count, device=device) as servers:
            found: dict[str, Any] = {"seconds_to_start": time.perf_counter() - begun}
            _load(servers, sent, connections=64, seconds=1)
            for connections in CONNECTIONS if count == 1 else CONNECTIONS[1:]:
                found[str(connections)] = _load(
                    servers, sent, connections=connections, seconds=seconds
                )
            told[str(count)] = found
    return told


@dataclass(frozen=True, slots=True)
class _Server:
    process: psutil.Process
    url: str

    def seconds(self) -> tuple[float, float]:
        """Processor time so far: of the process, and of its event loop's thread."""
        times = self.process.cpu_times()
        loop = next(each for each in self.process.threads() if each.id == self.process.pid)
        return times.user + times.system, loop.user_time + loop.system_time

    def batches(self) -> tuple[float, float]:
        """Pictures run so far, and runs."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        found = re.findall(r"^tintype_batch_pictures_(sum|count)\{.*\} (\S+)$", text, re.MULTILINE)
        told = {name: float(value) for name, value in found}
        return told.get("sum", 0.0), told.get("count", 0.0)


@contextmanager
def _servers(model: Path, *, count: int, device: str) -> Iterator[list[_Server]]:
    with ExitStack() as stack:
        share = _CORES // count
        started = [
            stack.enter_context(_server(model, device, _ALLOWED[at * share : (at + 1) * share]))
            for at in range(count)
        ]
        for each in started:
            _wait(each)
        yield started


@contextmanager
def _server(model: Path, device: str, cores: tuple[int, ...]) -> Iterator[_Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as state:
        words = [sys.executable, "-c", _SERVE, "serve", str(model), "--port", str(port)]
        words += ["--state", state, "--device", device, "--engine", "onnxruntime"]
        with (Path(state) / "log").open("wb") as log:
            process = subprocess.Popen(on(cores, words), stdout=log, stderr=log)
        try:
            yield _Server(psutil.Process(process.pid), f"http://127.0.0.1:{port}")
        except RuntimeError as error:
            last = (Path(state) / "log").read_text(errors="replace")[-1500:]
            raise RuntimeError(f"{error}; its last words:\n{last}") from error
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def _wait(server: _Server) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and server.process.status() != psutil.STATUS_ZOMBIE:
        with suppress(OSError):
            urllib.request.urlopen(f"{server.url}/ready", timeout=1).close()
            return
        time.sleep(0.05)
    raise RuntimeError("a server does not answer")


def _load(
    servers: list[_Server], sent: Body, *, connections: int, seconds: float
) -> dict[str, float]:
    """One load on all servers, the connections shared out."""
    share = max(1, connections // len(servers))
    before = [(each.seconds(), each.batches()) for each in servers]
    begun = time.perf_counter()
    with _gpu_watched() as busy, ThreadPoolExecutor(len(servers)) as pool:
        loads = [
            *pool.map(
                lambda each: closed_loop(
                    f"{each.url}/api/predict",
                    sent,
                    connections=share,
                    seconds=seconds,
                    layout=SHARED,
                ),
                servers,
            )
        ]
    took = time.perf_counter() - begun
    after = [(each.seconds(), each.batches()) for each in servers]
    pairs = [*zip(before, after, strict=True)]
    pictures = sum(now[1][0] - then[1][0] for then, now in pairs)
    runs = sum(now[1][1] - then[1][1] for then, now in pairs)
    return {
        "rate": sum(each.rate for each in loads),
        "failed": sum(each.failed for each in loads),
        "p50_ms": max(each.p50 or 0.0 for each in loads),
        "p99_ms": max(each.p99 or 0.0 for each in loads),
        "mean_batch": pictures / max(1.0, runs),
        "cores": sum(now[0][0] - then[0][0] for then, now in pairs) / took,
        "loop_busy": sum(now[0][1] - then[0][1] for then, now in pairs) / took / len(servers),
        "gpu_busy": sum(busy) / max(1, len(busy)),
    }


@contextmanager
def _gpu_watched() -> Iterator[list[float]]:
    """Per cent of the time that the GPU runs anything, looked at every fifth of a second."""
    seen: list[float] = []
    if shutil.which("nvidia-smi") is None:
        yield seen
        return
    words = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    with subprocess.Popen([*words, "-lms", "200"], stdout=subprocess.PIPE, text=True) as watch:
        try:
            yield seen
        finally:
            watch.terminate()
            lines = [] if watch.stdout is None else watch.stdout.readlines()
            seen += [float(line) for line in lines if line.strip().isdigit()]
