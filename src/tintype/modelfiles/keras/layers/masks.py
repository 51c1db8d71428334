"""Masks: which steps of a series count, and how that travels from layer to layer.

A mask is a tensor (batch, steps), 1 where a step counts and 0 elsewhere. Functional models of
Keras 3 name it where a layer takes it (``mask``); in all others it goes along unseen through the
layers that "support masking" and ends at those that do not (keras ``layers/layer.py``,
``_set_mask_metadata``; tf_keras ``engine/base_layer.py``, ``compute_mask``).
"""

from __future__ import annotations

from dataclasses import replace

from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind

UNKNOWN = "?"
"""The mask of a tensor that has one which is not worked out here."""

_BOOL, _FLOAT = 9, 1
"""TensorProto.DataType."""

_CARRY = frozenset(
    {
        "Activation",
        "BatchNormalization",
        "Dense",
        "ELU",
        "GroupNormalization",
        "LayerNormalization",
        "LeakyReLU",
        "Masking",
        "Normalization",
        "PReLU",
        "ReLU",
        "Rescaling",
        "ThresholdedReLU",
        "TimeDistributed",
        "UnitNormalization",
    }
)
"""Layers that hand the mask of their tensor on; those that do nothing hand it on with it."""

_SERIES = frozenset(
    {"SimpleRNN", "LSTM", "GRU", "UnifiedLSTM", "UnifiedGRU", "RNN", "Bidirectional"}
)
"""Layers that skip masked steps, and hand the mask on where they answer with all steps."""

_JOIN = frozenset(
    {"Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"}
)
"""Layers that make one mask of several."""

_USE = frozenset(
    {
        "AdditiveAttention",
        "Attention",
        "ConvLSTM1D",
        "ConvLSTM2D",
        "ConvLSTM3D",
        "CuDNNGRU",
        "CuDNNLSTM",
        "GroupedQueryAttention",
        "MultiHeadAttention",
        "Softmax",
    }
)
"""Layers whose answer hangs on the mask in ways that are not written here."""


def handed_on(call: LayerCall, outputs: tuple[Value, ...]) -> tuple[Value, ...]:
    """``outputs`` of a layer with the mask that Keras hands on to the layers behind it.

    Raises UnsupportedModel where the layer would use a mask and does not know how.
    """
    masks = {value.mask for value in call.inputs} - {None}
    if not masks:
        return outputs
    if call.kind in _USE:
        raise call.unsupported("a mask")
    if call.kind in _JOIN:
        return tuple(replace(value, mask=UNKNOWN) for value in outputs)
    if call.kind in _CARRY:
        return tuple(replace(value, mask=value.mask or masks.copy().pop()) for value in outputs)
    if call.kind in _SERIES and _answers_with_steps(call):
        first, *states = outputs
        return (replace(first, mask=mask_of(call, call.inputs[0])), *states)
    return outputs


def _answers_with_steps(call: LayerCall) -> bool:
    parts = (part.call for part in call.parts.values() if call.kind == "Bidirectional")
    settings = next((part.settings for part in parts if part is not None), call.settings)
    return settings.flag("return_sequences", default=False)


def mask_of(call: LayerCall, value: Value) -> str | None:
    """The mask of the layer's tensor, named in the call or come along with the tensor.

    Raises UnsupportedModel where there is one that is not known.
    """
    named = call.kwargs.get("mask")
    mask = named.name if isinstance(named, Value) else value.mask
    if mask == UNKNOWN:
        raise call.unsupported("a mask that several tensors were joined to")
    return mask


def as_condition(call: LayerCall, mask: str) -> str:
    """(batch, steps, 1), true where a step counts."""
    column = call.emit("Unsqueeze", (mask, call.graph.shape_constant((2,))), "mask")
    return call.emit("Cast", (column,), "counts", to=_BOOL)


def _masking(call: LayerCall) -> Value:
    """Steps all of whose numbers are ``mask_value`` become 0 and do not count."""
    value = call.graph.as_keras(call.input)
    border = call.graph.scalar(call.settings.number("mask_value", 0.0))
    same = call.emit("Cast", (call.emit("Equal", (value.name, border), "same"),), "is", to=_FLOAT)
    axis = value.rank - 1
    empty = call.emit("ReduceMin", (same,), "empty", axes=(axis,), keepdims=1)
    hidden = call.emit("Cast", (empty,), "hidden", to=_BOOL)
    name = call.emit("Where", (hidden, call.graph.scalar(0.0), value.name))
    counts = call.emit("Sub", (call.graph.scalar(1.0), empty), "counts")
    mask = call.emit("Squeeze", (counts, call.graph.shape_constant((axis,))), "mask")
    return replace(call.like(name, value), mask=mask if value.rank == 3 else UNKNOWN)


MASK_LAYERS: dict[str, LayerKind] = {"Masking": LayerKind(_masking)}
