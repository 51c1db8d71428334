"""What Tintype has to reach, held against the results of a run.

Servers, and loads of one server, are compared through their shares of the bare loop around each:
a machine that grows slower in half an hour then harms nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from contenders import FASTAPI_SIGNATURE, FLASK_PREDICT, OPENVINO, TINTYPE, TINTYPE_EACH

Row = dict[str, Any]
Rows = dict[tuple[str, str, str], Row]
Value = float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One target: ``most`` or ``least`` is the bound, ``value`` finds the figure in the rows."""

    words: str
    value: Callable[[Rows], Value]
    least: float | None = None
    most: float | None = None
    beside: Callable[[Rows], Value] | None = None
    """The same figure taken another way: for the same CPU time, or on all cores."""

    def reached(self, rows: Rows) -> bool | None:
        """None where it was not measured."""
        value = self.value(rows)
        if value is None:
            return None
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )


def by_key(rows: list[Row]) -> Rows:
    """Rows that were measured, by server, model and picture."""
    return {(row["name"], row["model"], row["picture"]): row for row in rows if "failed" not in row}


def figure(row: Row | None, layout: str, connections: str, name: str) -> Value:
    """One figure of one load, None where it was not measured."""
    if row is None:
        return None
    load = row["layouts"].get(layout, {}).get("closed", {}).get(connections)
    return None if load is None else load[name]


def _own(rows: Rows, model: str, picture: str = "small") -> Row | None:
    return rows.get((TINTYPE.name, model, picture))


def _ratio(above: Value, below: Value) -> Value:
    return above / below if above is not None and below else None


def _of_limit(model: str, name: str) -> Callable[[Rows], Value]:
    return lambda rows: figure(_own(rows, model), "pinned", "8", name)


def _times(peer: str, layout: str) -> Callable[[Rows], Value]:
    def value(rows: Rows) -> Value:
        ours = figure(_own(rows, "mobilenetv2"), layout, "8", "of_limit")
        theirs = figure(rows.get((peer, "mobilenetv2", "small")), layout, "8", "of_limit")
        return _ratio(ours, theirs)

    return value


def _times_best_peer(layout: str, own: str = TINTYPE.name) -> Callable[[Rows], Value]:
    def value(rows: Rows) -> Value:
        shares = (
            figure(row, layout, "8", "of_limit")
            for (name, model, picture), row in rows.items()
            if (model, picture) == ("mobilenetv2", "small")
            and name not in {TINTYPE.name, TINTYPE_EACH.name}
            and row["engine"] == OPENVINO
        )
        best = max((share for share in shares if share is not None), default=None)
        ours = rows.get((own, "mobilenetv2", "small"))
        return _ratio(figure(ours, layout, "8", "of_limit"), best)

    return value


def _tail(layout: str) -> Callable[[Rows], Value]:
    def value(rows: Rows) -> Value:
        row = _own(rows, "mobilenetv2")
        return _ratio(figure(row, layout, "8", "p99"), figure(row, layout, "8", "p50"))

    return value


def _crowd(layout: str) -> Callable[[Rows], Value]:
    def value(rows: Rows) -> Value:
        row = _own(rows, "mobilenetv2")
        shares = [figure(row, layout, count, "of_limit") for count in ("1", "8", "64")]
        return _ratio(shares[2], max((each for each in shares if each is not None), default=None))

    return value


def _start(rows: Rows, name: str = "warm_start") -> Value:
    row = _own(rows, "mobilenetv2")
    return None if row is None else row.get(name)


def _memory(name: str) -> Callable[[Rows], Value]:
    """MB of 10^6 bytes, on all cores where that was measured."""

    def value(rows: Rows) -> Value:
        row = _own(rows, "mobilenetv2")
        layouts = {} if row is None else row["layouts"]
        mib = layouts.get("shared", layouts.get("pinned", {})).get(name)
        return None if mib is None else mib * 1.048576

    return value


def _large(name: str) -> Callable[[Rows], Value]:
    def value(rows: Rows) -> Value:
        row = _own(rows, "mobilenetv2", "large")
        if row is None or "decode" not in row:
            return None
        decode = {"p50": 1000 / row["decode"]["rate"], "cpu_ms": row["decode"]["cpu_ms"]}[name]
        return _ratio(figure(row, "pinned", "1", name), decode)

    return value


TARGETS: Final = (
    *(
        Target(
            words=f"{model}: share of the limit at 8 connections",
            least=least,
            value=_of_limit(model, "of_limit"),
            beside=_of_limit(model, "cpu_of_limit"),
        )
        for model, least in (
            ("mobilenetv2", 0.95),
            ("efficientnetb0", 0.95),
            ("resnet50", 0.95),
            ("teachable-machine", 0.85),
            ("colours", 0.6),
        )
    ),
    Target(
        words="times Flask + `model.predict`",
        least=20,
        value=_times(FLASK_PREDICT, "pinned"),
        beside=_times(FLASK_PREDICT, "shared"),
    ),
    Target(
        words="times FastAPI + SavedModel signature",
        least=2.5,
        value=_times(FASTAPI_SIGNATURE, "pinned"),
        beside=_times(FASTAPI_SIGNATURE, "shared"),
    ),
    Target(
        words="times the best peer with the same engine",
        least=1.25,
        value=_times_best_peer("pinned"),
        beside=_times_best_peer("shared"),
    ),
    Target(
        words="the same on all cores, with a process for each",
        least=1.25,
        value=_times_best_peer("shared", TINTYPE_EACH.name),
    ),
    Target(
        words="p99 over p50 at 8 connections",
        most=1.5,
        value=_tail("pinned"),
        beside=_tail("shared"),
    ),
    Target(
        words="throughput at 64 connections over the best",
        least=0.97,
        value=_crowd("pinned"),
        beside=_crowd("shared"),
    ),
    Target(
        words="seconds from start to first answer, MobileNetV2 `.keras`",
        most=1.0,
        value=_start,
        beside=lambda rows: _start(rows, "cold_start"),
    ),
    Target(
        words="MB of memory at the first answer, MobileNetV2 `.keras`",
        most=200,
        value=_memory("first_mib"),
        beside=_memory("resident_mib"),
    ),
    Target(
        words="a 12-megapixel photo over its decode alone",
        most=1.1,
        value=_large("p50"),
        beside=_large("cpu_ms"),
    ),
)
"""``beside``: for shares of the limit and for the large photo the same for CPU time, for the start
the cold one, for memory that after all loads, for all others the same on all cores."""
