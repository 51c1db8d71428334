"""What the record adds to the time to ready: ``tintype serve`` with and without it, in turns.

    .venv/bin/python bench/record_start.py [--rounds 15]

Whole processes, from ``exec`` to the line ``ready:``; the record's folder is new each time. Told
are the time that passed and the processor time in it, which other work on the machine touches
less: medians, and the ratio of those.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "src/tintype/demo/models/cats-dogs"


def main() -> None:
    """Start by turns, print both and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[tuple[float, float]]] = {"false": [], "true": []}
    for number in range(rounds):
        for enabled in ("false", "true") if number % 2 else ("true", "false"):
            seconds[enabled].append(ready(enabled))
    for name, place in (("passed", 0), ("processor", 1)):
        without, with_it = (
            statistics.median(each[place] for each in seconds[enabled])
            for enabled in ("false", "true")
        )
        ratio = with_it / without
        print(f"{name}: {without:.3f} s without, {with_it:.3f} s with, ratio {ratio:.3f}")


def ready(enabled: str) -> tuple[float, float]:
    """Seconds and processor seconds from the start of a server to its line ``ready:``."""
    command = [str(Path(sys.executable).parent / "tintype"), "serve", str(MODEL), "--port", "0"]
    with tempfile.TemporaryDirectory() as state:
        environment = {**os.environ, "TINTYPE_RECORD_ENABLED": enabled}
        begun = time.perf_counter()
        server = subprocess.Popen(
            [*command, "--state", state], stderr=subprocess.PIPE, text=True, env=environment
        )
        next(line for line in server.stderr or () if line.startswith("ready:"))
        took = time.perf_counter() - begun
        spent = psutil.Process(server.pid).cpu_times()
        server.kill()
        server.wait()
        if server.stderr:
            server.stderr.close()
    return took, spent.user + spent.system


if __name__ == "__main__":
    main()
