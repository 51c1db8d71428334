"""The results as JSON, as a page of tables, and as plots."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
_METHOD = (
    "Made by `make bench` (`bench/serving/run.py`). The limit is the same engine and decoder in a "
    "bare loop in one process, without HTTP, measured before and after each load; only ratios "
    "count."
)
_BAR, _GAP, _LEFT, _WIDE = 22, 8, 250, 420


def line(row: Row) -> str:
    """A row in one line, for the one who waits."""
    if "failed" in row:
        return f"    failed: {row['failed'].splitlines()[0]}"
    shares = ", ".join(
        f"{count}: {each['of_limit']:.2f} of the limit" for count, each in row["closed"].items()
    )
    return f"    {shares}; first answer {row['first_answer']:.1f} s, {row['resident_mib']:.0f} MiB"


def write(results: dict[str, Any], *, folder: Path, name: str) -> None:
    """``name``.json, .md and .svg in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / f"{name}.md").write_text(page(results, plot=f"{name}.svg"))
    (folder / f"{name}.svg").write_text(bars(results["rows"]))


def page(results: dict[str, Any], *, plot: str) -> str:
    """The page of tables."""
    rows = [row for row in results["rows"] if "failed" not in row]
    parts = [
        "# Speed beside the limit and beside peers",
        _METHOD,
        _told(results),
        f"![Pictures a second at 8 connections, as a share of the limit]({plot})",
        "## Peers, MobileNetV2, the small picture",
        *_table(_peers(rows)),
        "## Tintype, every model and picture",
        *_table(_own(rows)),
        *_open_part(rows),
        *_failures(results["rows"]),
    ]
    return "\n\n".join(parts) + "\n"


def _told(results: dict[str, Any]) -> str:
    facts = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    where = f"{facts['processor']}, {facts['cores']} cores, {facts['system']}"
    load = f"Load average at the start: {facts['load_average'][0]}"
    return (
        f"{where}, Python {facts['python']}, {versions}. {load}. {results['seconds']:g} s a load."
    )


def _peers(rows: Sequence[Row]) -> list[list[str]]:
    head = "server,engine,1: of limit,8: of limit,64: of limit,Tintype is faster by,p99/p50 at 8,"
    table = [(head + "CPU of limit at 8,first answer s,MiB").split(",")]
    same = [row for row in rows if (row["model"], row["picture"]) == ("mobilenetv2", "small")]
    own = next((_share(row, "8") for row in same if row["name"] == "Tintype"), None)
    for row in same:
        share = _share(row, "8")
        table.append(
            [
                row["name"],
                row["engine"],
                *(_number(_share(row, count)) for count in ("1", "8", "64")),
                _number(own / share if own and share else None, "x"),
                *_common(row),
            ]
        )
    return table


def _own(rows: Sequence[Row]) -> list[list[str]]:
    head = "model,picture,1: of limit,8: of limit,64: of limit,p99/p50 at 8,CPU of limit at 8,"
    table = [(head + "first answer s,MiB").split(",")]
    for row in rows:
        if row["name"] == "Tintype":
            shares = [_number(_share(row, count)) for count in ("1", "8", "64")]
            table.append([row["model"], row["picture"], *shares, *_common(row)])
    return table


def _common(row: Row) -> list[str]:
    eight = row["closed"].get("8")
    return [
        _number(eight["p99"] / eight["p50"] if eight else None),
        _number(eight["cpu_ms"] / eight["limit_cpu_ms"] if eight else None),
        f"{row['first_answer']:.1f}",
        f"{row['resident_mib']:.0f}",
    ]


def _open_part(rows: Sequence[Row]) -> list[str]:
    table = [["server", "offered", "answered of offered", "p50 ms", "p99 ms", "refused"]]
    for row in rows:
        most = max(each["rate"] for each in row["closed"].values())
        for share, load in row["open"].items():
            offered = most * float(share.rstrip("%")) / 100
            table.append(
                [
                    row["name"],
                    share,
                    _number(load["rate"] / offered),
                    f"{load['p50']:.0f}",
                    f"{load['p99']:.0f}",
                    str(sum(load["statuses"].values()) - load["answered"]),
                ]
            )
    return ["## Offered more or less than it can", *_table(table)] if len(table) > 1 else []


def _failures(rows: Sequence[Row]) -> list[str]:
    failed = [row for row in rows if "failed" in row]
    words = [f"- {row['name']}: {row['failed'].splitlines()[-1][:200]}" for row in failed]
    return ["## Not measured", "\n".join(words)] if words else []


def _share(row: Row, connections: str) -> float | None:
    return row["closed"][connections]["of_limit"] if connections in row["closed"] else None


def _number(value: float | None, unit: str = "") -> str:
    return "" if value is None else f"{value:.2f}{unit}"


def _table(rows: list[list[str]]) -> list[str]:
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    rule = f"| {' | '.join('---' for _ in rows[0])} |"
    return ["\n".join([head, rule, *rest])]


def bars(rows: Sequence[Row]) -> str:
    """Pictures a second at 8 connections as a share of the limit: a bar a server and model."""
    known = [row for row in rows if "failed" not in row and "8" in row["closed"]]
    height = len(known) * (_BAR + _GAP) + 30
    size = f'width="{_LEFT + _WIDE + 60}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for number, row in enumerate(known):
        share, top = _share(row, "8") or 0.0, number * (_BAR + _GAP) + 8
        where = row["model"] if row["picture"] == "small" else f"{row['model']}, {row['picture']}"
        title = html.escape(f"{row['name']} ({where})" if row["name"] == "Tintype" else row["name"])
        wide = round(min(1.0, share) * _WIDE)
        fill = "#a4501e" if row["name"] == "Tintype" else "#9a9a9a"
        parts += [
            f'<text x="{_LEFT - 8}" y="{top + 16}" text-anchor="end">{title}</text>',
            f'<rect x="{_LEFT}" y="{top}" width="{wide}" height="{_BAR}" fill="{fill}"/>',
            f'<text x="{_LEFT + wide + 6}" y="{top + 16}">{share:.2f}</text>',
        ]
    limit = _LEFT + _WIDE
    parts.append(f'<path d="M{limit} 0V{height - 22}" stroke="#000" stroke-dasharray="4 3"/>')
    parts.append(f'<text x="{limit}" y="{height - 8}" text-anchor="middle">the limit</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
