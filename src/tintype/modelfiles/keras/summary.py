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
    lines = []
    for layer in model.layers:
        if layer.kind == "InputLayer" and model.kind == "Sequential":
            continue  # Keras does not count it among the layers there
        trained, frozen = _parameters(layer, (layer.name,), building)
        lines.append(
            Layer(
                name=layer.name,
                kind=layer.kind.removeprefix("op:"),
                shape=picture if layer.kind == "InputLayer" else building.shapes.get((layer.name,)),
                parameters=trained + frozen,
                trainable=trained,
            )
        )
    return tuple(lines)


def _parameters(layer: LayerConfig, path: LayerPath, building: Building) -> tuple[int, int]:
    """How many parameters training changes, and how many it leaves."""
    if layer.inner is not None:
        children = [(child, (*path, child.name)) for child in layer.inner.layers]
    else:
        children = [(part, (*path, part.name)) for part in layer.parts.values()]
    inside = [_parameters(child, place, building) for child, place in children]
    trained, frozen = (
        sum(column) for column in zip(_own(layer, path, building), *inside, strict=True)
    )
    return (trained, frozen) if layer.trainable else (0, trained + frozen)


def _own(layer: LayerConfig, path: LayerPath, building: Building) -> tuple[int, int]:
    if layer.inner is not None:
        return 0, 0
    weights = building.weights.get(path, {})
    changing = {slot.name for slot in slots_of(layer) if slot.trained}
    sizes = {name: math.prod(stored.shape) for name, stored in weights.items()}
    trained = sum(size for name, size in sizes.items() if name in changing)
    frozen = sum(sizes.values()) - trained
    # Keras also counts the number of pictures a Normalization has seen.
    return trained, frozen + (1 if layer.kind == "Normalization" and slots_of(layer) else 0)
