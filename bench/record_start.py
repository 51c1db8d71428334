"""What the record adds to the time to ready: ``tintype serve`` with and without it, in turns.

    .venv/bin/python bench/record_start.py [--rounds 15]

Whole processes, from ``exec`` to the line ``ready:``; the record's folder is new each time. The
ratio of the medians is what counts, and the ratio of the fastest, which other work on the machine
touches least.
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

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "src/tintype/demo/models/cats-dogs"


def main() -> None:
    """Start by turns, print both and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {"false": [], "true": []}
    for number in range(rounds):
        for enabled in ("false", "true") if number % 2 else ("true", "false"):
            seconds[enabled].append(ready(enabled))
    without, with_it = seconds["false"], seconds["true"]
    print(f"without: median {statistics.median(without):.3f} s, fastest {min(without):.3f} s")
    print(f"with:    median {statistics.median(with_it):.3f} s, fastest {min(with_it):.3f} s")
    print(
        f"ratio:   median {statistics.median(with_it) / statistics.median(without):.3f}, "
        f"fastest {min(with_it) / min(without):.3f}"
    )


def ready(enabled: str) -> float:
    """Seconds from the start of a server to its line ``ready:``."""
    command = [str(Path(sys.executable).parent / "tintype"), "serve", str(MODEL), "--port", "0"]
    with tempfile.TemporaryDirectory() as state:
        environment = {**os.environ, "TINTYPE_RECORD_ENABLED": enabled}
        begun = time.perf_counter()
        server = subprocess.Popen(
            [*command, "--state", state], stderr=subprocess.PIPE, text=True, env=environment
        )
        next(line for line in server.stderr or () if line.startswith("ready:"))
        took = time.perf_counter() - begun
        server.kill()
        server.wait()
        if server.stderr:
            server.stderr.close()
    return took


if __name__ == "__main__":
    main()
