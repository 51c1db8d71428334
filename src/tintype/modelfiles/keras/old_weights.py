"""Weights of Keras 1 and of the Theano backend, turned as today's layers want them.

Rules: keras 2.2 ``engine/saving.py`` (preprocess_weights_for_loading) and ``utils/conv_utils.py``
(convert_kernel). Theano computed true convolutions, so its kernels are mirrored in every spatial
axis. The numbers are turned when they are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tintype.errors import UnsupportedModel
from tintype.modelfiles.keras.config import LayerConfig, ModelConfig, layers_by_path
from tintype.modelfiles.keras.hdf5 import Stored
from tintype.modelfiles.keras.weights import WeightMap

_MIRRORED = {"Conv1D": 1, "Conv2D": 2, "Conv3D": 3, "Conv2DTranspose": 2}
"""Kinds whose kernel Theano mirrors, with their spatial axes."""

_UNSURE = frozenset(
    {
        "Conv3DTranspose",
        "ConvLSTM2D",
        "DepthwiseConv2D",
        "LocallyConnected1D",
        "LocallyConnected2D",
        "SeparableConv1D",
        "SeparableConv2D",
        "TimeDistributed",
    }
)
"""Kinds with kernels that Keras itself never learned to turn from one backend to another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How a weight is turned: its axes put into another order, one dropped, some mirrored."""

    axes: tuple[int, ...]
    dropped: int | None = None
    mirrored: int = 0

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape after it."""
        turned = [shape[axis] for axis in self.axes]
        if self.dropped is not None:
            del turned[self.dropped]
        return tuple(turned)

    def apply(self, array: Any) -> Any:
        """The numbers after it."""
        turned = np.transpose(array, self.axes)
        if self.dropped is not None:
            turned = np.squeeze(turned, self.dropped)
        return np.flip(turned, tuple(range(self.mirrored))) if self.mirrored else turned


@dataclass(frozen=True, slots=True)
class _Turned:
    """Stands where a dataset does."""

    stored: Stored
    turn: Turn

    def __getitem__(self, _key: object) -> Any:
        return self.turn.apply(self.stored.read())


def turn_weights(
    model: ModelConfig, weights: WeightMap, *, keras1: bool, mirrored: bool
) -> WeightMap:
    """``weights`` as layers of today want them.

    ``keras1``: kernels lie as Keras 1 wrote them. ``mirrored``: Theano wrote them. Raises
    UnsupportedModel for layers of which nobody knows how Theano stored them.
    """
    if not keras1 and not mirrored:
        return weights
    return {
        **weights,
        **{
            path: _turned_layer(layer, weights[path], keras1=keras1, mirrored=mirrored)
            for path, layer in layers_by_path(model)
            if path in weights
        },
    }


def _turned_layer(
    layer: LayerConfig, weights: Mapping[str, Stored], *, keras1: bool, mirrored: bool
) -> Mapping[str, Stored]:
    if mirrored and layer.kind in _UNSURE:
        raise UnsupportedModel(
            f"layer {layer.name!r} ({layer.kind}) was written by Keras on Theano, and how that "
            "stored its kernel is not known",
            hint="load and save the model once with Keras 2 on TensorFlow",
        )
    turned = dict(weights)
    for name in ("kernel", "depthwise_kernel", "pointwise_kernel"):
        stored = weights.get(name)
        turn = None if stored is None else _turn(layer, stored, keras1=keras1, mirrored=mirrored)
        if stored is not None and turn is not None:
            turned[name] = Stored(
                name=stored.name,
                shape=turn.shape(stored.shape),
                dtype=stored.dtype,
                dataset=_Turned(stored, turn),
            )
    return turned


def _turn(layer: LayerConfig, stored: Stored, *, keras1: bool, mirrored: bool) -> Turn | None:
    rank = len(stored.shape)
    axes = tuple(range(rank))
    dropped = None
    if keras1 and layer.kind == "Conv1D" and rank == 4:
        axes, dropped = _one_axis(layer, stored.shape), 1
    elif keras1 and rank == len(_ORDERS.get((layer.kind, _format(layer)), ())):
        axes = _ORDERS[layer.kind, _format(layer)]
    spatial = _MIRRORED.get(layer.kind, 0) if mirrored else 0
    if axes == tuple(range(rank)) and dropped is None and not spatial:
        return None
    return Turn(axes=axes, dropped=dropped, mirrored=min(spatial, rank))


_ORDERS = {
    ("Conv2D", "channels_first"): (2, 3, 1, 0),
    ("Conv3D", "channels_first"): (2, 3, 4, 1, 0),
    ("SeparableConv2D", "channels_first"): (2, 3, 1, 0),
    ("Conv2DTranspose", "channels_first"): (2, 3, 0, 1),
    ("Conv2DTranspose", "channels_last"): (0, 1, 3, 2),
}
"""Where Keras 1 kept what Keras 2 keeps as rows, columns, input and output channels."""


def _format(layer: LayerConfig) -> str:
    return str(layer.settings.raw("data_format") or "channels_last")


def _one_axis(layer: LayerConfig, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Keras 1.1 on: length, 1, inputs, filters; before: filters, inputs, length, 1."""
    length = layer.settings.integers("kernel_size", 1)[0]
    filters = layer.settings.integer("filters")
    new = shape[:2] == (length, 1) and shape[3] == filters
    return (0, 1, 2, 3) if new else (2, 3, 1, 0)
