"""Plots of a file of results, as SVG beside it. Runs in an environment with matplotlib.

python bench/serving/plots.py RESULTS.json [PLOT.svg]

The second name is for results with one plot: those of ``bench/scale_simulation.py --curve``.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

_OWN: Final = "#a4501e"
_OTHER: Final = "#8c8c8c"
_LINES: Final = ("#a4501e", "#1f6f8b", "#5b8c3a", "#7a5195", "#444444")


def serving(results: dict[str, Any], file: Path) -> None:
    """Servers beside the limit, Tintype's models beside the limit, answers under open loads."""
    known = [row for row in results["rows"] if "failed" not in row]
    rows = [row for row in known if "8" in row["layouts"].get("pinned", {}).get("closed", {})]
    same = [row for row in rows if (row["model"], row["picture"]) == ("mobilenetv2", "small")]
    _bars(
        [(row["name"], _share(row), row["name"] == "Tintype") for row in same],
        title="MobileNetV2, 25 KB pictures, 8 connections, one core: share of the limit",
        file=file.with_name(f"{file.stem}-peers.svg"),
    )
    _bars(
        [
            (f"{row['model']}, {row['picture']}", _share(row), True)
            for row in rows
            if row["name"] == "Tintype"
        ],
        title="Tintype, 8 connections, one core: share of the limit",
        file=file.with_name(f"{file.stem}-models.svg"),
    )
    offered = [row for row in results["open"] if "open" in row]
    if offered:
        _offered(offered, file.with_name(f"{file.stem}-open.svg"))


def growth(results: dict[str, Any], file: Path) -> None:
    """One plot a curve, with a panel a unit. On axes that are logarithms a power is a line."""
    for curve in results["curves"]:
        panels = curve["panels"]
        rows = 2 if len(panels) % 2 == 0 and len(panels) > 2 else 1
        columns = len(panels) // rows
        figure = Figure(figsize=(max(6.0, 3.6 * columns), 3.4 * rows), layout="constrained")
        figure.suptitle(curve["title"], fontsize=10, x=0.01, ha="left")
        drawn = figure.subplots(rows, columns, squeeze=False).flat
        for axes, panel in zip(drawn, panels, strict=True):
            _panel(axes, panel, curve)
        _save(figure, file.with_name(f"{file.stem}-{curve['name']}.svg"))


def _panel(axes: Any, panel: dict[str, Any], curve: dict[str, Any]) -> None:
    for color, (name, values) in zip(_LINES, panel["series"].items(), strict=False):
        axes.plot(curve["at"], values, marker="o", markersize=4, color=color, label=name or None)
    axes.set_xscale("log")
    axes.set_xticks(curve["at"], [f"{each:g}" for each in curve["at"]])
    axes.set_xlabel(curve["x"])
    axes.set_ylabel(panel["y"])
    if panel["log"]:
        ticks = _log_ticks([each for values in panel["series"].values() for each in values])
        axes.set_yscale("log")
        axes.set_ylim(ticks[0], ticks[-1])
        axes.set_yticks(ticks, [f"{each:g}" for each in ticks])
    else:
        axes.set_ylim(0, 1.05 * max(each for values in panel["series"].values() for each in values))
    axes.minorticks_off()
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if len(panel["series"]) > 1:
        axes.legend(frameon=False, fontsize=9)


def _log_ticks(values: list[float]) -> list[float]:
    """1, 2, 5, 10 ... around the values, at least four of them, so that what is flat looks flat."""
    steps = [
        digit * 10.0**power
        for power in range(
            math.floor(math.log10(min(values))) - 1, 2 + math.ceil(math.log10(max(values)))
        )
        for digit in (1, 2, 5)
    ]
    first = max(number for number, each in enumerate(steps) if each <= 0.95 * min(values))
    last = min(number for number, each in enumerate(steps) if each >= 1.05 * max(values))
    while last - first < 3:
        first, last = first - 1, last + 1
    return steps[first : last + 1]


def waits(results: dict[str, Any], file: Path) -> None:
    """Simulated waits against the load, and the measured ones as points."""
    told = results["waits"]
    figure, axes = _axes(
        "One server on one core: lines simulated, points measured",
        "offered, % of the peak",
        "ms to an answer",
    )
    for color, name in zip(_LINES, ("p50", "p99"), strict=False):
        axes.plot([100 * each for each in told["at"]], told[name], color=color, label=name)
        points = [(100 * each["at"], each[name]) for each in told["measured"]]
        axes.plot(*zip(*points, strict=True), "o", color=color)
    axes.set_yscale("log")
    axes.set_yticks([5, 10, 20, 50, 100, 200, 500], ["5", "10", "20", "50", "100", "200", "500"])
    axes.minorticks_off()
    axes.legend(frameon=False)
    _save(figure, file)


def _share(row: dict[str, Any]) -> float:
    return float(row["layouts"]["pinned"]["closed"]["8"]["of_limit"])


def _bars(bars: list[tuple[str, float, bool]], *, title: str, file: Path) -> None:
    if not bars:
        return
    bars = sorted(bars, key=lambda bar: bar[1])
    figure = Figure(figsize=(8.5, 0.8 + 0.3 * len(bars)), layout="constrained")
    axes = figure.add_subplot()
    names, values, own = zip(*bars, strict=True)
    drawn = axes.barh(names, values, color=[_OWN if each else _OTHER for each in own])
    axes.bar_label(drawn, fmt="%.2f", padding=3)
    axes.axvline(1, color="black", linestyle="--", linewidth=1)
    axes.set_xlim(0, max(1.12, 1.1 * max(values)))
    axes.set_title(title, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, file)


def _offered(rows: list[dict[str, Any]], file: Path) -> None:
    figure, axes = _axes(
        "Open loop: answers as a share of what the server can", "offered, % of capacity", ""
    )
    for color, row in zip(_LINES, rows, strict=False):
        offered = [float(share.rstrip("%")) for share in row["open"]]
        shares = [load["rate"] / row["capacity"] for load in row["open"].values()]
        axes.plot(offered, shares, marker="o", color=color, label=row["name"])
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    _save(figure, file)


def _axes(title: str, x: str, y: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Draw what the file holds."""
    mpl.rcParams["svg.hashsalt"] = "tintype"  # the same results make the same file
    mpl.rcParams["svg.fonttype"] = "none"
    file = Path(sys.argv[1])
    results = json.loads(file.read_text())
    if "waits" in results:
        waits(results, Path(sys.argv[2]))
    else:
        (growth if "curves" in results else serving)(results, file)


if __name__ == "__main__":
    main()
