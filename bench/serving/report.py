"""The results as JSON and as a page of tables; ``plots.py`` draws them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from environments import programs
from targets import TARGETS, by_key, figure

Row = dict[str, Any]
Table = list[list[str]]
MATPLOTLIB: Final = ("matplotlib==3.11.2",)
_METHOD: Final = (
    "Made by `make bench` (`bench/serving/run.py`); how is told in "
    "[bench/README.md](../../README.md#serving). The limit is the same engine and decoder in a "
    "bare loop in one process, without HTTP, measured around each load; only ratios count. "
    "`pinned`: server and bare loop on one core, the load generator on another. `shared`: all on "
    "all cores. `for CPU`: the share of the limit for the same processor time."
)


def line(row: Row) -> str:
    """A row in one line, for the one who waits."""
    if "failed" in row:
        return f"    failed: {row['failed'].strip().splitlines()[0]}"
    if "open" in row:
        parts = (f"{share}: p99 {load['p99']:.0f} ms" for share, load in row["open"].items())
        return "    " + ", ".join(parts)
    parts = (
        f"{layout} {count}: {load['of_limit']:.2f} ({load['cpu_of_limit']:.2f} for CPU)"
        for layout, part in row["layouts"].items()
        for count, load in part["closed"].items()
    )
    start = row.get("warm_start")
    return "    " + ", ".join(parts) + (f"; first answer {start:.1f} s" if start else "")


def save(results: dict[str, Any], *, folder: Path, name: str) -> None:
    """The JSON; a reader never sees half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    part = file.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1) + "\n")
    part.replace(file)


def write(results: dict[str, Any], *, folder: Path, name: str) -> None:
    """JSON, page and plots. Without plots where they cannot be drawn, which is told."""
    save(results, folder=folder, name=name)
    draw(folder / f"{name}.json")
    plots = sorted(each.name for each in folder.glob(f"{name}-*.svg"))
    (folder / f"{name}.md").write_text(page(results, plots=plots))


def draw(file: Path) -> None:
    """The plots of a file of results beside it, by matplotlib in an environment of its own."""
    try:
        python = programs("plots", MATPLOTLIB) / "python"
        script = Path(__file__).with_name("plots.py")
        subprocess.run([python, script, file], check=True, timeout=120)
    except (RuntimeError, subprocess.SubprocessError) as error:
        print(f"no plots: {error}", file=sys.stderr)


def page(results: dict[str, Any], *, plots: Sequence[str]) -> str:
    """The page of tables."""
    rows = [row for row in results["rows"] if "failed" not in row]
    parts = [
        "# Speed beside the limit and beside peers",
        _METHOD,
        _told(results),
        "## Targets",
        table(_targets(rows)),
        "## Peers, MobileNetV2, the small picture",
        table(_peers(rows)),
        "## Tintype, every model and picture",
        table(_own(rows)),
        "## Offered less or more than it can",
        table(_offered(results["open"])),
        "\n".join(f"![{name}]({name})" for name in plots),
        *_failures(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(rows: Table) -> str:
    """In Markdown; says so where there is nothing below the head."""
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    rule = f"| {' | '.join('---' for _ in rows[0])} |"
    return "\n".join([head, rule, *rest]) if rest else "Not measured in this run."


def number(value: float | None, form: str = ".2f") -> str:
    """A figure, or nothing."""
    return "" if value is None else format(value, form)


def _told(results: dict[str, Any]) -> str:
    facts = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    kept = " Rows of runs before it were kept." if results.get("resumed") else ""
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['system']}, Python "
        f"{facts['python']}, {versions}. Load average at the start: {facts['load_average'][0]}. "
        f"{results['seconds']:g} s a load, {results['minutes']:g} minutes in all."
        f"{kept}"
    )


def _targets(rows: list[Row]) -> Table:
    known = by_key(rows)
    lines = [["target", "bound", "measured", "CPU, cold, later, or all cores", ""]]
    for each in TARGETS:
        bound = f"at least {each.least:g}" if each.least is not None else f"at most {each.most:g}"
        words = {True: "reached", False: "**not reached**", None: "not measured"}
        beside = each.beside(known) if each.beside else None
        value = number(each.value(known))
        lines.append([each.words, bound, value, number(beside), words[each.reached(known)]])
    return lines


_PEER_HEAD: Final = (
    "server,engine,of limit pinned 8,for CPU,shared 1,shared 8,shared 64,Tintype times pinned,"
    "shared,answers/s shared 8,p50 ms,p99 ms,CPU ms,MiB,first answer s,cold s"
)


def _peers(rows: list[Row]) -> Table:
    same = [row for row in rows if (row["model"], row["picture"]) == ("mobilenetv2", "small")]
    own = next((row for row in same if row["name"] == "Tintype"), None)
    same.sort(key=lambda row: -(figure(row, "shared", "8", "of_limit") or 0))
    lines = [_PEER_HEAD.split(",")]
    for row in same:
        times = [_times(own, row, layout) for layout in ("pinned", "shared")]
        lines.append(
            [
                row["name"].partition(" + ")[0],
                row["engine"],
                number(figure(row, "pinned", "8", "of_limit")),
                number(figure(row, "pinned", "8", "cpu_of_limit")),
                *(number(figure(row, "shared", each, "of_limit")) for each in ("1", "8", "64")),
                *(number(each) for each in times),
                *_absolute(row, "shared"),
                *_starts(row),
            ]
        )
    return lines


def _times(own: Row | None, row: Row, layout: str) -> float | None:
    ours, theirs = (figure(each, layout, "8", "of_limit") for each in (own, row))
    return ours / theirs if ours and theirs else None


def _absolute(row: Row, layout: str) -> list[str]:
    memory = row["layouts"].get(layout, {}).get("resident_mib")
    figures = (figure(row, layout, "8", name) for name in ("rate", "p50", "p99", "cpu_ms"))
    return [*(number(each, ".1f") for each in figures), number(memory, ".0f")]


def _starts(row: Row) -> list[str]:
    return [number(row.get("warm_start")), number(row.get("cold_start"))]


_OWN_HEAD: Final = (
    "model,picture,of limit pinned 1,8,64,for CPU 1,8,64,of limit shared 8,p99/p50 pinned 8,"
    "answers/s pinned 8,p50 ms,p99 ms,CPU ms,MiB,first answer s,cold s"
)


def _own(rows: list[Row]) -> Table:
    lines = [_OWN_HEAD.split(",")]
    for row in rows:
        if row["name"] == "Tintype":
            p50, p99 = (figure(row, "pinned", "8", name) for name in ("p50", "p99"))
            lines.append(
                [
                    row["model"],
                    row["picture"],
                    *(number(figure(row, "pinned", c, "of_limit")) for c in ("1", "8", "64")),
                    *(number(figure(row, "pinned", c, "cpu_of_limit")) for c in ("1", "8", "64")),
                    number(figure(row, "shared", "8", "of_limit")),
                    number(p99 / p50 if p50 and p99 else None),
                    *_absolute(row, "pinned"),
                    *_starts(row),
                ]
            )
    return lines


def _offered(rows: list[Row]) -> Table:
    head = "server,offered of capacity,offered/s,answered of offered,answered of capacity,p50 ms,"
    lines = [(head + "p99 ms,statuses,generator late ms (p99),generator cores").split(",")]
    for row in rows:
        for share, load in row.get("open", {}).items():
            statuses = ", ".join(f"{key}: {count}" for key, count in load["statuses"].items())
            lines.append(
                [
                    row["name"],
                    share,
                    number(load["offered"], ".0f"),
                    number(load["rate"] / load["offered"]),
                    number(load["rate"] / row["capacity"]),
                    number(load["p50"], ".0f"),
                    number(load["p99"], ".0f"),
                    statuses,
                    number(load["late_ms"], ".1f"),
                    number(load["cores"]),
                ]
            )
    return lines


def _failures(results: dict[str, Any]) -> list[str]:
    failed = [row for part in ("rows", "open") for row in results[part] if "failed" in row]
    words = [f"- {row['name']}, {row['model']}: {_gist(row['failed'])}" for row in failed]
    words += [f"- {title}: the time was over" for title in results["left_out"]]
    return ["## Not measured", "\n".join(words)] if words else []


def _gist(text: str) -> str:
    lines = [each.strip() for each in text.strip().splitlines() if each.strip()]
    return " … ".join(dict.fromkeys((lines[0][:200], lines[-1][:200])))
