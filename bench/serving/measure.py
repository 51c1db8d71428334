"""The figures of one case: loads on the server, the bare loop before, between and after them."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from contenders import TINTYPE
from cores import PINNED, SHARED, Layout, on
from load import closed_loop, open_loop
from materials import MODELS, Body, body
from plan import OPEN_SHARES, Case
from server import Running, running

Figures = dict[str, Any]
_HERE: Final = Path(__file__).parent
_WARM_SECONDS: Final = 2.0
_DROP_CACHES: Final = Path("/proc/sys/vm/drop_caches")


class Bench:
    """Measures cases with the materials in ``folder``; a load takes ``seconds``."""

    def __init__(self, folder: Path, *, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds
        self._best: dict[tuple[str, str, str], str] = {}

    def row(self, case: Case) -> Figures:
        """The figures of a case, or what kept them from being taken: it costs its row alone."""
        return _told(case) | self._safely(lambda: self._figures(case))

    def open_row(self, case: Case, *, most: float) -> Figures:
        """The open loop: ``most`` is what the server reached in the closed loop, a second."""
        return _told(case) | self._safely(lambda: self._open(case, most))

    def _safely(self, measure: Callable[[], Figures]) -> Figures:
        try:
            return measure()
        except subprocess.CalledProcessError as error:
            return {"failed": f"{error}\n{(error.stderr or '')[-1000:]}"}
        except Exception as error:  # noqa: BLE001 - a strange server must not end the run
            return {"failed": f"{type(error).__name__}: {error}"[-2000:]}

    def _figures(self, case: Case) -> Figures:
        told: Figures = {"layouts": {}}
        if case.starts:
            told["cold_start"] = self._start(case) if _forget_files() else None
            told["warm_start"] = None if case.shared else self._start(case)
        for layout, connections in ((SHARED, case.shared), (PINNED, case.pinned)):
            if connections:
                told["layouts"][layout.name] = self._closed(case, layout, connections)
        if case.starts and case.shared:
            told["warm_start"] = told["layouts"][SHARED.name]["first_answer"]
        if case.picture == "large":
            told["decode"] = self._bare(case, PINNED, "--decode")["decode"]
        return told

    def _start(self, case: Case) -> float:
        """Seconds from the start of the process to its first answer."""
        with self._running(case, SHARED) as server:
            return server.first_answer

    def _closed(self, case: Case, layout: Layout, connections: tuple[int, ...]) -> Figures:
        limits = [self._limit(case, layout)]
        loads: dict[str, Figures] = {}
        with self._running(case, layout) as server:
            first_mib = server.resident_mib()
            self._load(server, case, layout, connections=8, seconds=_WARM_SECONDS)
            for count in connections:
                loads[str(count)] = self._load(
                    server, case, layout, connections=count, seconds=self._seconds
                )
                # peers that work while idle would slow the bare loop, so it waits for their end
                if case.contender is TINTYPE and count != connections[-1]:
                    limits.append(self._limit(case, layout))
            memory = server.resident_mib()
        limits.append(self._limit(case, layout))
        pairs = list(itertools.pairwise(limits))
        if len(pairs) < len(loads):
            pairs = [(limits[0], limits[-1])] * len(loads)
        for load, near in zip(loads.values(), pairs, strict=True):
            load.update(_beside(load, near))
        return {
            "limit": self._best[case.model, case.picture, layout.name],
            "first_answer": server.first_answer,
            "first_mib": first_mib,
            "resident_mib": memory,
            "closed": loads,
        }

    def _open(self, case: Case, most: float) -> Figures:
        sent, told = self._body(case), {}
        with self._running(case, SHARED) as server:
            self._load(server, case, SHARED, connections=8, seconds=_WARM_SECONDS)
            for share in OPEN_SHARES:
                rate = share * most
                told[f"{share:.0%}"] = open_loop(
                    server.url, sent, rate=rate, seconds=self._seconds, layout=SHARED
                )
        return {"capacity": most, "open": told}

    def _load(
        self, server: Running, case: Case, layout: Layout, *, connections: int, seconds: float
    ) -> Figures:
        used = server.cpu_seconds()
        load = closed_loop(
            server.url, self._body(case), connections=connections, seconds=seconds, layout=layout
        )
        spent = server.cpu_seconds() - used
        if not load.answered:
            raise RuntimeError(f"no good answer at {connections} connections: {load.statuses}")
        return asdict(load) | {"cpu_ms": 1000 * spent / load.answered}

    def _limit(self, case: Case, layout: Layout) -> Figures:
        """The bare loop in the thread layout that was the best the first time."""
        key = (case.model, case.picture, layout.name)
        words = ("--layouts", self._best[key]) if key in self._best else ()
        found = self._bare(case, layout, *words)
        best = max(found, key=lambda name: found[name]["rate"])
        return dict(found[self._best.setdefault(key, best)])

    def _bare(self, case: Case, layout: Layout, *flags: str) -> Figures:
        picture = body(self._folder, picture=case.picture, wrapped="raw").file
        words = [sys.executable, str(_HERE / "limit.py"), str(self._folder / MODELS[case.model])]
        words += [str(picture), "--seconds", str(self._seconds / 2), *flags]
        ran = subprocess.run(
            on(layout.server, words), check=True, capture_output=True, text=True, timeout=120
        )
        return dict(json.loads(ran.stdout.splitlines()[-1]))

    def _running(self, case: Case, layout: Layout) -> Any:
        return running(
            case.contender,
            model=self._folder / MODELS[case.model],
            materials=self._folder,
            body=self._body(case),
            layout=layout,
        )

    def _body(self, case: Case) -> Body:
        return body(self._folder, picture=case.picture, wrapped=case.contender.wrapped)


def _told(case: Case) -> Figures:
    return {
        "name": case.contender.name,
        "engine": case.contender.engine,
        "model": case.model,
        "picture": case.picture,
        "packages": list(case.contender.packages),
    }


def _beside(load: Figures, limits: tuple[Figures, Figures]) -> Figures:
    """A load as a share of the bare loop around it: by the clock, and for the same CPU time.

    Both are 1 at the limit and less below it.
    """
    rate = sum(each["rate"] for each in limits) / 2
    cpu = sum(each["cpu_ms"] for each in limits) / 2
    return {
        "limit_rate": rate,
        "limit_cpu_ms": cpu,
        "of_limit": load["rate"] / rate,
        "cpu_of_limit": cpu / load["cpu_ms"],
    }


def _forget_files() -> bool:
    """Drop the page cache, where that is allowed; then a start reads everything from the disk."""
    with suppress(OSError):
        subprocess.run(["sync"], check=True, timeout=60)
        _DROP_CACHES.write_text("3")
        time.sleep(0.5)
        return True
    return False
