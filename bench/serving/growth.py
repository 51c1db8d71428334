"""How Tintype's cost grows: with the picture, connections, models, points, recorded predictions.

make bench-growth   under ten minutes: bench/results/serving/growth.json, .md and a plot a curve

Server and generator have a core each (``cores.PINNED``), so that CPU time and times of answers are
those of one core. The records of up to a million predictions that it needs are made first, once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import machine
from contenders import TINTYPE
from cores import PINNED, SHARED, on
from curves import Curve, Panel, page, words_of
from growth_materials import copies, picture, record, recorded
from load import closed_loop
from materials import MODELS, ROOT, Body, body, make
from server import Running, running

import report

RESULTS: Final = ROOT / "bench" / "results" / "serving"
_HERE: Final = Path(__file__).parent
_MEGAPIXELS: Final = (0.19, 0.38, 0.75, 1.5, 3, 6, 12)
_CONNECTIONS: Final = (1, 2, 4, 8, 16, 64, 256, 1024)
_MODELS: Final = (1, 10, 50)
_POINTS: Final = (1, 2, 4, 8, 16, 32, 64)
_ROWS: Final = (10_000, 100_000, 1_000_000)
_LOADS: Final = 3
_LONGER: Final = 2
"""Loads of many connections: each of them must have had more than its first answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cost:
    """Of the best load: CPU and other milliseconds an answer, how many, and of how many asked."""

    cpu_ms: float
    rate: float
    p50: float
    p99: float
    answered: float


class Growth:
    """Measures curves with the materials in ``folder``, ``seconds`` a load."""

    def __init__(self, folder: Path, *, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds

    def picture_size(self) -> Curve:
        """From a thumbnail to a phone's photograph, beside decoding alone."""
        request, decode = [], []
        sent = [picture(self._folder, megapixels=size) for size in _MEGAPIXELS]
        with self._serving(sent[0], MODELS["mobilenetv2"]) as server:
            for each in sent:
                request.append(self._load(server, each, 4).cpu_ms)
                decode.append(self._decode(each.file))
        cpu = Panel(y="CPU ms", series={"a request": request, "its decode alone": decode})
        return Curve(
            name="picture-size",
            title="Larger pictures: MobileNetV2, 4 connections",
            x="megapixels",
            at=_MEGAPIXELS,
            panels=(cpu,),
        )

    def connections(self) -> Curve:
        """More clients that ask at the same time."""
        sent = body(self._folder, picture="small", wrapped="raw")
        with self._serving(sent, MODELS["mobilenetv2"]) as server:
            costs = [self._load(server, sent, count, times=_LONGER) for count in _CONNECTIONS]
        waits = {
            "median": [cost.p50 for cost in costs],
            "99th of a hundred": [cost.p99 for cost in costs],
        }
        answered = [100 * cost.answered for cost in costs]
        return Curve(
            name="connections",
            title="More clients at once: MobileNetV2, 25 KB pictures",
            x="connections",
            at=_CONNECTIONS,
            panels=(
                Panel(y="CPU ms an answer", series={"": [cost.cpu_ms for cost in costs]}),
                Panel(y="ms to an answer", series=waits),
                Panel(y="answers a second", series={"": [cost.rate for cost in costs]}),
                Panel(y="% of requests answered", series={"": answered}, log=False),
            ),
        )

    def models(self) -> Curve:
        """More models in one server, all of them MobileNetV2 under names of their own."""
        memory, start, cpu = [], [], []
        sent = body(self._folder, picture="small", wrapped="raw")
        for count in _MODELS:
            folder = copies(self._folder, count=count)
            with self._serving(sent, folder, path="?model=copy-000", shared=True) as server:
                cpu.append(self._load(server, sent, 4).cpu_ms)
                memory.append(server.resident_mib())
                start.append(server.first_answer)
        return Curve(
            name="models",
            title="More models loaded: MobileNetV2 so many times (both cores, one model is asked)",
            x="models",
            at=_MODELS,
            panels=(
                Panel(y="MiB of memory", series={"": memory}),
                Panel(y="seconds to the first answer", series={"": start}),
                Panel(y="CPU ms a request", series={"": cpu}),
            ),
        )

    def points(self) -> Curve:
        """More points of one picture, by the 9 x 9 colours."""
        sent = body(self._folder, picture="small", wrapped="raw")
        request = []
        with self._serving(sent, MODELS["colours"]) as server:
            for count in _POINTS:
                points = ";".join(f"{20 + 5 * number},40" for number in range(count))
                asked = replace(server, url=f"{server.url}?points={points}")
                request.append(self._load(asked, sent, 4).cpu_ms)
        each = [cost / count for cost, count in zip(request, _POINTS, strict=True)]
        return Curve(
            name="points",
            title="More points a request: colours 9x9, 25 KB pictures, 4 connections",
            x="points",
            at=_POINTS,
            panels=(Panel(y="CPU ms", series={"a request": request, "a point": each}),),
        )

    def recorded(self) -> Curve:
        """Predictions that the record holds already."""
        cpu, p99, start = [], [], []
        sent = body(self._folder, picture="small", wrapped="raw")
        for rows in _ROWS:
            with (
                recorded(self._folder, rows=rows) as database,
                self._serving(sent, MODELS["colours"], database=database) as server,
            ):
                cost = self._load(server, sent, 4)
                cpu.append(cost.cpu_ms)
                p99.append(cost.p99)
                start.append(server.first_answer)
        return Curve(
            name="recorded",
            title="More in the record (SQLite): colours 9x9, 25 KB pictures, 4 connections",
            x="thousand predictions",
            at=tuple(rows / 1000 for rows in _ROWS),
            panels=(
                Panel(y="CPU ms a request", series={"": cpu}),
                Panel(y="99th of a hundred answers, ms", series={"": p99}),
                Panel(y="seconds to the first answer", series={"": start}),
            ),
        )

    def _serving(
        self,
        sent: Body,
        model: str | Path,
        *,
        path: str = "",
        database: str = "",
        shared: bool = False,
    ) -> AbstractContextManager[Running]:
        contender = replace(
            TINTYPE,
            path=TINTYPE.path + path,
            surroundings={"TINTYPE_RECORD_DATABASE": database} if database else {},
        )
        return running(
            contender,
            model=self._folder / model,
            materials=self._folder,
            body=sent,
            layout=SHARED if shared else PINNED,
        )

    def _load(self, server: Running, sent: Body, connections: int, *, times: int = 1) -> _Cost:
        """The best of some loads, by CPU time: other work on the machine only adds to it."""
        found, seconds = [], times * self._seconds
        for _ in range(_LOADS):
            used = server.cpu_seconds()
            load = closed_loop(
                server.url, sent, connections=connections, seconds=seconds, layout=PINNED
            )
            if not load.answered or load.p50 is None or load.p99 is None:
                raise RuntimeError(f"no good answer: {load.statuses}")
            found.append(
                _Cost(
                    cpu_ms=1000 * (server.cpu_seconds() - used) / load.answered,
                    rate=load.rate,
                    p50=load.p50,
                    p99=load.p99,
                    answered=load.answered / sum(load.statuses.values()),
                )
            )
        return min(found, key=lambda cost: cost.cpu_ms)

    def _decode(self, picture: Path) -> float:
        words = [sys.executable, str(_HERE / "limit.py"), str(self._folder / MODELS["mobilenetv2"])]
        words += [str(picture), "--decode", "--seconds", str(self._seconds / 2)]
        ran = subprocess.run(
            on(PINNED.server, words), check=True, capture_output=True, text=True, timeout=60
        )
        return float(json.loads(ran.stdout)["decode"]["cpu_ms"])


def measured(steps: Iterable[Callable[[], Curve]], say: Callable[[str], None]) -> Iterable[Curve]:
    """Each curve in turn; one that cannot be taken costs itself alone."""
    for step in steps:
        say(step.__name__.replace("_", " "))
        try:
            curve = step()
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            say(f"    failed: {error}")
            continue
        for sentence in words_of(curve):
            say(f"    {sentence}")
        yield curve


def main() -> None:
    """Measure all curves, or those named, telling how far it is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("curves", nargs="*", help="picture_size connections models points recorded")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load")
    parser.add_argument("--materials", type=Path, default=ROOT / "bench" / ".materials")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args()
    make(options.materials)
    growth = Growth(options.materials, seconds=options.seconds)
    steps = [growth.picture_size, growth.connections, growth.models, growth.points, growth.recorded]
    if unknown := {*options.curves} - {step.__name__ for step in steps}:
        parser.error(f"there is no curve {', '.join(sorted(unknown))}")
    wanted = [step for step in steps if step.__name__ in options.curves or not options.curves]
    if growth.recorded in wanted:  # takes minutes the first time
        for rows in _ROWS:
            record(options.materials, rows=rows)
    begun = time.monotonic()

    def say(text: str) -> None:
        clock = time.strftime("%M:%S", time.gmtime(time.monotonic() - begun))
        print(f"[{clock}] {text}", file=sys.stderr, flush=True)

    results: dict[str, Any] = {
        "machine": machine.facts(),
        "seconds": options.seconds,
        "curves": [],
    }
    curves: list[Curve] = []
    for curve in measured(wanted, say):
        curves.append(curve)
        results["curves"].append(asdict(curve))
        report.save(results, folder=options.out, name="growth")
    if not curves:
        sys.exit("nothing was measured")
    report.draw(options.out / "growth.json")
    text = page(curves, facts=results["machine"], seconds=options.seconds)
    (options.out / "growth.md").write_text(text)
    say("done")


if __name__ == "__main__":
    main()
