"""The model summary, line by line as Keras prints it: nested models are one line."""

from __future__ import annotations

import math

from tintype.modelfiles.description import Layer
from tintype.modelfiles.keras.build import Building, slots_of
from tintype.modelfiles.keras.config import LayerConfig, ModelConfig
from tintype.modelfiles.keras.weights import LayerPath
from tintype.types import Shape


def summarise(model: ModelConfig, building: Building, picture: Shape) -> tuple[Layer, ...]:
    """A line for every layer of the outermost model; ``picture`` is the input's shape."""
    return tuple(
        Layer(
            name=layer.name,
            kind=layer.kind.removeprefix("op:"),
            shape=picture if layer.kind == "InputLayer" else building.shapes.get((layer.name,)),
            parameters=_parameters(layer, (layer.name,), building),
        )
        for layer in model.layers
        if ":" not in layer.name or layer.kind != "InputLayer"
    )


def _parameters(layer: LayerConfig, path: LayerPath, building: Building) -> int:
    if layer.inner is not None:
        return sum(
            _parameters(child, (*path, child.name), building) for child in layer.inner.layers
        )
    weights = building.weights.get(path, {})
    wrapped = sum(_parameters(part, (*path, part.name), building) for part in layer.parts.values())
    total = wrapped + sum(math.prod(stored.shape) for stored in weights.values())
    # Keras also counts the number of pictures a Normalization has seen.
    return total + 1 if layer.kind == "Normalization" and slots_of(layer) else total
