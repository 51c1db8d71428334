"""Plots as plain geometry, drawn as SVG by ``templates/_plots.html``. No library, no style inside.

A plot has its own units: ``WIDTH`` x ``HEIGHT``, with the origin at the top left, as in SVG.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 360.0
HEIGHT: Final = 200.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 8.0, 10.0, 26.0
_MOST_X_TICKS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A word on an axis, and where."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A rectangle with what it says when pointed at. ``kind`` is its class in the style sheet."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A value with the ends of its interval, ``high`` above ``low`` on the screen."""

    x: float
    y: float
    low: float
    high: float
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Everything that is drawn. ``words`` is the whole plot for who cannot see it.

    ``lines`` are polylines: pairs of class and points.
    """

    words: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_title: str = ""
    bars: tuple[Bar, ...] = ()
    dots: tuple[Dot, ...] = ()
    lines: tuple[tuple[str, str], ...] = ()
    width: float = WIDTH
    height: float = HEIGHT
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = HEIGHT - _BOTTOM


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One column: what it is called, its value, and what it says when pointed at."""

    name: str
    value: float
    title: str
    part: float = 0.0
    """The part of the value that is drawn in the other colour, at the foot of the column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A share 0..1 with its interval, named (a week, say)."""

    name: str
    value: float
    low: float
    high: float
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A bin of scores from ``low`` to ``high``: its ``height`` 0..1, and what that should be."""

    low: float
    high: float
    height: float
    ideal: float
    title: str


def columns(levels: Sequence[Level], *, words: str, unit: str = "", x_title: str = "") -> Plot:
    """Columns side by side, from 0 up."""
    top = _nice(max((level.value for level in levels), default=0.0))
    step = _across() / max(1, len(levels))
    bars: list[Bar] = []
    for number, level in enumerate(levels):
        x, width = _LEFT + step * (number + 0.1), step * 0.8
        pairs = (("bar", level.part, level.value), ("bar part", 0.0, level.part))
        bars += [
            Bar(
                x=round(x, 2),
                y=_y(high / top),
                width=round(width, 2),
                height=round(_y(low / top) - _y(high / top), 2),
                kind=kind,
                title=level.title,
            )
            for kind, low, high in pairs
            if high > low
        ]
    return Plot(
        words=words,
        x_title=x_title,
        x_ticks=_spread([level.name for level in levels], step),
        y_ticks=tuple(Tick(at=_y(part), text=_count(top * part) + unit) for part in (0, 0.5, 1)),
        bars=tuple(bars),
    )


def estimates(shares: Sequence[Estimate], *, words: str) -> Plot:
    """Shares in a row with their intervals, joined by a line. The axis begins where it must."""
    foot = int(min((each.low for each in shares), default=0.0) * 10) / 10
    step = _across() / max(1, len(shares))

    def height(value: float) -> float:
        return _y((value - foot) / (1 - foot) if foot < 1 else 1.0)

    dots = tuple(
        Dot(
            x=round(_LEFT + step * (number + 0.5), 2),
            y=height(each.value),
            low=height(each.low),
            high=height(each.high),
            title=each.title,
        )
        for number, each in enumerate(shares)
    )
    return Plot(
        words=words,
        x_ticks=_spread([each.name for each in shares], step),
        y_ticks=tuple(
            Tick(at=height(value), text=f"{value * 100:.0f} %")
            for value in (foot, (foot + 1) / 2, 1.0)
        ),
        dots=dots,
        lines=(("line", " ".join(f"{dot.x},{dot.y}" for dot in dots)),),
    )


def reliability(bins: Sequence[Column], *, words: str) -> Plot:
    """What was right beside what the score said; the diagonal is where they agree."""
    across = _across()
    return Plot(
        words=words,
        x_title="score",
        x_ticks=tuple(
            Tick(at=_LEFT + across * part, text=f"{part * 100:.0f} %") for part in (0, 0.5, 1)
        ),
        y_ticks=tuple(Tick(at=_y(part), text=f"{part * 100:.0f} %") for part in (0, 0.5, 1)),
        bars=tuple(
            Bar(
                x=round(_LEFT + across * each.low + 1, 2),
                y=_y(each.height),
                width=round(across * (each.high - each.low) - 2, 2),
                height=round(_y(0) - _y(each.height), 2),
                kind="bar",
                title=each.title,
            )
            for each in bins
        ),
        lines=(
            ("ideal", f"{_LEFT},{_y(0)} {_LEFT + across},{_y(1)}"),
            *(("mean", _level_line(each)) for each in bins),
        ),
    )


def _level_line(each: Column) -> str:
    """A short level line across a bin."""
    start, end, height = _LEFT + _across() * each.low, _LEFT + _across() * each.high, _y(each.ideal)
    return f"{start + 1:.2f},{height} {end - 1:.2f},{height}"


def _across() -> float:
    return WIDTH - _LEFT - _RIGHT


def _y(part: float) -> float:
    """Where a part 0..1 of the axis is."""
    return round(_TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - part), 2)


def _spread(names: Sequence[str], step: float) -> tuple[Tick, ...]:
    """Names below their columns, as many as have room."""
    every = -(-len(names) // _MOST_X_TICKS) or 1
    return tuple(
        Tick(at=round(_LEFT + step * (number + 0.5), 2), text=name)
        for number, name in enumerate(names)
        if number % every == 0
    )


def _nice(value: float) -> float:
    """Where an axis ends that holds ``value``: a round number."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(
        factor * power for factor in (1, 1.2, 1.6, 2, 3, 4, 6, 8, 10) if factor * power >= value
    )


def _count(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"
