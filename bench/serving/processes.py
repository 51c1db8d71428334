"""One process that has every core beside several that share them, in turns in one run.

python bench/serving/processes.py FOLDER [--processes 2] [--models colours,mobilenetv2] [--rounds 3]

FOLDER holds the materials (``materials.py FOLDER`` makes them). The load generator runs on the same
cores. For each model and number of connections: answers a second of the best round, its p50 and
p99 in milliseconds, the processor's milliseconds an answer, and the memory of all processes
together (shared pages once) in MiB.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from contenders import TINTYPE
from cores import SHARED
from load import Load, closed_loop
from materials import MODELS, Body, body
from server import Running, running

_WARM_SECONDS: Final = 2.0
_HEAD: Final = (
    "| model | connections | processes | answers/s | p50 ms | p99 ms | CPU ms each | MiB |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    load: Load
    cpu_ms: float


def _round(server: Running, sent: Body, *, connections: int, seconds: float) -> _Round:
    used = server.cpu_seconds()
    load = closed_loop(server.url, sent, connections=connections, seconds=seconds, layout=SHARED)
    spent = server.cpu_seconds() - used
    return _Round(load=load, cpu_ms=1000 * spent / max(1, load.answered))


def _row(name: str, connections: int, processes: int, best: _Round, mib: float) -> str:
    load = best.load
    return (
        f"| {name} | {connections} | {processes} | {load.rate:,.0f} | {load.p50 or 0:.1f}"
        f" | {load.p99 or 0:.1f} | {best.cpu_ms:.2f} | {mib:.0f} |"
    )


def measure(name: str, *, folder: Path, asked: argparse.Namespace) -> None:
    """Print the rows of one model."""
    sent = body(folder, picture="small", wrapped="raw")
    model = folder / MODELS[name]
    with ExitStack() as stack:
        servers: dict[int, Running] = {}
        for processes in (1, asked.processes):
            own = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            command = (*TINTYPE.command, "--processes", str(processes))
            servers[processes] = stack.enter_context(
                running(
                    replace(TINTYPE, command=command),
                    model=model,
                    materials=own,
                    body=sent,
                    layout=SHARED,
                )
            )
            closed_loop(
                servers[processes].url, sent, connections=8, seconds=_WARM_SECONDS, layout=SHARED
            )
        for connections in asked.connections:
            rounds: dict[int, list[_Round]] = {processes: [] for processes in servers}
            for _ in range(asked.rounds):
                for processes, server in servers.items():
                    rounds[processes].append(
                        _round(server, sent, connections=connections, seconds=asked.seconds)
                    )
            for processes, server in servers.items():
                best = max(rounds[processes], key=lambda each: each.load.rate)
                mib = server.resident_mib()
                print(_row(name, connections, processes, best, mib), flush=True)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--models", default="colours,teachable-machine,mobilenetv2")
    asked = parser.parse_args()
    print(_HEAD)
    for name in asked.models.split(","):
        measure(name, folder=asked.folder, asked=asked)


if __name__ == "__main__":
    main()
