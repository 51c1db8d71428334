"""The usual ways to turn levels 0..255 into a network's numbers, as values to be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np

from tintype.models.recipes.patch_statistics import Float64Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """``x * factor + offset`` on channels in the order the network takes them.

    ``factor`` and ``offset`` have one number, or one a channel. ``weight`` says how common the
    scale is. ``values`` is what a recipe's ``values`` table says for it.
    """

    name: str
    factor: tuple[float, ...]
    offset: tuple[float, ...]
    bgr: bool = False
    weight: float = 1.0
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The name, with the channel order where it is BGR."""
        return self.name if not self.bgr or self.name.endswith("BGR") else f"{self.name} on BGR"

    def affine(self, channels: int) -> tuple[Float64Array, Float64Array]:
        """Factor and offset, one number a channel each."""
        factor = np.broadcast_to(np.asarray(self.factor, np.float64), channels)
        offset = np.broadcast_to(np.asarray(self.offset, np.float64), channels)
        return factor, offset

    def fits(self, channels: int) -> bool:
        """Whether the scale makes sense for pictures of so many channels."""
        return channels == 3 or (len(self.factor) == len(self.offset) == 1 and not self.bgr)


_TORCH_MEAN: Final = np.array([0.485, 0.456, 0.406])
_TORCH_STD: Final = np.array([0.229, 0.224, 0.225])
_CAFFE: Final = (103.939, 116.779, 123.68)


def _scale(name: str, factor: float, offset: float, weight: float, **values: object) -> Scale:
    return Scale(
        name=name,
        factor=(factor,),
        offset=(offset,),
        weight=weight,
        values=MappingProxyType(values),
    )


def _swapped(scale: Scale, weight: float) -> Scale:
    """The same numbers on BGR pictures."""
    return Scale(
        name=f"{scale.name} on BGR",
        factor=scale.factor,
        offset=scale.offset,
        bgr=True,
        weight=weight,
        values=MappingProxyType({**scale.values, "order": "BGR"}),
    )


PLUS_MINUS_ONE: Final = _scale("x/127.5-1", 1 / 127.5, -1.0, 29, op="x/127.5-1")
UNIT: Final = _scale("x/255", 1 / 255, 0.0, 19, op="x/255")
HALF: Final = _scale("x/255-0.5", 1 / 255, -0.5, 1.5, op="mean-std", mean=[127.5], std=[255.0])
RAW: Final = _scale("0..255", 1.0, 0.0, 8, op="none")
TORCH: Final = Scale(
    name="ImageNet mean and std",
    factor=tuple(1 / (255 * _TORCH_STD)),
    offset=tuple(-_TORCH_MEAN / _TORCH_STD),
    weight=4,
    values=MappingProxyType({"op": "torch"}),
)
CAFFE: Final = Scale(
    name="minus ImageNet means",
    factor=(1.0,),
    offset=tuple(-value for value in _CAFFE),
    bgr=True,
    weight=3,
    values=MappingProxyType({"op": "caffe"}),
)
CAFFE_RGB: Final = Scale(
    name="minus ImageNet means on RGB",
    factor=(1.0,),
    offset=tuple(-value for value in reversed(_CAFFE)),
    weight=1,
    values=MappingProxyType({"op": "mean-std", "mean": [*reversed(_CAFFE)], "std": [1.0]}),
)

SCALES: Final = (
    PLUS_MINUS_ONE,
    UNIT,
    RAW,
    TORCH,
    CAFFE,
    HALF,
    CAFFE_RGB,
    _swapped(PLUS_MINUS_ONE, 2),
    _swapped(UNIT, 2),
    _swapped(RAW, 2),
)
"""Commonest first. Weights follow a count over published models (±1 29, 0..1 19, levels as they
are 5 and more, BGR 5 of 45); x/127-1 and x/128-1 are within 1 % of x/127.5-1 and not told apart."""


def base_name(name: str) -> str:
    """The scale's name without a channel order."""
    return name.removesuffix(" on BGR").removesuffix(" on RGB")


def same_scale(factor: Float64Array, offset: Float64Array, *, bgr: bool = False) -> Scale | None:
    """The usual scale that does the same within 3 %, if any.

    ``factor`` and ``offset``: one number a channel, in BGR order if ``bgr``.
    """
    with np.errstate(all="ignore"):  # a stranger's numbers may be anything
        scale, deviation = _nearest(factor, offset, bgr=bgr)
    return scale if deviation <= _TOLERANCE else None


def fed_to_graph(factor: Float64Array, offset: Float64Array) -> Scale:
    """What a graph expects that does ``x * factor + offset`` (a number a channel) itself.

    Arithmetic in a graph does not tell by itself whether levels go in: ``x / 127.5 - 1`` takes
    them, ``x * 2 - 1`` (TF-Hub's modules) takes 0..1. Looked for is what makes a usual scale of
    the two together; else what keeps the result small; else levels.
    """
    with np.errstate(all="ignore"):  # a stranger's numbers may be anything
        return _fed_to_graph(factor, offset)


def _fed_to_graph(factor: Float64Array, offset: Float64Array) -> Scale:
    ways = (RAW, UNIT, PLUS_MINUS_ONE)
    affines = [way.affine(len(factor)) for way in ways]
    joined = [(factor * own, factor * start + offset) for own, start in affines]
    deviations = [min(_nearest(*pair, bgr=bgr)[1] for bgr in (False, True)) for pair in joined]
    if min(deviations) <= _TOLERANCE:
        return ways[int(np.argmin(deviations))]
    for low, high in ((-6.0, 6.0), (-200.0, 300.0)):
        for way, pair in zip(ways, joined, strict=True):
            ends = _ends(*pair)
            if low <= ends.min() and ends.max() <= high:
                return way
    return RAW


def _nearest(
    factor: Float64Array, offset: Float64Array, *, bgr: bool
) -> tuple[Scale | None, float]:
    """The usual scale nearest to an affine, and how far off it is as a part of its range."""
    best, least = None, np.inf
    for scale in SCALES:
        if scale.bgr == bgr and scale.fits(len(factor)):
            own = _ends(*scale.affine(len(factor)))
            off = np.abs(own - _ends(factor, offset)).max() / np.abs(own[1] - own[0]).max()
            if off < least:
                best, least = scale, float(off)
    return best, least


def _ends(factor: Float64Array, offset: Float64Array) -> Float64Array:
    """What levels 0 and 255 become."""
    return np.stack([offset, 255 * factor + offset])


_TOLERANCE: Final = 0.03

BY_NAME: Final = MappingProxyType({scale.name: scale for scale in SCALES})
