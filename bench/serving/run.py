"""Tintype beside the bare loop and beside what people would use instead.

make bench         all of it, under half an hour: bench/results/serving.json, .md and .svg
make bench-quick   the shape of it: two models and one peer, under three minutes

Needs h2load (Debian's package nghttp2-client) and the photographs of TINTYPE_TEST_DATA.

Only ratios within one run count: before and after each server the bare loop is measured on the
same picture, and a server's figure is a share of the mean of the two.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import machine
from contenders import PEERS, TINTYPE, Contender
from load import Body, Load, closed_loop, open_loop
from materials import CONTENT_TYPES, MODELS, ROOT, body, make
from server import Running, environment, running

import report

RESULTS: Final = ROOT / "bench" / "results"
_HERE: Final = Path(__file__).parent
_LIMITS: dict[tuple[str, str], dict[str, float]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One server on one model and picture, at some numbers of connections and offered loads."""

    contender: Contender
    model: str
    picture: str
    connections: tuple[int, ...]
    shares: tuple[float, ...] = ()


def cases(*, quick: bool) -> Iterable[Case]:
    """What is measured, the most telling first."""
    if quick:
        for model in ("mobilenetv2", "teachable-machine"):
            yield Case(contender=TINTYPE, model=model, picture="small", connections=(8,))
        yield Case(contender=PEERS[2], model="mobilenetv2", picture="small", connections=(8,))
        return
    yield Case(
        contender=TINTYPE,
        model="mobilenetv2",
        picture="small",
        connections=(1, 8, 64),
        shares=(0.5, 0.9, 1.2, 3.0),
    )
    for peer in PEERS:
        yield Case(contender=peer, model="mobilenetv2", picture="small", connections=(1, 8, 64))
    for model in MODELS:
        if model != "mobilenetv2":
            yield Case(contender=TINTYPE, model=model, picture="small", connections=(1, 8, 64))
    for picture in ("middle", "large"):
        yield Case(contender=TINTYPE, model="mobilenetv2", picture=picture, connections=(1, 8))


class Bench:
    """Measures cases with the materials in ``folder``."""

    def __init__(self, folder: Path, *, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds

    def measure(self, case: Case) -> dict[str, Any]:
        """The figures of a case, or why there are none."""
        told: dict[str, Any] = {
            "name": case.contender.name,
            "engine": case.contender.engine,
            "model": case.model,
            "picture": case.picture,
        }
        try:
            bins = environment(case.contender, folder=self._folder / "environments")
            return told | self._figures(case, bins)
        except (RuntimeError, subprocess.SubprocessError) as error:
            return told | {"failed": str(error)[-1500:]}

    def _figures(self, case: Case, bins: Path) -> dict[str, Any]:
        wrapped = case.contender.wrapped
        sent = Body(
            file=body(self._folder, picture=case.picture, wrapped=wrapped),
            content_type=CONTENT_TYPES[wrapped],
        )
        model = self._folder / MODELS[case.model]
        with running(
            case.contender, bins=bins, model=model, materials=self._folder, body=sent
        ) as server:
            closed_loop(server.url, sent, connections=8, seconds=2)  # warm
            closed = {
                str(count): self._closed(server, sent, case, connections=count)
                for count in case.connections
            }
            most = max(each["rate"] for each in closed.values())
            offered = {
                f"{share:.0%}": asdict(
                    open_loop(server.url, sent, rate=share * most, seconds=self._seconds)
                )
                for share in case.shares
            }
            return {
                "first_answer": server.first_answer,
                "resident_mib": server.resident_mib(),
                "closed": closed,
                "open": offered,
            }

    def _closed(
        self, server: Running, sent: Body, case: Case, *, connections: int
    ) -> dict[str, Any]:
        before = self._limit(case)
        cpu = server.cpu_seconds()
        load: Load = closed_loop(server.url, sent, connections=connections, seconds=self._seconds)
        spent = server.cpu_seconds() - cpu
        after = self._limit(case)
        best = (before["rate"] + after["rate"]) / 2
        return asdict(load) | {
            "cpu_ms": 1000 * spent / max(1, load.answered),
            "limit_rate": best,
            "limit_cpu_ms": min(before["cpu_ms"], after["cpu_ms"]),
            "of_limit": load.rate / best,
        }

    def _limit(self, case: Case) -> dict[str, float]:
        """The bare loop on the layout that was the best the first time."""
        key = (case.model, case.picture)
        words = [sys.executable, str(_HERE / "limit.py"), str(self._folder / MODELS[case.model])]
        words += [str(body(self._folder, picture=case.picture, wrapped="raw"))]
        words += ["--seconds", str(self._seconds / 2)]
        if key in _LIMITS:
            words += ["--layouts", str(_LIMITS[key]["layout"])]
        ran = subprocess.run(words, check=True, capture_output=True, text=True, timeout=300)
        found = json.loads(ran.stdout.splitlines()[-1])
        layout = max(found, key=lambda name: found[name]["rate"])
        _LIMITS.setdefault(key, {"layout": layout})
        return dict(found[layout])


def main() -> None:
    """Measure, telling how far it is, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float, default=None, help="of each load")
    parser.add_argument("--only", default="", help="contenders whose name holds this")
    parser.add_argument("--materials", type=Path, default=ROOT / "bench" / ".materials")
    parser.add_argument("--out", type=Path, default=None, help="folder of the results")
    options = parser.parse_args()
    make(options.materials)
    seconds = options.seconds or (4.0 if options.quick else 6.0)
    bench, begun = Bench(options.materials, seconds=seconds), time.monotonic()
    wanted = [
        case
        for case in cases(quick=options.quick)
        if options.only.lower() in case.contender.name.lower()
    ]
    rows = []
    for number, case in enumerate(wanted, 1):
        clock = time.strftime("%M:%S", time.gmtime(time.monotonic() - begun))
        title = f"{case.contender.name}, {case.model}, {case.picture} picture"
        print(f"[{clock}] {number}/{len(wanted)} {title}", file=sys.stderr, flush=True)
        rows.append(bench.measure(case))
        print(report.line(rows[-1]), file=sys.stderr, flush=True)
    results = {"machine": machine.facts(), "seconds": seconds, "rows": rows}
    name = "serving-quick" if options.quick else "serving"
    out = options.out or (options.materials if options.quick else RESULTS)
    report.write(results, folder=out, name=name)
    print(out / f"{name}.md")


if __name__ == "__main__":
    main()
