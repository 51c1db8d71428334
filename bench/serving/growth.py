"""How Tintype's cost grows: with the picture, connections, models, points, recorded predictions.

make bench-growth   under eight minutes: bench/results/serving/growth.json, .md and a plot a curve

Server and generator have a core each (``cores.PINNED``), so that CPU time and times of answers are
those of one core. The records of a million predictions that it needs are made first, once.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import machine
from contenders import TINTYPE
from cores import PINNED, SHARED, on
from load import closed_loop
from materials import DATA, MODELS, ROOT, Body, body, make
from PIL import Image
from server import Running, running

import report

RESULTS: Final = ROOT / "bench" / "results" / "serving"
_HERE: Final = Path(__file__).parent
_MEGAPIXELS: Final = (0.1, 0.25, 0.5, 1, 2, 4, 8, 12)
_CONNECTIONS: Final = (1, 2, 4, 8, 16, 64, 256)
_MODELS: Final = (1, 10, 50)
_POINTS: Final = (1, 2, 4, 8, 16, 32, 64)
_ROWS: Final = (0, 100_000, 1_000_000)
_BEND: Final = 0.25
"""A curve bends where its slope in logarithms changes by more than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Figures ``series`` at the places ``at`` of one axis. ``log``: both axes are drawn so."""

    name: str
    title: str
    x: str
    at: tuple[float, ...]
    series: dict[str, list[float]]
    log: bool = True


class Growth:
    """Measures curves with the materials in ``folder``."""

    def __init__(self, folder: Path, *, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds

    def picture_size(self) -> Curve:
        """From a thumbnail to a phone's photograph, beside decoding alone."""
        series: dict[str, list[float]] = {"a request": [], "its decode alone": []}
        small = self._picture(_MEGAPIXELS[0])
        with self._serving(small, MODELS["mobilenetv2"]) as server:
            for size in _MEGAPIXELS:
                picture = self._picture(size)
                series["a request"].append(self._load(server, picture, 4)["cpu_ms"])
                series["its decode alone"].append(self._decode(picture.file))
        return Curve(
            name="picture-size",
            title="CPU ms a request, MobileNetV2",
            x="megapixels",
            at=_MEGAPIXELS,
            series=series,
        )

    def connections(self) -> Curve:
        """More clients that ask at the same time."""
        series: dict[str, list[float]] = {
            "CPU ms a request": [],
            "p50 ms a connection": [],
            "answered of all that was asked": [],
        }
        sent = self._small()
        with self._serving(sent, MODELS["mobilenetv2"]) as server:
            for count in _CONNECTIONS:
                load = self._load(server, sent, count)
                series["CPU ms a request"].append(load["cpu_ms"])
                series["p50 ms a connection"].append(load["p50"] / count)
                series["answered of all that was asked"].append(load["answered"])
        return Curve(
            name="connections",
            title="Clients at the same time, MobileNetV2, 25 KB pictures",
            x="connections",
            at=_CONNECTIONS,
            series=series,
        )

    def models(self) -> Curve:
        """More models in one server, all of them MobileNetV2 under names of their own."""
        series: dict[str, list[float]] = {
            "100 MiB of memory": [],
            "seconds to the first answer": [],
            "CPU ms a request to one of them": [],
        }
        sent = self._small()
        for count in _MODELS:
            folder = self._copies(count)
            with self._serving(sent, folder, path="?model=copy-000", shared=True) as server:
                load = self._load(server, sent, 4)
                series["100 MiB of memory"].append(server.resident_mib() / 100)
                series["seconds to the first answer"].append(server.first_answer)
                series["CPU ms a request to one of them"].append(load["cpu_ms"])
        return Curve(
            name="models",
            title="MobileNetV2 loaded so many times (both cores at the start)",
            x="models",
            at=_MODELS,
            series=series,
        )

    def points(self) -> Curve:
        """More points of one picture, by the 9 x 9 colours."""
        series: dict[str, list[float]] = {"CPU ms a request": [], "CPU ms a point": []}
        sent = self._small()
        with self._serving(sent, MODELS["colours"]) as server:
            for count in _POINTS:
                points = ";".join(f"{20 + 5 * number},40" for number in range(count))
                asked = replace(server, url=f"{server.url}?points={points}")
                cost = self._load(asked, sent, 4)["cpu_ms"]
                series["CPU ms a request"].append(cost)
                series["CPU ms a point"].append(cost / count)
        return Curve(
            name="points",
            title="Points in one request, colours 9x9, 25 KB pictures",
            x="points",
            at=_POINTS,
            series=series,
        )

    def recorded(self) -> Curve:
        """Predictions that the record holds already."""
        series: dict[str, list[float]] = {
            "CPU ms a request": [],
            "p99 ms at 4 connections": [],
            "seconds to the first answer": [],
        }
        sent = self._small()
        for rows in _ROWS:
            database = f"sqlite:///{self._record(rows).resolve()}"
            with self._serving(sent, MODELS["colours"], database=database) as server:
                load = self._load(server, sent, 4)
                series["CPU ms a request"].append(load["cpu_ms"])
                series["p99 ms at 4 connections"].append(load["p99"])
                series["seconds to the first answer"].append(server.first_answer)
        return Curve(
            name="recorded",
            title="Predictions in the record (SQLite), colours 9x9, 25 KB pictures",
            x="thousand predictions",
            at=tuple(rows / 1000 for rows in _ROWS),
            series=series,
            log=False,
        )

    def records(self) -> None:
        """Make the records, which takes minutes the first time."""
        for rows in _ROWS:
            self._record(rows)

    def _small(self) -> Body:
        return body(self._folder, picture="small", wrapped="raw")

    def _picture(self, megapixels: float) -> Body:
        file = self._folder / f"growth-{megapixels:g}.jpg"
        if not file.exists():
            photo = Image.open(DATA / "images" / "phone-12mp-a.jpg").convert("RGB")
            scale = math.sqrt(min(1.0, megapixels * 1e6 / (photo.width * photo.height)))
            size = (round(photo.width * scale), round(photo.height * scale))
            photo.resize(size, Image.Resampling.LANCZOS).save(file, "JPEG", quality=86)
        return Body(file=file, content_type="image/jpeg")

    def _copies(self, count: int) -> Path:
        folder = self._folder / f"copies-{count}"
        for number in range(count):
            file = folder / f"copy-{number:03}" / "model.keras"
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self._folder / MODELS["mobilenetv2"], file)
        return folder

    def _record(self, rows: int) -> Path:
        file = self._folder / f"record-{rows}.db"
        if not rows:
            for each in self._folder.glob(f"{file.name}*"):
                each.unlink()
        elif not file.exists():
            part = file.with_suffix(".part")  # a fill that is broken off goes on the next time
            script = ROOT / "bench" / "million_predictions.py"
            words = [sys.executable, script, "--predictions", str(rows), "--keep", part]
            subprocess.run(words, check=True, capture_output=True, timeout=1200)
            part.rename(file)
        return file

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

    def _load(self, server: Running, sent: Body, connections: int) -> dict[str, float]:
        """The better of two loads, by CPU time: other work on the machine only adds to it."""
        found = []
        for _ in range(2):
            used = server.cpu_seconds()
            load = closed_loop(
                server.url, sent, connections=connections, seconds=self._seconds, layout=PINNED
            )
            if not load.answered or load.p50 is None or load.p99 is None:
                raise RuntimeError(f"no good answer: {load.statuses}")
            cost = 1000 * (server.cpu_seconds() - used) / load.answered
            share = load.answered / sum(load.statuses.values())
            found.append({"cpu_ms": cost, "p50": load.p50, "p99": load.p99, "answered": share})
        return min(found, key=lambda load: load["cpu_ms"])

    def _decode(self, picture: Path) -> float:
        words = [sys.executable, str(_HERE / "limit.py"), str(self._folder / MODELS["mobilenetv2"])]
        words += [str(picture), "--decode", "--seconds", str(self._seconds / 2)]
        ran = subprocess.run(
            on(PINNED.server, words), check=True, capture_output=True, text=True, timeout=60
        )
        return float(json.loads(ran.stdout)["decode"]["cpu_ms"])


def slopes(at: Sequence[float], values: Sequence[float]) -> list[float]:
    """Between neighbours: by which power of x the value grows. 0: it does not; 1: in proportion."""
    return [
        math.log(y2 / y1) / math.log(x2 / x1)
        for (x1, y1), (x2, y2) in itertools.pairwise(zip(at, values, strict=True))
    ]


def words_of(curve: Curve) -> list[str]:
    """A sentence a series: how much it grows in all, and where it bends."""
    sentences = []
    for name, values in curve.series.items():
        first, last = values[0], values[-1]
        text = f"{name}: {last / first:.2f} times from {curve.at[0]:g} to {curve.at[-1]:g}"
        if curve.at[0] > 0:
            powers = slopes(curve.at, values)
            bends = [
                f"at {curve.at[number + 1]:g} (power {before:.2f} before, {after:.2f} after)"
                for number, (before, after) in enumerate(itertools.pairwise(powers))
                if abs(after - before) > _BEND
            ]
            text += f"; bends {', '.join(bends)}" if bends else "; no bend"
        sentences.append(f"- {text}.")
    return sentences


def page(results: dict[str, Any], curves: Sequence[Curve]) -> str:
    """Tables, sentences and plots."""
    facts = results["machine"]
    parts = [
        "# Growth",
        (
            "Made by `make bench-growth` (`bench/serving/growth.py`): server and load generator "
            "on a core each. A power of 1 is growth in proportion, 0 is none. Read the shapes; "
            f"times are of this machine: {facts['processor']}, {facts['cores']} cores."
        ),
    ]
    for curve in curves:
        rows = [[curve.x, *curve.series]]
        for number, place in enumerate(curve.at):
            rows.append([f"{place:g}", *(f"{each[number]:.2f}" for each in curve.series.values())])
        parts += [f"## {curve.title}", report.table(rows), "\n".join(words_of(curve))]
        parts.append(f"![{curve.title}](growth-{curve.name}.svg)")
    return "\n\n".join(parts) + "\n"


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
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load")
    parser.add_argument("--materials", type=Path, default=ROOT / "bench" / ".materials")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args()
    make(options.materials)
    growth = Growth(options.materials, seconds=options.seconds)
    steps = [growth.picture_size, growth.connections, growth.models, growth.points, growth.recorded]
    wanted = [step for step in steps if step.__name__ in options.curves or not options.curves]
    if growth.recorded in wanted:
        growth.records()
    begun = time.monotonic()

    def say(text: str) -> None:
        clock = time.strftime("%M:%S", time.gmtime(time.monotonic() - begun))
        print(f"[{clock}] {text}", file=sys.stderr, flush=True)

    results: dict[str, Any] = {"machine": machine.facts(), "curves": []}
    curves: list[Curve] = []
    for curve in measured(wanted, say):
        curves.append(curve)
        results["curves"].append(
            {each: getattr(curve, each) for each in ("name", "title", "x", "at", "series", "log")}
        )
        report.save(results, folder=options.out, name="growth")
    report.draw(options.out / "growth.json")
    (options.out / "growth.md").write_text(page(results, curves))
    say("done")


if __name__ == "__main__":
    main()
