"""Tintype beside the bare loop and beside what people would use instead.

make bench         all of it, under half an hour: bench/results/serving/serving.json, .md, plots
make bench-quick   a small version of it, under three minutes: bench/.materials/quick/

Needs h2load (Debian's package nghttp2-client) and the photographs of TINTYPE_TEST_DATA. Materials
and environments are made first, once, and their time does not count. Results are saved after every
server; ``--resume`` goes on where a run was broken off.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import machine
from contenders import OPENVINO, TINTYPE, TINTYPE_EACH
from environments import programs
from materials import ROOT, make
from measure import Bench, Figures
from plan import OPEN_PEERS, Case, cases

import report

RESULTS: Final = ROOT / "bench" / "results" / "serving"
_KEY: Final = ("name", "model", "picture")


@dataclass(kw_only=True)
class Run:
    """Everything measured so far, and where it is saved."""

    folder: Path
    name: str
    minutes: float
    results: dict[str, Any]
    begun: float = field(default_factory=time.monotonic)

    @property
    def clock(self) -> str:
        """Minutes and seconds since the begin."""
        minutes, seconds = divmod(int(time.monotonic() - self.begun), 60)
        return f"{minutes:02}:{seconds:02}"

    @property
    def late(self) -> bool:
        """Whether no more may be begun."""
        return time.monotonic() - self.begun > 60 * self.minutes

    def say(self, text: str) -> None:
        """Tell the one who waits."""
        print(f"[{self.clock}] {text}", file=sys.stderr, flush=True)

    def known(self, part: str, case: Case) -> bool:
        """Whether an earlier run has the case already."""
        key = (case.contender.name, case.model, case.picture)
        return any(tuple(row[each] for each in _KEY) == key for row in self.results[part])

    def keep(self, part: str, row: Figures) -> None:
        """Add a row, and save all of them."""
        self.results[part].append(row)
        self.results["minutes"] = round((time.monotonic() - self.begun) / 60, 1)
        report.save(self.results, folder=self.folder, name=self.name)
        self.say(report.line(row))


def measure(run: Run, bench: Bench, wanted: list[Case]) -> None:
    """The closed loops of all cases, then the open loops of the best."""
    for number, case in enumerate(wanted, 1):
        if run.known("rows", case):
            continue
        if run.late:
            run.results["left_out"].append(case.title)
            continue
        run.say(f"{number}/{len(wanted)} {case.title}")
        run.keep("rows", bench.row(case))
    for case in _best(run.results["rows"], wanted):
        if not run.known("open", case):
            run.say(f"open loop: {case.title}")
            run.keep("open", bench.open_row(case, most=_capacity(run.results["rows"], case)))


def _best(rows: list[Figures], wanted: list[Case]) -> list[Case]:
    """Tintype and the best of its peers with the same engine, where they were measured."""
    same = [
        case
        for case in wanted
        if (case.model, case.picture, case.contender.engine) == ("mobilenetv2", "small", OPENVINO)
        and len(case.shared) > 1
        and case.contender is not TINTYPE_EACH
        and _capacity(rows, case)
    ]
    same.sort(key=lambda case: (case.contender is not TINTYPE, -_capacity(rows, case)))
    return same[: 1 + OPEN_PEERS]


def _capacity(rows: list[Figures], case: Case) -> float:
    """The most answers a second of a case in the closed loop on all cores; 0 where unknown."""
    key = (case.contender.name, case.model, case.picture)
    return max(
        (
            load["rate"]
            for row in rows
            if tuple(row[each] for each in _KEY) == key and "shared" in row.get("layouts", {})
            for load in row["layouts"]["shared"]["closed"].values()
        ),
        default=0.0,
    )


def _earlier(file: Path) -> dict[str, Any] | None:
    """The rows of a run that was broken off, those left out that failed."""
    if not file.exists():
        return None
    results = json.loads(file.read_text())
    for part in ("rows", "open"):
        results[part] = [row for row in results[part] if "failed" not in row]
    return dict(results) | {"left_out": []}


def _chosen(case: Case, options: argparse.Namespace) -> bool:
    title = case.title.lower()
    skip = [word for word in options.skip.lower().split(",") if word]
    return options.only.lower() in title and not any(word in title for word in skip)


def _prepare(run: Run, wanted: list[Case], materials: Path) -> None:
    """Make the materials and environments; a server that cannot be installed fails later."""
    run.say("models and pictures")
    make(materials)
    for each in {case.contender.environment: case.contender for case in wanted}.values():
        try:
            programs(each.environment, each.packages, python=each.python)
        except (RuntimeError, subprocess.SubprocessError) as error:
            run.say(f"{each.environment} cannot be installed: {error}")
    run.begun = time.monotonic()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float, default=None, help="of each load")
    parser.add_argument("--minutes", type=float, default=26, help="begin no case after these")
    parser.add_argument("--only", default="", help="cases whose title holds this")
    parser.add_argument("--skip", default="", help="not those whose title holds one of these: a,b")
    parser.add_argument("--resume", action="store_true", help="keep the rows of the last run")
    parser.add_argument("--materials", type=Path, default=ROOT / "bench" / ".materials")
    parser.add_argument("--out", type=Path, default=None, help="folder of the results")
    return parser.parse_args()


def main() -> None:
    """Measure, telling how far it is, and write the results."""
    options = _options()
    for program in ("h2load", "taskset"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not there: apt-get install nghttp2-client util-linux")
    name = "quick" if options.quick else "serving"
    folder = options.out or (options.materials / "quick" if options.quick else RESULTS)
    seconds = options.seconds or (3.0 if options.quick else 4.0)
    empty = {
        "machine": machine.facts(),
        "seconds": seconds,
        "minutes": 0.0,
        "rows": [],
        "open": [],
        "left_out": [],
    }
    earlier = _earlier(folder / f"{name}.json") if options.resume else None
    results = empty if earlier is None else earlier | {"seconds": seconds, "resumed": True}
    run = Run(folder=folder, name=name, minutes=options.minutes, results=results)
    wanted = [case for case in cases(quick=options.quick) if _chosen(case, options)]
    _prepare(run, wanted, options.materials)
    for each in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs ignore the first
        signal.signal(each, signal.default_int_handler)
    try:
        measure(run, Bench(options.materials, seconds=seconds), wanted)
    except KeyboardInterrupt:
        run.say("broken off; go on with --resume")
    report.write(run.results, folder=folder, name=name)
    run.say(f"done in {run.clock} minutes")
    print(folder / f"{name}.md")


if __name__ == "__main__":
    main()
