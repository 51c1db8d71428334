"""Which input takes the picture, and how its axes lie. Decided from the configuration alone."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from tintype.errors import ModelFileDamaged, NotAnImageModel, UnsupportedModel
from tintype.modelfiles.keras.config import LayerConfig, ModelConfig
from tintype.modelfiles.keras.connections import Ref
from tintype.modelfiles.keras.graph import check_shape, show_shape
from tintype.modelfiles.keras.layers.core import IDENTITY_KINDS
from tintype.types import ImageInput, Layout, Shape, TensorSpec

_SEQUENCE_KINDS = frozenset(
    {
        "Bidirectional",
        "Conv1D",
        "ConvLSTM1D",
        "GRU",
        "LSTM",
        "Masking",
        "MultiHeadAttention",
        "RNN",
        "SeparableConv1D",
        "SimpleRNN",
        "TimeDistributed",
        "CuDNNLSTM",
        "CuDNNGRU",
        "UnifiedGRU",
        "UnifiedLSTM",
    }
)
"""What a series of numbers meets first, and the rows of a picture at times."""

_TEXT_KINDS = frozenset(
    {
        "CategoryEncoding",
        "Embedding",
        "Hashing",
        "IntegerLookup",
        "StringLookup",
        "TextVectorization",
    }
)
"""What a text meets first."""

_ROWS_AS_SERIES = frozenset({28, 32})
"""Sides of the pictures (MNIST, CIFAR) whose rows people read as a series; others are series."""

_NUMBER_TYPES = frozenset({"float32", "float16", "float64", "bfloat16", "uint8", "int32", "int64"})
_SMALLEST_SIDE = 8
_SMALLEST_FLAT = 20
"""A flat input is taken for a picture from 20 x 20 on: 64 or 256 numbers are too common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenInput:
    """The picture input, why it was taken, and which of the model's inputs it is."""

    image: ImageInput
    number: int
    note: str


def choose_input(model: ModelConfig, wanted: str | None) -> ChosenInput:
    """The picture input of ``model``; ``wanted`` is a name given by a person.

    Raises NotAnImageModel where none can be a picture, and UnsupportedModel where others are
    needed besides.
    """
    inputs = [_input_layer(model, ref) for ref in model.inputs]
    names = [layer.name for layer in inputs]
    if wanted is not None and wanted.removesuffix(":0") not in names:
        raise UnsupportedModel(f"the model has no input {wanted!r}; it has {', '.join(names)}")
    if not inputs:
        raise NotAnImageModel("the model has no input")
    if len(inputs) > 1:
        listed = ", ".join(f"{layer.name} {show_shape(_shape(layer))}" for layer in inputs)
        raise NotAnImageModel(
            f"the model needs {len(inputs)} inputs at once ({listed}); only models of one picture "
            f"can be served{_besides(inputs)}",
            hint="export a model that takes the picture alone: keras.Model(picture, answer)",
        )
    number = 0 if wanted is None else names.index(wanted.removesuffix(":0"))
    return _as_picture(model, inputs[number], number, wanted)


def _besides(inputs: list[LayerConfig]) -> str:
    """Which of several inputs are no pictures, for the message."""
    others = [layer.name for layer in inputs if _read_shape(_shape(layer)) is None]
    return f", and {', '.join(map(repr, others))} is no picture" if others else ""


def _input_layer(model: ModelConfig, ref: Ref) -> LayerConfig:
    for layer in model.layers:
        if layer.name == ref.layer:
            return layer
    raise ModelFileDamaged(f"the model's input {ref.layer!r} is not among its layers")


def _shape(layer: LayerConfig) -> Shape:
    settings = layer.settings
    shape = settings.raw("batch_shape") or settings.raw("batch_input_shape")
    if isinstance(shape, dict):
        shape = shape.get("items")
    if shape is None and settings.raw("input_shape") is not None:
        shape = [None, *settings.raw("input_shape")]
    if shape is None:
        raise UnsupportedModel(
            "the model does not say what shape its input has: it was saved before it was built",
            hint="load it in Python, call it once on a picture, and save it again",
        )
    if not isinstance(shape, list | tuple) or not all(_is_length(item) for item in shape):
        raise ModelFileDamaged(f"the input {layer.name!r} has the shape {str(shape)[:80]}")
    return check_shape((None, *shape[1:]), layer.name)


def _is_length(item: Any) -> bool:
    return item is None or (isinstance(item, int) and not isinstance(item, bool))


def _dtype(layer: LayerConfig) -> str:
    dtype = layer.settings.raw("dtype")
    if isinstance(dtype, dict):
        inner = dtype.get("config")
        dtype = inner.get("name", inner.get("dtype")) if isinstance(inner, dict) else None
    if dtype is None or (isinstance(dtype, str) and dtype.startswith("mixed_")):
        return "float32"
    return str(dtype)


def _is_square(shape: Shape) -> bool:
    """Whether a series of that shape may well be the rows of a picture."""
    return len(shape) in {3, 4} and shape[1] == shape[2] and shape[1] in _ROWS_AS_SERIES


def _as_picture(
    model: ModelConfig, layer: LayerConfig, number: int, wanted: str | None
) -> ChosenInput:
    shape, dtype = _shape(layer), _dtype(layer)
    users = _first_users(model, layer.name)
    kinds = {user.kind for user in users}
    series = sorted(kinds & _TEXT_KINDS)
    if wanted is None and not _is_square(shape):
        series = sorted(kinds & _SEQUENCE_KINDS) + series
    if dtype not in _NUMBER_TYPES:
        raise _no_picture(layer, shape, dtype, "pictures are numbers")
    if _is_video(shape):
        raise _no_picture(layer, shape, dtype, "a series of pictures, a video; one is served here")
    if series:
        raise _no_picture(layer, shape, dtype, f"it goes into {series[0]}: a series or a text")
    first = any(user.settings.raw("data_format") == "channels_first" for user in users)
    found = _read_shape(shape, channels_first=first)
    if found is None:
        raise _no_picture(layer, shape, dtype, "a picture has height, width and 1, 3 or 4 channels")
    layout, sizes, why = found
    stored = dtype if dtype == "uint8" else "float32"
    image = ImageInput(
        tensor=TensorSpec(name=layer.name, shape=shape, dtype=stored),
        layout=layout,
        height=sizes[0],
        width=sizes[1],
        channels=sizes[2],
    )
    note = f"input {layer.name!r} {show_shape(shape)} takes the picture: {why}"
    return ChosenInput(image=image, number=number, note=note)


def _is_video(shape: Shape) -> bool:
    return len(shape) == 5 and _four_axes((None, *shape[2:]), channels_first=False) is not None


def _read_shape(
    shape: Shape, *, channels_first: bool = False
) -> tuple[Layout, tuple[int | None, int | None, int], str] | None:
    if len(shape) == 4:
        return _four_axes(shape, channels_first=channels_first)
    if len(shape) == 3:
        height, width = shape[1:]
        if height is not None and height == width and height >= _SMALLEST_SIDE:
            return Layout.NHW, (height, width, 1), "a square without channel axis, taken as grey"
        return None
    if len(shape) == 2 and shape[1] is not None:
        return _flat(shape[1])
    return None


def _four_axes(
    shape: Shape, *, channels_first: bool
) -> tuple[Layout, tuple[int | None, int | None, int], str] | None:
    front, back = shape[1], shape[3]
    if channels_first and front in {1, 3, 4}:
        return Layout.NCHW, (shape[2], shape[3], int(front)), "height and width behind the channels"
    if back in {1, 3, 4} and not channels_first:
        return Layout.NHWC, (shape[1], shape[2], int(back)), "height, width and channels"
    return None


def _flat(
    length: int,
) -> tuple[Layout, tuple[int | None, int | None, int], str] | None:
    for channels in (1, 3):
        side = math.isqrt(length // channels)
        if side >= _SMALLEST_FLAT and side * side * channels == length:
            why = (
                f"{length} numbers in a row are {side} x {side} x {channels}, taken as a "
                f"{'grey' if channels == 1 else 'colour'} picture (a guess)"
            )
            return Layout.FLAT, (side, side, channels), why
    return None


def _no_picture(layer: LayerConfig, shape: Shape, dtype: str, why: str) -> NotAnImageModel:
    return NotAnImageModel(
        f"the model takes no picture: its input {layer.name!r} has the shape {show_shape(shape)} "
        f"and dtype {dtype}; {why}",
        input=layer.name,
        shape=show_shape(shape),
        dtype=dtype,
    )


def _first_users(model: ModelConfig, name: str) -> list[LayerConfig]:
    """The layers that meet the input first, nested models and layers of training looked through."""
    found: list[LayerConfig] = []
    pending = [(model, name)]
    seen: set[tuple[int, str]] = set()
    users: dict[int, dict[str, list[LayerConfig]]] = {}
    while pending:
        where, tensor = pending.pop()
        if (id(where), tensor) in seen:
            continue
        seen.add((id(where), tensor))
        if id(where) not in users:
            users[id(where)] = _users(where)
        for layer in users[id(where)].get(tensor, ()):
            if layer.inner is not None:
                pending.extend((layer.inner, ref.layer) for ref in layer.inner.inputs)
            elif layer.kind in IDENTITY_KINDS or layer.kind in _LOOKED_THROUGH:
                pending.append((where, layer.name))
            else:
                found.append(layer)
    return found


def _users(model: ModelConfig) -> dict[str, list[LayerConfig]]:
    """Which layers take a tensor from each layer of ``model``."""
    users: dict[str, list[LayerConfig]] = defaultdict(list)
    for layer in model.layers:
        for name in dict.fromkeys(ref.layer for call in layer.calls for ref in call.refs()):
            users[name].append(layer)
    return users


_LOOKED_THROUGH = frozenset(
    {
        "Rescaling",
        "Normalization",
        "ZeroPadding2D",
        "BatchNormalization",
        "TFOpLambda",
        "Resizing",
        "TensorFlowOpLayer",
    }
)
