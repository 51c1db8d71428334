"""Layers that only Keras 1 had (keras 1.2 ``layers/core.py``)."""

from __future__ import annotations

from typing import Any

from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.activation import activated
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.settings import Settings
from tintype.modelfiles.keras.weights import Slot


def _maxout_dense(call: LayerCall) -> Value:
    """The largest of ``nb_feature`` dense layers: max over f of x W[f] + b[f]."""
    value = call.input_of_rank(2)
    length = call.length(-1)
    count, units = call.settings.sizes("nb_feature", 1)[0], call.settings.integer("units")

    def side_by_side(kernel: Any) -> Any:
        return kernel.transpose(1, 0, 2).reshape(length, count * units)

    inputs = [value.name, call.weight_constant("kernel", (count, length, units), side_by_side)]
    if call.settings.flag("use_bias", default=True):
        inputs.append(call.weight_constant("bias", (count, units), lambda bias: bias.reshape(-1)))
    row = call.result(call.emit("Gemm", inputs, "all"), (value.shape[0], count * units))
    features = call.reshaped(row, (value.shape[0], count, units), "features")
    largest = call.emit("ReduceMax", (features.name,), axes=(1,), keepdims=0)
    return call.result(largest, (value.shape[0], units))


def _highway(call: LayerCall) -> Value:
    """T * activation(x W + b) + (1 - t) * x, with t = sigmoid(x W_carry + b_carry)."""
    value = call.input_of_rank(2)
    made = activated(call, call.like(_affine(call, value, "kernel", "bias", "made"), value))
    carry = _affine(call, value, "carry_kernel", "carry_bias", "carry")
    gate = call.emit("Sigmoid", (carry,), "gate")
    change = call.emit("Sub", (made.name, value.name), "change")
    return call.like(
        call.emit("Add", (value.name, call.emit("Mul", (gate, change), "gated"))), value
    )


def _affine(call: LayerCall, value: Value, kernel: str, bias: str, suffix: str) -> str:
    length = call.length(-1)
    inputs = [value.name, call.weight_constant(kernel, (length, length))]
    if call.settings.flag("use_bias", default=True):
        inputs.append(call.weight_constant(bias, (length,)))
    return call.emit("Gemm", inputs, suffix)


def _maxout_slots(settings: Settings) -> tuple[Slot, ...]:
    bias = (Slot("bias"),) if settings.flag("use_bias", default=True) else ()
    return (Slot("kernel"), *bias)


def _highway_slots(settings: Settings) -> tuple[Slot, ...]:
    biased = settings.flag("use_bias", default=True)
    biases = (Slot("bias"), Slot("carry_bias")) if biased else ()
    return (Slot("kernel"), Slot("carry_kernel"), *biases)


KERAS_1_LAYERS: dict[str, LayerKind] = {
    "Highway": LayerKind(_highway, _highway_slots),
    "MaxoutDense": LayerKind(_maxout_dense, _maxout_slots),
}
