"""Embedding: a row of a table for each number (keras ``layers/core/embedding.py``)."""

from __future__ import annotations

from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.settings import Settings
from tintype.modelfiles.keras.weights import Slot

_INT32 = 6
"""TensorProto.DataType."""


def _embedding(call: LayerCall) -> Value:
    """Numbers of the picture as places in the table; they are cut to whole ones as Keras does."""
    if call.settings.flag("mask_zero", default=False):
        raise call.unsupported("mask_zero")
    value = call.graph.as_keras(call.input)
    rows = call.settings.sizes("input_dim", 1)[0]
    width = call.settings.sizes("output_dim", 1)[0]
    table = call.weight_constant("embeddings", (rows, width))
    places = call.emit("Cast", (value.name,), "places", to=_INT32)
    return call.result(call.emit("Gather", (table, places), axis=0), (*value.shape, width))


def _slots(_settings: Settings) -> tuple[Slot, ...]:
    return (Slot("embeddings"),)


EMBEDDING_LAYERS: dict[str, LayerKind] = {"Embedding": LayerKind(_embedding, _slots)}
