"""Start a contender, wait for its first answer, watch its processes, end them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
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
from load import Body

_PATIENCE: Final = 120.0
_UV: Final = Path(sys.executable).with_name("uv")


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


def environment(contender: Contender, *, folder: Path) -> Path:
    """The programs of the contender's own virtual environment, made where it is not there yet."""
    if not contender.packages:
        return Path(sys.executable).parent
    venv = folder / "".join(c if c.isalnum() else "-" for c in contender.name.lower())
    if not (venv / "made").exists():
        subprocess.run([_UV, "venv", "-q", "--clear", venv], check=True)
        python = venv / "bin" / "python"
        words = [_UV, "pip", "install", "-q", "--python", python, *contender.packages]
        subprocess.run(words, check=True)
        (venv / "made").touch()
    return venv / "bin"


@contextmanager
def running(
    contender: Contender, *, bins: Path, model: Path, materials: Path, body: Body
) -> Iterator[Running]:
    """The contender, asked until it answers. Raises RuntimeError with its last words if never."""
    port = _free_port()
    words = contender.words(bin_folder=bins, port=port, model=model)
    surroundings = os.environ | {
        "BENCH_PORT": str(port),
        "BENCH_KERAS": str(materials / "mobilenetv2.keras"),
        "BENCH_SAVEDMODEL": str(materials / "savedmodel"),
        "BENCH_ONNX": str(materials / "mobilenetv2.onnx"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **contender.environment,
    }
    log = materials / "server.log"
    with log.open("wb") as out:
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
    data, headers = body.file.read_bytes(), {"content-type": body.content_type}
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        request = urllib.request.Request(url, data=data, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
                answer.read()
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.01)
    last = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"no answer at {url}; its last words:\n{last}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to end; whoever stays is ended."""
    left = [psutil.Process(process.pid)] if process.poll() is None else []
    with suppress(psutil.Error):
        left += left[0].children(recursive=True) if left else []
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)
    for each in psutil.wait_procs(left, timeout=5)[1]:
        with suppress(psutil.Error):
            each.kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
