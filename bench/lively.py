"""Random weights under which different pictures get different scores.

Fresh weights will not do: a fresh batch normalisation hides mistakes, and a deep network of random
numbers answers every picture alike, so that any graph would seem right. Here batch statistics are
those of pictures that went through, shaken a little, and the last layer is scaled until the
pictures differ. Serves both frameworks, ``keras`` and ``tf_keras``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Pictures = npt.NDArray[np.float32]

_SPREAD = 0.3
"""How far the numbers before the softmax lie apart from picture to picture (standard deviation)."""

_MOST_STRETCH = 20.0
"""Beyond it rounding errors would be stretched into scores."""

_AT_ONCE = 6 << 30
"""Bytes that one forward pass may hold: Keras 3 keeps every layer's numbers to its end."""


def pictures_for(model: Any, count: int, seed: int = 3) -> Pictures:
    """Blots of colour on noise, of different brightness, in the range the model takes."""
    random = np.random.default_rng(seed)
    height, width, channels = model.input_shape[1:]
    coarse = random.uniform(0, 1, (count, 4, 4, channels))
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    blots = coarse[:, rows][:, :, columns]
    level = np.linspace(0.3, 1, count).reshape(count, 1, 1, 1)
    unit = level * (0.8 * blots + 0.2 * random.uniform(0, 1, blots.shape))
    scales_itself = any(type(layer).__name__ in _SCALERS for layer in leaves(model))
    return np.asarray(unit * 255 if scales_itself else unit * 2 - 1, np.float32)


_SCALERS = frozenset({"Rescaling", "Normalization"})


def enliven(model: Any, seed: int = 7) -> Any:
    """Fill ``model``, a classifier that ends in softmax, with weights as said above."""
    random = np.random.default_rng(seed)
    pictures = pictures_for(model, 8, seed)
    normalisations = []
    for layer in leaves(model):
        kind = type(layer).__name__
        if kind != "Normalization" and layer.weights:
            layer.set_weights([_random(random, weight) for weight in layer.weights])
        if kind == "BatchNormalization":
            normalisations.append((layer, layer.momentum))
            layer.momentum = 0.0
    seen = pictures if len(pictures) <= (most := _at_once(model)) else pictures[-most:]
    model(seen, training=True)  # every batch normalisation takes the statistics it sees
    for layer, momentum in normalisations:
        layer.momentum = momentum
        *rest, mean, variance = layer.get_weights()
        mean = mean + 0.1 * np.sqrt(variance) * random.normal(size=mean.shape)
        layer.set_weights([*rest, mean, variance * random.uniform(0.7, 1.4, variance.shape)])
    _spread_answers(model, pictures)
    return model


def answers(model: Any, pictures: Pictures) -> Pictures:
    """What the model says of each picture, asked one by one."""
    told = [np.asarray(model(picture[np.newaxis], training=False)) for picture in pictures]
    return np.concatenate(told)


def _at_once(model: Any) -> int:
    """How many pictures may go through together."""
    outputs = [layer.output for layer in model.layers]
    a_picture = sum(np.prod([axis or 1 for axis in output.shape]) * 4 for output in outputs)
    return max(1, int(_AT_ONCE // a_picture))


def leaves(model: Any) -> Iterator[Any]:
    """Every layer that is no model."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from leaves(layer)
        else:
            yield layer


def _random(random: np.random.Generator, weight: Any) -> npt.NDArray[np.float32]:
    name, shape = getattr(weight, "path", weight.name), tuple(weight.shape)
    if "gamma" in name or "variance" in name:
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    if len(shape) > 1:
        # He's rule; in a depthwise kernel the channels do not add up.
        fan = np.prod(shape[:2]) if "depthwise" in name else np.prod(shape[:-1])
        return (random.normal(size=shape) * np.sqrt(2 / fan)).astype(np.float32)
    return random.uniform(-0.2, 0.2, shape).astype(np.float32)


def _spread_answers(model: Any, pictures: Pictures) -> None:
    """Shift and stretch the last layer so that its numbers differ by about _SPREAD."""
    last = [layer for layer in leaves(model) if layer.weights][-1]
    kernel, bias = last.get_weights()
    logits = np.log(np.maximum(answers(model, pictures).astype(np.float64), 1e-30))
    logits -= logits.mean(axis=1, keepdims=True)
    stretch = min(_SPREAD / max(float(logits.std(axis=0).mean()), 1e-12), _MOST_STRETCH)
    last.set_weights([kernel * stretch, (bias - logits.mean(axis=0)) * stretch])
