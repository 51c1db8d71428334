"""Time to ready, memory and installed size, beside ``tf_keras`` doing the same job.

    .venv/bin/python bench/footprint.py [--sizes]

Whole processes are measured, from ``exec`` to the first answer, the files being in the page cache.
Every time is the median of ``ROUNDS`` fresh processes. ``--sizes`` also installs both into fresh
virtual environments and measures those (minutes, and a gigabyte or two of disk); Tintype is then
started from there, as its users have it: the developers' environment holds packages that typer and
rich look for and import.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("TINTYPE_TEST_DATA", ROOT.parent / "shared" / "data"))
MODEL = DATA / "models/teachable-machine/keras_model.h5"
PICTURE = DATA / "images/cat_720p.jpg"
RESULTS = ROOT / "bench/results"
PAGE = ROOT / "docs/reference/footprint.md"
ROUNDS = 7
MIB = 1 << 20

OURS, PEERS = "tintype serve", "tf_keras predict"
PEER = """
import sys
import numpy as np
import tf_keras
from PIL import Image, ImageOps
model = tf_keras.models.load_model(sys.argv[1], compile=False)
picture = ImageOps.fit(Image.open(sys.argv[2]).convert("RGB"), (224, 224), Image.Resampling.LANCZOS)
batch = (np.asarray(picture, np.float32) / 127.5 - 1)[None]
print(model.predict(batch, verbose=0)[0].tolist(), flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """One way of serving, in seconds and MiB."""

    name: str
    ready_seconds: float
    first_answer_seconds: float
    resident_mib: float
    installed_mib: float | None
    imports_tensorflow: bool


def main() -> None:
    """Measure both, print the table, write it to the docs and the figures to ``bench/results``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", action="store_true", help="also measure installed sizes")
    sizes: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        program = Path(sys.executable).parent / "tintype"
        if parser.parse_args().sizes:
            sizes, program = installed(Path(folder)), Path(folder, OURS, "bin/tintype")
        rows = [
            median(OURS, [tintype_once(program) for _ in range(ROUNDS)], sizes),
            median(PEERS, [peer_once() for _ in range(ROUNDS)], sizes),
        ]
    RESULTS.mkdir(exist_ok=True)
    facts = {"python": platform.python_version(), "cores": os.cpu_count(), "rounds": ROUNDS}
    text = json.dumps({"machine": facts, "rows": [asdict(row) for row in rows]}, indent=2)
    (RESULTS / "footprint.json").write_text(text + "\n")
    PAGE.write_text(table(rows, facts))
    print(table(rows, facts))


def tintype_once(program: Path) -> tuple[float, float, float, bool]:
    """Seconds to ready, seconds to the first answer, resident MiB, whether TensorFlow is there."""
    begun = time.perf_counter()
    command = [str(program), "serve", str(MODEL), "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        lines = iter(server.stderr.readline, "") if server.stderr else iter(())
        address = next(line.split()[1] for line in lines if line.startswith("ready:"))
        ready = time.perf_counter() - begun
        request = urllib.request.Request(f"{address}/api/predict", data=PICTURE.read_bytes())
        with urllib.request.urlopen(request) as answer:
            answer.read()
        first = time.perf_counter() - begun
        return ready, first, *memory(server.pid)
    finally:
        server.terminate()
        server.wait()


def peer_once() -> tuple[float, float, float, bool]:
    """The same for a process that loads the file with ``tf_keras`` and calls ``predict`` once."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", PEER, str(MODEL), str(PICTURE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    try:
        if process.stdout is None or not process.stdout.readline():
            sys.exit("the tf_keras process gave no answer")
        first = time.perf_counter() - begun
        return first, first, *memory(process.pid)
    finally:
        process.terminate()
        process.wait()


def memory(pid: int) -> tuple[float, bool]:
    """Resident MiB of the process, and whether it has mapped a TensorFlow library."""
    process = psutil.Process(pid)
    mapped = any("/site-packages/tensorflow/" in region.path for region in process.memory_maps())
    return process.memory_info().rss / MIB, mapped


def median(
    name: str, rounds: list[tuple[float, float, float, bool]], sizes: dict[str, float]
) -> Footprint:
    """The middle of every figure over the rounds."""
    ready, first, resident, tensorflow = zip(*rounds, strict=True)
    return Footprint(
        name=name,
        ready_seconds=round(statistics.median(ready), 3),
        first_answer_seconds=round(statistics.median(first), 3),
        resident_mib=round(statistics.median(resident), 1),
        installed_mib=sizes.get(name),
        imports_tensorflow=any(tensorflow),
    )


def installed(folder: Path) -> dict[str, float]:
    """MiB of virtual environments, empty before, that each was installed into below ``folder``."""
    wanted = {
        OURS: [["--no-deps", "-r", str(ROOT / "requirements.txt")], ["--no-deps", str(ROOT)]],
        PEERS: [["tf-keras", "pillow"]],
    }
    sizes = {}
    for name, steps in wanted.items():
        place = folder / name
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
        install = [sys.executable, "-m", "pip", "--python", f"{place}/bin/python", "install", "-q"]
        for packages in steps:
            subprocess.run([*install, *packages], check=True)
        files = (path for path in place.rglob("*") if path.is_file())
        sizes[name] = round(sum(path.stat().st_size for path in files) / MIB, 0)
    return sizes


def table(rows: list[Footprint], facts: dict[str, object]) -> str:
    """The figures as Markdown, with the ratio to the first row."""
    how = (
        f"Made by `bench/footprint.py --sizes`: medians of {facts['rounds']} fresh processes on "
        f"{facts['cores']} cores, Python {facts['python']}, files in the page cache."
    )
    lines = [
        "# Footprint: a Teachable Machine `keras_model.h5`, whole processes",
        "",
        how,
        "",
        "| | ready, s | first answer, s | resident, MiB | installed, MiB | TensorFlow in it |",
        "| --- | --: | --: | --: | --: | --- |",
    ]
    for row in rows:
        size = "not measured" if row.installed_mib is None else f"{row.installed_mib:.0f}"
        tensorflow = "yes" if row.imports_tensorflow else "no"
        lines.append(
            f"| `{row.name}` | {row.ready_seconds:.2f} | {row.first_answer_seconds:.2f} | "
            f"{row.resident_mib:.0f} | {size} | {tensorflow} |"
        )
    ours, theirs = rows
    lines.append(
        f"| ratio | {theirs.ready_seconds / ours.ready_seconds:.1f} | "
        f"{theirs.first_answer_seconds / ours.first_answer_seconds:.1f} | "
        f"{theirs.resident_mib / ours.resident_mib:.1f} | "
        f"{ratio(theirs.installed_mib, ours.installed_mib)} | |"
    )
    return "\n".join(lines) + "\n"


def ratio(theirs: float | None, ours: float | None) -> str:
    """How many times ours, or a dash."""
    return "-" if theirs is None or ours is None else f"{theirs / ours:.1f}"


if __name__ == "__main__":
    main()
