"""Embedding: a row of a table for each number (keras ``layers/core/embedding.py``)."""

from __future__ import annotations

from dataclasses import replace

from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.masks import UNKNOWN
from tintype.modelfiles.keras.settings import Settings
from tintype.modelfiles.keras.weights import Slot

_FLOAT, _INT32 = 1, 6
"""TensorProto.DataType."""


def _embedding(call: LayerCall) -> Value:
    """Numbers of the picture as places in the table; they are cut to whole ones as Keras does."""
    value = call.graph.as_keras(call.input)
    rows = call.settings.sizes("input_dim", 1)[0]
    width = call.settings.sizes("output_dim", 1)[0]
    table = call.weight_constant("embeddings", (rows, width))
    places = call.emit("Cast", (value.name,), "places", to=_INT32)
    answer = call.result(call.emit("Gather", (table, places), axis=0), (*value.shape, width))
    if not call.settings.flag("mask_zero", default=False):
        return answer
    return replace(answer, mask=_mask_of_zeros(call, value))


def _mask_of_zeros(call: LayerCall, value: Value) -> str:
    """``mask_zero``: the places with the number 0 do not count."""
    if value.rank != 2:
        return UNKNOWN
    zero = call.emit("Equal", (value.name, call.graph.scalar(0.0)), "zero")
    return call.emit("Cast", (call.emit("Not", (zero,), "not"),), "mask", to=_FLOAT)


def _slots(_settings: Settings) -> tuple[Slot, ...]:
    return (Slot("embeddings"),)


EMBEDDING_LAYERS: dict[str, LayerKind] = {"Embedding": LayerKind(_embedding, _slots)}
