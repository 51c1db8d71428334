"""Curves of growth: figures over one axis, their straight pieces, and both in words. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

import report

_MISS: Final = 0.1
"""Straight pieces are added until none of the points is missed by more than this share..."""
_MOST_BENDS: Final = 2
"""... or there are so many bends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Series in one unit, ``y``: a value for every place of the curve they belong to.

    ``log``: whether it is drawn on a logarithmic axis; shares of a whole are not.
    """

    y: str
    series: dict[str, list[float]]
    log: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What grows with ``x`` at the places ``at``, all above 0: a panel a unit."""

    name: str
    title: str
    x: str
    at: tuple[float, ...]
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """From ``begin`` on a value grows with that power of x: 0 not at all, 1 in proportion."""

    begin: float
    power: float


def pieces(at: Sequence[float], values: Sequence[float]) -> list[Piece]:
    """The fewest straight pieces, in logarithms, that come near enough to every point.

    They meet at measured places inside the curve, and are fitted to all points by least squares:
    what one load is off by makes no bend. All numbers must be above 0.
    """
    x, y = np.log(np.asarray(at, float)), np.log(np.asarray(values, float))
    inside = range(1, len(at) - 1)
    for bends in range(min(_MOST_BENDS, len(inside)) + 1):
        fits = [_fit(x, y, knots) for knots in itertools.combinations(inside, bends)]
        best = min(fits, key=lambda fit: fit.squares)
        if best.miss <= np.log1p(_MISS):
            break
    powers = np.cumsum(best.slopes)
    begins = (0, *best.knots)
    return [
        Piece(begin=at[place], power=round(float(power), 2) + 0.0)  # no -0
        for place, power in zip(begins, powers, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """A line broken at ``knots``; ``slopes`` are the first one and what each knot adds to it."""

    knots: tuple[int, ...]
    slopes: Any
    squares: float
    miss: float


def _fit(x: Any, y: Any, knots: tuple[int, ...]) -> _Fit:
    columns = [np.ones_like(x), x, *(np.maximum(0, x - x[knot]) for knot in knots)]
    matrix = np.stack(columns, axis=1)
    found = np.linalg.lstsq(matrix, y, rcond=None)[0]
    missed = np.abs(matrix @ found - y)
    return _Fit(
        knots=knots, slopes=found[1:], squares=float((missed**2).sum()), miss=float(missed.max())
    )


def words_of(curve: Curve) -> list[str]:
    """A sentence a series: how much it grows in all, by which power, and where it bends."""
    first, last = curve.at[0], curve.at[-1]
    return [
        f"- {name}: {values[-1] / values[0]:.2f} times from {first:g} to {last:g} {curve.x}; "
        f"{_powers(pieces(curve.at, values))}."
        for name, values in _series(curve)
    ]


def _powers(found: Sequence[Piece]) -> str:
    text = f"power {found[0].power:.2f}"
    for piece in found[1:]:
        text += f", bends at {piece.begin:g} to power {piece.power:.2f}"
    return text if len(found) > 1 else f"{text}, no bend"


def page(curves: Sequence[Curve], *, facts: dict[str, Any], seconds: float) -> str:
    """Tables, sentences and plots."""
    parts = [
        "# Growth",
        (
            "Made by `make bench-growth` (`bench/serving/growth.py`): server and load generator "
            f"on a core each, the best of three loads of {seconds:g} s (of {2 * seconds:g} s where "
            "connections grow). A power of 1 is growth in proportion, 0 is none; a bend is told "
            f"where one power for all misses a point by more than {_MISS:.0%}. Read the shapes; "
            f"times are of this machine: {facts['processor']}, "
            f"{facts['cores']} cores, load average {facts['load_average'][0]} before."
        ),
    ]
    for curve in curves:
        named = [*_series(curve)]
        rows = [[curve.x, *(name for name, _ in named)]]
        for number, place in enumerate(curve.at):
            rows.append([f"{place:g}", *(_figure(values[number]) for _, values in named)])
        parts += [f"## {curve.title}", report.table(rows), "\n".join(words_of(curve))]
        parts.append(f"![{curve.title}](growth-{curve.name}.svg)")
    return "\n\n".join(parts) + "\n"


def _figure(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _series(curve: Curve) -> Iterator[tuple[str, list[float]]]:
    """Every series under its name with its unit."""
    for panel in curve.panels:
        for name, values in panel.series.items():
            yield f"{name}, {panel.y}" if name else panel.y, values
