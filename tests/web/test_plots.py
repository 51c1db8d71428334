"""Plots as geometry: what is higher is drawn higher, and axes end at round numbers."""

from __future__ import annotations

import pytest

from tintype.web.plots import (
    Column,
    Estimate,
    Level,
    columns,
    estimates,
    reliability,
)


def level(value: float, part: float = 0.0) -> Level:
    return Level(name=f"{value}", value=value, part=part, title=f"{value} things")


@pytest.mark.parametrize(
    ("largest", "top"), [(119, "120"), (0, "1"), (7, "8"), (0.3, "0.3"), (1000, "1000"), (41, "60")]
)
def test_an_axis_ends_at_a_round_number(largest: float, top: str):
    """Just above the largest value."""
    assert top == columns([level(largest)], words="").y_ticks[-1].text


def test_columns_are_as_high_as_their_values():
    """In proportion, all standing on the axis."""
    one, two = columns([level(5), level(10)], words="").bars
    assert one.height * 2 == pytest.approx(two.height)
    assert one.y + one.height == pytest.approx(two.y + two.height)
    assert "5 things" == one.title


def test_a_part_stands_at_the_foot_of_its_column():
    """Both together are the value."""
    upper, foot = columns([level(10, part=4)], words="").bars
    assert upper.y + upper.height == pytest.approx(foot.y)
    assert upper.height / foot.height == pytest.approx(6 / 4)
    assert "bar part" == foot.kind


def test_nothing_is_drawn_of_nothing():
    """No column, yet an axis."""
    plot = columns([], words="none")
    assert ((), 3) == (plot.bars, len(plot.y_ticks))


def test_many_columns_have_few_names():
    """Names do not run into each other."""
    plot = columns([level(number) for number in range(30)], words="")
    assert len(plot.x_ticks) <= 6


def test_estimates_have_their_interval_and_a_shared_line():
    """The axis begins at a tenth below the lowest end."""
    plot = estimates(
        [
            Estimate(name="a", value=0.8, low=0.72, high=0.9, title="first"),
            Estimate(name="b", value=0.9, low=0.85, high=0.95, title="second"),
        ],
        words="",
    )
    first, second = plot.dots
    assert first.low > first.y > first.high
    assert second.y < first.y
    assert ["70 %", "85 %", "100 %"] == [tick.text for tick in plot.y_ticks]
    assert (("line", f"{first.x},{first.y} {second.x},{second.y}"),) == plot.lines


def test_the_ideal_of_reliability_is_the_diagonal():
    """A bin that is as good as its score touches it."""
    plot = reliability([Column(low=0.4, high=0.6, height=0.5, ideal=0.5, title="")], words="")
    (kind, diagonal), (_, mean) = plot.lines
    (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in diagonal.split())
    assert "ideal" == kind
    bar = plot.bars[0]
    middle = bar.x + bar.width / 2
    assert y1 + (y2 - y1) * (middle - x1) / (x2 - x1) == pytest.approx(bar.y)
    assert bar.y == float(mean.split()[0].split(",")[1])
