"""Adaptive pooling: windows chosen so that the output has a given size.

The window of output place i of m over n input places is [floor(i n / m), ceil((i + 1) n / m)): the
rule of PyTorch's ``AdaptiveAvgPool2d``, which Keras took over (``ops/nn.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.convolution import channels_of, picture, picture_shape

_MAX_WINDOWS = 1 << 22


def adaptive_pooling(op: str, axes: int) -> LayerKind:
    """Mean or maximum over windows that share a side evenly."""

    def emit(call: LayerCall) -> Value:
        value = picture(call, axes)
        targets = call.settings.sizes("output_size", axes)
        sizes: list[int] = []
        for length in value.stored_shape[2:]:
            if length is None:
                raise call.unsupported("a picture of any size")
            sizes.append(length)
        name = value.name
        for axis, (size, target) in enumerate(zip(sizes, targets, strict=True)):
            if target != size:
                name = _along(call, op, name, _Side(axis + 2, value.rank, size, target))
        shape = picture_shape(value, channels_of(call), targets)
        return call.result(name, shape, value.order)

    return LayerKind(emit)


@dataclass(frozen=True, slots=True)
class _Side:
    """One spatial axis: where it lies, how long it is, how long it is to be."""

    axis: int
    rank: int
    size: int
    target: int

    def windows(self) -> list[range]:
        """The input places of every output place."""
        return [
            range(place * self.size // self.target, -(-(place + 1) * self.size // self.target))
            for place in range(self.target)
        ]


def _along(call: LayerCall, op: str, name: str, side: _Side) -> str:
    """Every window along one axis made as long as the longest, then reduced."""
    if side.target > _MAX_WINDOWS:
        raise call.unsupported(f"{side.target} windows over {side.size} places")
    windows = side.windows()
    longest = max(len(window) for window in windows)
    if longest * side.target > _MAX_WINDOWS:
        raise call.unsupported(f"windows over {side.size} places")
    suffix = f"axis_{side.axis}"
    # A window that is too short repeats its last place: no matter for a maximum, none for a mean
    # that gives it the weight 0.
    places = [
        [window[min(number, len(window) - 1)] for number in range(longest)] for window in windows
    ]
    index = call.constant(places, f"{suffix}_places", dtype="int64")
    picked = call.emit("Gather", (name, index), f"{suffix}_windows", axis=side.axis)
    if op == "max":
        return call.emit("ReduceMax", (picked,), suffix, axes=(side.axis + 1,), keepdims=0)
    weights = np.zeros((side.target, longest), np.float32)
    for row, window in enumerate(windows):
        weights[row, : len(window)] = 1 / len(window)
    spread = [1] * (side.rank + 1)
    spread[side.axis : side.axis + 2] = weights.shape
    factor = call.constant(weights.reshape(spread), f"{suffix}_weights")
    weighted = call.emit("Mul", (picked, factor), f"{suffix}_weighted")
    axes = call.graph.shape_constant((side.axis + 1,))
    return call.emit("ReduceSum", (weighted, axes), suffix, keepdims=0)


ADAPTIVE_LAYERS: dict[str, LayerKind] = {
    **{f"AdaptiveAveragePooling{n}D": adaptive_pooling("mean", n) for n in (1, 2, 3)},
    **{f"AdaptiveMaxPooling{n}D": adaptive_pooling("max", n) for n in (1, 2, 3)},
}
