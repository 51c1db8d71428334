"""Embedding: a row of a table for each number (keras ``layers/core/embedding.py``)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.arguments import argument
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


def _reversible(call: LayerCall) -> Value:
    """An embedding, or the way back: rows times the table turned, or times one of its own.

    keras ``layers/core/reversible_embedding.py``; a cap makes it tanh(x / cap) * cap.
    """
    if not argument(call, "reverse", place=1, default=False):
        return _embedding(call)
    value = call.graph.as_keras(call.input)
    rows, width = (call.settings.sizes(key, 1)[0] for key in ("input_dim", "output_dim"))
    if call.settings.flag("tie_weights", default=True):
        back = call.weight_constant("embeddings", (rows, width), np.transpose, form="back")
    else:
        back = call.weight_constant("reverse_embeddings", (width, rows))
    cap = call.settings.optional_number("logit_soft_cap")
    name = call.emit("MatMul", (value.name, back), "" if cap is None else "product")
    if cap is not None:
        number = call.graph.scalar(cap)
        bent = call.emit("Tanh", (call.emit("Div", (name, number), "part"),), "bent")
        name = call.emit("Mul", (bent, number))
    return call.result(name, (*value.shape[:-1], rows))


def _reversible_slots(settings: Settings) -> tuple[Slot, ...]:
    tied = settings.flag("tie_weights", default=True)
    return (Slot("embeddings"), *(() if tied else (Slot("reverse_embeddings"),)))


EMBEDDING_LAYERS: dict[str, LayerKind] = {
    "Embedding": LayerKind(_embedding, _slots),
    "ReversibleEmbedding": LayerKind(_reversible, _reversible_slots),
}
