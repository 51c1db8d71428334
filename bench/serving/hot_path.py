"""Where a request's time goes: CPU time by thread, samples by part, and what the libraries take.

.venv/bin/python bench/serving/hot_path.py [MODEL] [--picture small] [--seconds 10]

MODEL is a name of ``materials.MODELS``. CPU time by thread is the kernel's own count. ``parts`` are
py-spy's samples (in an environment of its own) of the thread that holds the interpreter, each
counted to the innermost part of Tintype or of its libraries that its stack passes through: they
share out what Python takes. Decoding and the engine let go of the interpreter; they show under
``libraries``, which are perf's (Debian's package linux-perf), left out where it is not there or not
allowed.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from contenders import TINTYPE
from cores import PINNED
from environments import programs
from load import Load, closed_loop
from materials import MODELS, PICTURES, ROOT, body, make
from server import Running, running

PY_SPY: Final = ("py-spy==0.4.3",)
_RATE: Final = 200
_CLIENTS: Final = 8
_PARTS: Final = (
    ("the engine's run", r"InferRequest|pooled\.py|engines/"),
    ("decode", r"imaging/(decode|pillow_decode|header|orient|sniff)\.py"),
    ("a look at the picture (drift)", r"imaging/look\.py"),
    ("resize and values", r"imaging/"),
    ("batching", r"batching/"),
    ("results", r"tintype/results/"),
    ("the record", r"tintype/record/|sqlalchemy|sqlite"),
    ("log lines", r"log_setup|structlog|logging/"),
    ("metrics, observers", r"tintype/(metrics|observers|live|tracing)\.py|prometheus"),
    ("the use case", r"tintype/(predict|models)/"),
    ("routes, body, JSON", r"tintype/web/|multipart|msgspec"),
    ("Starlette", r"starlette"),
    ("the connection (uvicorn, httptools)", r"uvicorn|tintype/cli/connection"),
    ("the loop itself", r"asyncio|uvloop|tintype/cli/(server|listening)"),
    ("handing over to threads", r"concurrent/futures|threading\.py|queue\.py"),
)
"""A part, and what the innermost known frame of a sample looks like."""


def part_of(stack: str) -> str:
    """The part that a stack (frames from the outside in, joined by ;) is counted to."""
    for frame in reversed(stack.split(";")):
        for name, pattern in _PARTS[:-2]:
            if re.search(pattern, frame):
                return name
    for name, pattern in _PARTS[-2:]:
        if re.search(pattern, stack):
            return name
    return "other"


def parts(lines: Iterable[str]) -> dict[str, float]:
    """Shares of the samples, largest first, of py-spy's raw lines: a stack, a count."""
    counts: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if stack and "waiting for work" not in stack:
            counts[part_of(stack)] += int(count)
    return {name: count / counts.total() for name, count in counts.most_common()}


def ticks_of(pid: int) -> Counter[int]:
    """CPU ticks so far by thread."""
    ticks: Counter[int] = Counter()
    for task in (Path("/proc") / str(pid) / "task").iterdir():
        try:
            fields = (task / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks[int(task.name)] += int(fields[11]) + int(fields[12])
    return ticks


def by_name(ticks: Counter[int], pid: int) -> Counter[str]:
    """Ticks by what Python calls the threads, numbers at the end left out."""
    words = [_spy(), "dump", "--pid", str(pid), "--json"]
    told = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
    names = {each["os_thread_id"]: each["thread_name"] for each in json.loads(told.stdout)}
    found: Counter[str] = Counter()
    for thread, count in ticks.items():
        name = names.get(thread) or "not Python's (the engine's own)"
        found[re.sub(r"[-_]?\d+$", "", name)] += count
    return found


def sampled(server: Running, *, seconds: int) -> dict[str, float]:
    """Shares of the time that Python code ran, by part: a thread that holds the interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stacks"
        words = [_spy(), "record", "--gil", "--pid", str(server.process.pid), "--format", "raw"]
        words += ["--duration", str(seconds), "--rate", str(_RATE), "--output", str(file)]
        subprocess.run(words, check=True, capture_output=True, timeout=seconds + 60)
        return parts(file.read_text().splitlines())


def _spy() -> str:
    return str(programs("py-spy", PY_SPY) / "py-spy")


def libraries(server: Running, *, seconds: int) -> dict[str, float]:
    """Shares of CPU time by shared library and for the kernel; empty where perf cannot tell."""
    perf = shutil.which("perf")
    if perf is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        data, pid = f"{folder}/perf.data", str(server.process.pid)
        record = [perf, "record", "-q", "-e", "cpu-clock", "-F", "499", "-o", data, "-p", pid]
        report = [perf, "report", "-i", data, "--sort", "dso", "--stdio", "-q"]
        try:
            subprocess.run(
                [*record, "--", "sleep", str(seconds)],
                check=True,
                capture_output=True,
                timeout=seconds + 60,
            )
            told = subprocess.run(report, check=True, capture_output=True, text=True, timeout=120)
        except subprocess.SubprocessError as error:
            print(f"perf cannot tell: {error}", file=sys.stderr)
            return {}
    found = re.findall(r"^\s*([\d.]+)%\s+(\S+)", told.stdout, re.MULTILINE)
    return {name: float(share) / 100 for share, name in found if float(share) >= 0.5}


def profile(model: str, *, picture: str, folder: Path, seconds: int) -> dict[str, Any]:
    """All three views, each under a load of its own."""
    sent = body(folder, picture=picture, wrapped="raw")
    with running(
        TINTYPE, model=folder / MODELS[model], materials=folder, body=sent, layout=PINNED
    ) as server:

        def load(length: int) -> Load:
            return closed_loop(
                server.url, sent, connections=_CLIENTS, seconds=length, layout=PINNED
            )

        load(2)
        before, used = ticks_of(server.process.pid), server.cpu_seconds()
        alone = load(seconds)
        after, spent = ticks_of(server.process.pid), server.cpu_seconds() - used
        after.subtract(before)
        ticks = by_name(after, server.process.pid)
        views = []
        for view in (sampled, libraries):
            busy = threading.Thread(target=load, args=(seconds + 6,))
            busy.start()
            views.append(view(server, seconds=seconds))
            busy.join()
    cost = 1000 * spent / alone.answered
    total = max(1, ticks.total())
    return {
        "model": model,
        "picture": picture,
        "cpu_ms": cost,
        "threads_ms": {name: cost * n / total for name, n in ticks.most_common() if n > 0},
        "parts": views[0],
        "libraries": views[1],
    }


def main() -> None:
    """Print the views as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?", choices=MODELS, default="mobilenetv2")
    parser.add_argument("--picture", choices=PICTURES, default="small")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--materials", type=Path, default=ROOT / "bench" / ".materials")
    options = parser.parse_args()
    make(options.materials)
    found = profile(
        options.model, picture=options.picture, folder=options.materials, seconds=options.seconds
    )
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
