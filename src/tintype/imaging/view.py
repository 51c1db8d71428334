"""The part of the picture that is looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tintype.errors import MalformedRequest
from tintype.imaging.steps import View
from tintype.types import Point, UInt8Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A rectangle of whole pixels of the upright picture."""

    left: int
    top: int
    width: int
    height: int


def part_seen(*, width: int, height: int, view: View, point: Point | None) -> Part:
    """Tell which part of a picture ``view`` takes around ``point``; without one, the centre.

    Raises:
        MalformedRequest: the point lies outside the picture.
    """
    if point is not None:
        _check(point, width=width, height=height)
    if view.kind == "whole":
        return Part(left=0, top=0, width=width, height=height)
    if view.kind == "fraction":
        wide, high = max(1, round(view.fraction * width)), max(1, round(view.fraction * height))
    else:
        wide, high = min(view.size, width), min(view.size, height)
    left = _start(width, wide, None if point is None else point.x)
    top = _start(height, high, None if point is None else point.y)
    return Part(left=left, top=top, width=wide, height=high)


def cut(pixels: UInt8Array, *, view: View, point: Point | None) -> UInt8Array:
    """Return the part of ``pixels`` (HxWxC, upright) that ``view`` takes, without a copy.

    Raises:
        MalformedRequest: the point lies outside the picture.
    """
    part = part_seen(width=pixels.shape[1], height=pixels.shape[0], view=view, point=point)
    return pixels[part.top : part.top + part.height, part.left : part.left + part.width]


def _start(side: int, length: int, place: float | None) -> int:
    """Where a stretch of ``length`` around ``place`` begins, moved inside 0..``side``."""
    if place is None:
        return (side - length) // 2
    return min(max(math.floor(place) - length // 2, 0), side - length)


def _check(point: Point, *, width: int, height: int) -> None:
    if not (0 <= point.x < width and 0 <= point.y < height):
        raise MalformedRequest(
            f"the point {point.x:g}, {point.y:g} lies outside the picture, whose width is {width} "
            f"and height {height} pixels",
            hint="x runs from 0 to below the width, y from 0 to below the height, as shown upright",
            width=width,
            height=height,
        )
