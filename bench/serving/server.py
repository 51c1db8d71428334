"""Start a contender, wait for its first answer, watch its processes, end them."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from contenders import Contender
from cores import Layout, on
from environments import programs
from materials import Body

_PATIENCE: Final = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A contender that has given its first answer, ``first_answer`` seconds after its start."""

    url: str
    first_answer: float
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Processor time of the whole tree so far, processes that ended in it included."""
        total = 0.0
        for each in self._tree():
            with suppress(psutil.Error):
                times = each.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def resident_mib(self) -> float:
        """Memory of the whole tree, shared pages counted once (proportional set size), in MiB."""
        total = 0
        for each in self._tree():
            with suppress(psutil.Error):
                total += each.memory_full_info().pss
        return total / (1 << 20)

    def _tree(self) -> list[psutil.Process]:
        with suppress(psutil.Error):
            return [self.process, *self.process.children(recursive=True)]
        return []


@contextmanager
def running(
    contender: Contender, *, model: Path, materials: Path, body: Body, layout: Layout
) -> Iterator[Running]:
    """The contender, asked until it answers. Raises RuntimeError with its last words if never."""
    port = _free_port()
    bins = programs(contender.environment, contender.packages, python=contender.python)
    surroundings = os.environ | {
        "BENCH_PORT": str(port),
        "BENCH_KERAS": str(materials / "mobilenetv2.keras"),
        "BENCH_SAVEDMODEL": str(materials / "savedmodel"),
        "BENCH_ONNX": str(materials / "mobilenetv2.onnx"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONWARNINGS": "ignore",
        "PATH": f"{bins}{os.pathsep}{os.environ['PATH']}",
        **contender.surroundings,
    }
    log = materials / "server.log"
    with log.open("wb") as out, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as state:
        gaps = {"bin": str(bins), "port": str(port), "model": str(model), "state": state}
        words = on(layout.server, [word.format(**gaps) for word in contender.command])
        surroundings |= {"BENCH_STATE": state}
        begun = time.monotonic()
        process = subprocess.Popen(
            words, env=surroundings, stdout=out, stderr=out, start_new_session=True
        )
        try:
            url = f"http://127.0.0.1:{port}{contender.path}"
            _wait(process, url, body, log=log)
            yield Running(
                url=url,
                first_answer=time.monotonic() - begun,
                process=psutil.Process(process.pid),
            )
        finally:
            _end(process)


def _wait(process: subprocess.Popen[bytes], url: str, body: Body, *, log: Path) -> None:
    """Ask every 10 ms until an answer is 200."""
    data, headers = body.file.read_bytes(), {"content-type": body.content_type}
    headers |= dict(each.split(": ", 1) for each in body.headers)
    end, last = time.monotonic() + _PATIENCE, "nobody listened"
    while (left := end - time.monotonic()) > 0 and process.poll() is None:
        request = urllib.request.Request(url, data=data, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=left) as answer:
                answer.read()
                return
        except urllib.error.HTTPError as error:
            last = f"status {error.code}: {error.read(300)!r}"
            time.sleep(0.01)
        except (OSError, http.client.HTTPException):
            time.sleep(0.01)
    words = log.read_text(errors="replace")[-1500:]
    raise RuntimeError(f"no answer ({last}); its last words:\n{words}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to end; whoever stays is ended."""
    left = [psutil.Process(process.pid)] if process.poll() is None else []
    with suppress(psutil.Error):
        left += left[0].children(recursive=True) if left else []
    with suppress(ProcessLookupError):
        process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    for each in psutil.wait_procs(left, timeout=5)[1]:
        with suppress(psutil.Error):
            each.kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
