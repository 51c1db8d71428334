"""The road of pixels from an input to the first operation that learns.

Followed as long as there is one road: casts, changes of shape, a resize, and arithmetic with
constants, which composes to ``x * scale + offset`` a channel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from tintype.modelfiles.tensorflow.constants import PASSING
from tintype.modelfiles.tensorflow.flow import FlatNode, Ref, Use
from tintype.modelfiles.tensorflow.reading import Reading

Vector = npt.NDArray[np.float64]

_SHAPING = {"ExpandDims", "Reshape", "Squeeze", "Transpose", "Pad", "PadV2", "MirrorPad"}
_RESIZES = {
    "ResizeBilinear": "bilinear",
    "ResizeNearestNeighbor": "nearest",
    "ResizeBicubic": "bicubic",
    "ResizeArea": "area",
}
_MAX_STEPS = 200


@dataclass(frozen=True, slots=True)
class Resized:
    """A resize to constant sides. ``kind`` as in ``InGraphResize``."""

    height: int
    width: int
    kind: str
    where: str


@dataclass(frozen=True, slots=True)
class Pixels:
    """The road so far. ``at``: the tensor reached; ``rank``: its rank, None if not known.

    ``scale`` and ``offset`` are in the channel order of the start; ``reversed``: the channels now
    come the other way round. ``by``: the operations that did the arithmetic.
    """

    at: Ref
    rank: int | None
    scale: Vector
    offset: Vector
    dtype: str = "float32"
    reversed: bool = False
    by: tuple[str, ...] = ()
    resized: Resized | None = None

    @property
    def moved(self) -> bool:
        """Whether arithmetic changed the values."""
        return bool(self.by)


@dataclass(frozen=True, slots=True)
class Road:
    """All places on the road, and who takes the last of them."""

    places: list[Pixels] = field(default_factory=list)
    ends: list[Use] = field(default_factory=list)

    @property
    def last(self) -> Pixels:
        """The end of the road."""
        return self.places[-1]


def follow(
    reading: Reading, start: Ref, *, rank: int | None, channels: int, dtype: str = "float32"
) -> Road:
    """The road that begins at ``start``, whose last axis has ``channels``."""
    start = reading.flow.resolve(start)
    place = Pixels(start, rank, np.ones(channels), np.zeros(channels), dtype)
    road = Road([place])
    for _ in range(_MAX_STEPS):
        uses = reading.data_uses(place.at)
        following = _step(reading, place, uses[0]) if len(uses) == 1 else None
        if following is None:
            road.ends.extend(uses)
            break
        place = following
        road.places.append(place)
    return road


def _step(reading: Reading, place: Pixels, use: Use) -> Pixels | None:
    """The place behind one operation; None where the road ends."""
    node, index = use
    moved = _moved(reading, place, node) if index == 0 else None
    if moved is not None:
        return moved
    changed = _arithmetic(reading, node, index, place)
    if changed is None:
        return None
    scale, offset = changed
    at = (node.name, 0)
    return replace(place, at=at, scale=scale, offset=offset, by=(*place.by, node.name))


def _moved(reading: Reading, place: Pixels, node: FlatNode) -> Pixels | None:
    """The place behind an operation that leaves values as they are, or resizes."""
    at = (node.name, 0)
    following: Pixels | None = None
    if node.op in PASSING:
        following = replace(place, at=at)
    elif node.op == "Cast":
        to = node.node.dtype("DstT") or ""
        following = replace(place, at=at, dtype=to) if to.startswith("float") else None
    elif node.op in _SHAPING:
        shape = reading.shape(at)
        rank = len(shape) if shape is not None else None
        if node.op == "ExpandDims" and rank is None and place.rank is not None:
            rank = place.rank + 1
        following = replace(place, at=at, rank=rank)
    elif node.op in _RESIZES and place.resized is None:
        following = _resized(reading, place, node)
    elif node.op == "StridedSlice" and _adds_batch_axis(reading, node):
        following = replace(place, at=at, rank=None if place.rank is None else place.rank + 1)
    elif node.op in {"ReverseV2", "StridedSlice"} and _turns_channels(reading, node):
        following = replace(place, at=at, reversed=not place.reversed)
    return following


def _resized(reading: Reading, place: Pixels, node: FlatNode) -> Pixels | None:
    size = reading.constants.value(node.inputs[1]) if len(node.inputs) > 1 else None
    if size is None or size.size != 2 or size.dtype.kind not in "iu":
        return None
    height, width = (int(side) for side in size.ravel())
    if height < 1 or width < 1:
        return None
    if node.node.flag("align_corners"):
        era = "align-corners"
    else:
        era = "tf2" if node.node.flag("half_pixel_centers") else "tf1"
    resized = Resized(height, width, f"{era} {_RESIZES[node.op]}", node.name)
    dtype = place.dtype if node.op == "ResizeNearestNeighbor" else "float32"
    return replace(place, at=(node.name, 0), resized=resized, dtype=dtype)


def _adds_batch_axis(reading: Reading, node: FlatNode) -> bool:
    """Whether a slice is ``x[None]``, ``x[None, ...]`` or ``x[None, :, :, :]``."""
    steps = reading.constants.value(node.inputs[3]) if len(node.inputs) == 4 else None
    if steps is None or steps.size > 5 or any(int(step) != 1 for step in steps.ravel()):
        return False
    mask = {
        name: node.node.number(f"{name}_mask") or 0
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    whole = mask["ellipsis"] | (mask["begin"] & mask["end"]) | 1
    return mask["new_axis"] == 1 and mask["shrink_axis"] == 0 and whole == 2**steps.size - 1


def _turns_channels(reading: Reading, node: FlatNode) -> bool:
    """Whether the operation reverses the last axis and does nothing else."""
    rank = len(reading.shape(node.inputs[0]) or ()) or 4
    numbers = [reading.constants.value(ref) for ref in node.inputs[1:]]
    if node.op == "ReverseV2":
        axes = numbers[0]
        return axes is not None and [int(axis) % rank for axis in axes.ravel()] == [rank - 1]
    if len(numbers) != 3 or numbers[2] is None:
        return False
    steps = [int(step) for step in numbers[2].ravel()]
    return steps[-1:] == [-1] and all(step == 1 for step in steps[:-1])


def _arithmetic(
    reading: Reading, node: FlatNode, index: int, place: Pixels
) -> tuple[Vector, Vector] | None:
    """Scale and offset behind one operation with constants; None for any other operation."""
    scale, offset = place.scale, place.offset
    if node.op.startswith("FusedBatchNorm") and index == 0:
        return _normalised(reading, node, place)
    rule = _RULES.get((node.op, index))
    if rule is None or len(node.inputs) != 2:
        return None
    other = _per_channel(reading, node.inputs[1 - index], place)
    if other is None:
        return None
    with np.errstate(all="ignore"):
        scale, offset = rule(scale, offset, other)
    return (scale, offset) if np.all(np.isfinite(scale) & np.isfinite(offset)) else None


Rule = Callable[[Vector, Vector, Vector], tuple[Vector, Vector]]
_RULES: dict[tuple[str, int], Rule] = {
    **{(op, side): lambda s, o, c: (s, o + c) for op in ("Add", "AddV2") for side in (0, 1)},
    ("BiasAdd", 0): lambda s, o, c: (s, o + c),
    ("Sub", 0): lambda s, o, c: (s, o - c),
    ("Sub", 1): lambda s, o, c: (-s, c - o),
    ("Mul", 0): lambda s, o, c: (s * c, o * c),
    ("Mul", 1): lambda s, o, c: (s * c, o * c),
    ("RealDiv", 0): lambda s, o, c: (s / c, o / c),
    ("Div", 0): lambda s, o, c: (s / c, o / c),
}


def _normalised(reading: Reading, node: FlatNode, place: Pixels) -> tuple[Vector, Vector] | None:
    """A batch normalisation straight on pixels is arithmetic too."""
    if node.node.flag("is_training") is not False or len(node.inputs) != 5:
        return None
    values = [_per_channel(reading, ref, place) for ref in node.inputs[1:]]
    gamma, beta, mean, variance = values
    if gamma is None or beta is None or mean is None or variance is None:
        return None
    factor = gamma / np.sqrt(np.maximum(variance, 0) + (node.node.real("epsilon") or 1e-4))
    return place.scale * factor, (place.offset - mean) * factor + beta


def _per_channel(reading: Reading, ref: Ref, place: Pixels) -> Vector | None:
    """A constant as one number a channel, in the channel order of the start."""
    value = reading.constants.value(ref)
    channels = len(place.scale)
    if value is None or value.dtype.kind not in "fiu" or value.size not in {1, channels}:
        return None
    vector = np.broadcast_to(value.ravel().astype(np.float64), (channels,))
    return vector[::-1] if place.reversed else vector
