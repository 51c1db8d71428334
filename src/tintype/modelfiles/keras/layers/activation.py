"""Activations: by name as a setting of other layers, and as layers of their own.

Formulas: keras ``activations/activations.py``. Two names changed their meaning with Keras 3:
``hard_sigmoid`` (clip(0.2x + 0.5) before, relu6(x + 3) / 6 since) and the slope of LeakyReLU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from tintype.errors import UnsupportedModel
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.activation_names import known_name
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.formulas import (
    gelu_tanh,
    glu,
    hard_shrink,
    soft_shrink,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
)
from tintype.modelfiles.keras.safety import ALLOW_CODE, WAY_OUT_HINT
from tintype.modelfiles.keras.settings import Settings
from tintype.modelfiles.keras.weights import Slot

_Write: TypeAlias = Callable[[LayerCall, Value], str]


def activated(call: LayerCall, value: Value) -> Value:
    """``value`` after the layer's own ``activation`` setting."""
    spec = call.settings.raw("activation")
    name = activation_name(spec, call.settings.layer)
    if name == "linear":
        return value
    if (
        isinstance(spec, dict)
        and isinstance(spec.get("config"), dict)
        and (name in ACTIVATION_LAYERS)
    ):
        return _as_layer(call, value, name, spec)
    return apply_activation(call, value, name)


def apply_activation(call: LayerCall, value: Value, name: str) -> Value:
    """``value`` after the activation ``name``. Raises UnsupportedModel where it is unknown."""
    if name == "glu":
        return glu(call, value)
    write = _ACTIVATIONS.get(name)
    if write is None:
        raise UnsupportedModel(
            f"layer {call.name!r} uses the activation {name!r}, which Keras does not have: it is "
            "code of the model's author",
            hint="export the model as ONNX or as a SavedModel instead" + WAY_OUT_HINT,
            way_out=ALLOW_CODE,
        )
    return call.like(write(call, value), value)


def activation_name(spec: Any, layer: str) -> str:
    """The name in an ``activation`` setting: a text, null, or one of Keras' dictionaries."""
    if spec is None:
        return "linear"
    if isinstance(spec, Mapping):
        kind = spec.get("class_name")
        inner = spec.get("config")
        if kind == "function" and isinstance(inner, str):
            return known_name(inner)
        if isinstance(inner, Mapping) and isinstance(kind, str):
            short = kind.rpartition(">")[2]
            return short if short in ACTIVATION_LAYERS else known_name(kind)
        spec = kind
    if not isinstance(spec, str):
        raise UnsupportedModel(f"layer {layer!r} has an activation that is no name: {spec!r:.80}")
    return known_name(spec)


def clip(call: LayerCall, name: str, low: float | None, high: float | None) -> str:
    """``name`` held between two bounds."""
    bounds = [
        call.graph.scalar(low) if low is not None else "",
        *([call.graph.scalar(high)] if high is not None else []),
    ]
    return call.emit("Clip", (name, *bounds), "clip")


def _as_layer(call: LayerCall, value: Value, name: str, spec: Mapping[str, Any]) -> Value:
    """An activation given as a layer object: ``activation=keras.layers.ReLU(6)``."""
    inner = spec["config"]
    kind = ACTIVATION_LAYERS[name]
    settings = Settings(call.name, inner)
    if kind.slots(settings):
        raise call.unsupported(f"the layer {name} with weights as its activation")
    return kind.emit(
        LayerCall(
            kind=name,
            path=call.path,
            settings=settings,
            args=(value,),
            kwargs={},
            weights={},
            graph=call.graph,
            generation=call.generation,
        )
    )


def _one(op: str, **attributes: float) -> _Write:
    def write(call: LayerCall, value: Value) -> str:
        return call.emit(op, (value.name,), op.lower(), **attributes)

    return write


def _softmax(op: str) -> _Write:
    def write(call: LayerCall, value: Value) -> str:
        return call.emit(op, (value.name,), op.lower(), axis=value.position(-1))

    return write


def _silu(call: LayerCall, value: Value) -> str:
    gate = call.emit("Sigmoid", (value.name,), "sigmoid")
    return call.emit("Mul", (value.name, gate), "silu")


def _hard_sigmoid(call: LayerCall, value: Value) -> str:
    slope = 1 / 6 if call.generation >= 3 else 0.2
    return call.emit("HardSigmoid", (value.name,), "hardsigmoid", alpha=slope, beta=0.5)


def _hard_sigmoid_6(call: LayerCall, value: Value) -> str:
    """relu6(x + 3) / 6, in whatever Keras."""
    return call.emit("HardSigmoid", (value.name,), "hardsigmoid", alpha=1 / 6, beta=0.5)


def _hard_silu(call: LayerCall, value: Value) -> str:
    gate = call.emit("HardSigmoid", (value.name,), "hardsigmoid", alpha=1 / 6, beta=0.5)
    return call.emit("Mul", (value.name, gate), "hardsilu")


def _gelu(call: LayerCall, value: Value) -> str:
    """The exact one: x * (1 + erf(x / sqrt 2)) / 2."""
    scaled = call.emit("Mul", (value.name, call.graph.scalar(math.sqrt(0.5))), "scaled")
    erf = call.emit("Add", (call.emit("Erf", (scaled,), "erf"), call.graph.scalar(1.0)), "erf1")
    half = call.emit("Mul", (value.name, call.graph.scalar(0.5)), "half")
    return call.emit("Mul", (half, erf), "gelu")


def _mish(call: LayerCall, value: Value) -> str:
    gate = call.emit("Tanh", (call.emit("Softplus", (value.name,), "softplus"),), "tanh")
    return call.emit("Mul", (value.name, gate), "mish")


def _log_sigmoid(call: LayerCall, value: Value) -> str:
    minus = call.emit("Neg", (value.name,), "minus")
    return call.emit("Neg", (call.emit("Softplus", (minus,), "softplus"),), "logsigmoid")


def _tanh_shrink(call: LayerCall, value: Value) -> str:
    return call.emit("Sub", (value.name, call.emit("Tanh", (value.name,), "tanh")), "tanhshrink")


def _clip(low: float, high: float) -> _Write:
    def write(call: LayerCall, value: Value) -> str:
        return clip(call, value.name, low, high)

    return write


_ACTIVATIONS: dict[str, _Write] = {
    "linear": lambda _call, value: value.name,
    "relu": _one("Relu"),
    "relu6": _clip(0.0, 6.0),
    "sigmoid": _one("Sigmoid"),
    "hard_sigmoid": _hard_sigmoid,
    "tanh": _one("Tanh"),
    "hard_tanh": _clip(-1.0, 1.0),
    "softmax": _softmax("Softmax"),
    "log_softmax": _softmax("LogSoftmax"),
    "softplus": _one("Softplus"),
    "softsign": _one("Softsign"),
    "silu": _silu,
    "hard_silu": _hard_silu,
    "gelu": _gelu,
    "selu": _one("Selu", alpha=1.6732632423543772, gamma=1.0507009873554805),
    "elu": _one("Elu", alpha=1.0),
    "celu": _one("Celu", alpha=1.0),
    "exponential": _one("Exp"),
    "mish": _mish,
    "leaky_relu": _one("LeakyRelu", alpha=0.2),
    "log_sigmoid": _log_sigmoid,
    "tanh_shrink": _tanh_shrink,
    "soft_shrink": soft_shrink,
    "hard_shrink": hard_shrink,
    "squareplus": squareplus,
    "sparse_plus": sparse_plus,
    "sparse_sigmoid": sparse_sigmoid,
    "sparsemax": sparsemax,
    "gelu_tanh": gelu_tanh,
    "hard_sigmoid_6": _hard_sigmoid_6,
}

ACTIVATION_NAMES = frozenset({*_ACTIVATIONS, "glu", "swish", "hard_swish"})
"""Every name that a setting ``activation`` may have."""

PROBABILITY_ACTIVATIONS = frozenset({"softmax", "sigmoid", "hard_sigmoid", "log_softmax"})
"""Activations that tell what a classifier's numbers are."""


def _activation(call: LayerCall) -> Value:
    name = activation_name(call.settings.raw("activation"), call.name)
    if name == "linear":
        return call.input
    return activated(call, call.input)


def _relu(call: LayerCall) -> Value:
    """max_value where x >= max_value, x above the threshold, negative_slope * (x - threshold)."""
    return relu_with(
        call,
        call.input,
        slope=call.settings.number("negative_slope", 0.0),
        threshold=call.settings.number("threshold", 0.0),
        top=call.settings.optional_number("max_value"),
    )


def relu_with(
    call: LayerCall, value: Value, *, slope: float, threshold: float, top: float | None
) -> Value:
    """Relu with a slope below, a top, and a threshold other than 0."""
    if threshold:
        return _thresholded_relu(call, value, slope=slope, threshold=threshold, top=top)
    if slope:
        leaky = call.emit("LeakyRelu", (value.name,), alpha=slope)
        return call.like(clip(call, leaky, None, top) if top is not None else leaky, value)
    if top is None:
        return call.like(call.emit("Relu", (value.name,)), value)
    return call.like(clip(call, value.name, 0.0, top), value)


def _thresholded_relu(
    call: LayerCall, value: Value, *, slope: float, threshold: float, top: float | None
) -> Value:
    border = call.graph.scalar(threshold)
    above = call.emit("GreaterOrEqual", (value.name, border), "above")
    below = call.emit("Sub", (value.name, border), "below")
    below = call.emit("Mul", (below, call.graph.scalar(slope)), "slope")
    kept = value.name if top is None else clip(call, value.name, None, top)
    return call.like(call.emit("Where", (above, kept, below)), value)


def _leaky_relu(call: LayerCall) -> Value:
    key = "negative_slope" if "negative_slope" in call.settings.values else "alpha"
    slope = call.settings.number(key, 0.3)
    return call.like(call.emit("LeakyRelu", (call.input.name,), alpha=slope), call.input)


def _elu(call: LayerCall) -> Value:
    alpha = call.settings.number("alpha", 1.0)
    return call.like(call.emit("Elu", (call.input.name,), alpha=alpha), call.input)


def _prelu(call: LayerCall) -> Value:
    value = call.input
    shared = call.settings.raw("shared_axes") or []
    axes = (
        {axis % value.rank for axis in call.settings.integer_list("shared_axes", ())}
        if (shared)
        else set()
    )
    shape = tuple(1 if axis in axes else call.length(axis) for axis in range(1, value.rank))
    order = value.order

    def arrange(slopes: Any) -> Any:
        return np.transpose(slopes[np.newaxis], order)[0]

    slopes = call.weight_constant("alpha", shape, arrange, form=str(order))
    return call.like(call.emit("PRelu", (value.name, slopes)), value)


def _softmax_layer(call: LayerCall) -> Value:
    value = call.input
    axes = call.settings.integer_list("axis", (-1,))
    if len(axes) != 1 or not -value.rank <= axes[0] < value.rank:
        raise call.unsupported(f"softmax over the axes {list(axes)}")
    return call.like(call.emit("Softmax", (value.name,), axis=value.position(axes[0])), value)


def _thresholded(call: LayerCall) -> Value:
    """Keras 2: x where x > theta, else 0."""
    theta = call.settings.number("theta", 1.0)
    return call.like(call.emit("ThresholdedRelu", (call.input.name,), alpha=theta), call.input)


def _prelu_slots(_settings: Settings) -> tuple[Slot, ...]:
    return (Slot("alpha"),)


ACTIVATION_LAYERS: dict[str, LayerKind] = {
    "Activation": LayerKind(_activation),
    "ReLU": LayerKind(_relu),
    "LeakyReLU": LayerKind(_leaky_relu),
    "ELU": LayerKind(_elu),
    "PReLU": LayerKind(_prelu, _prelu_slots),
    "Softmax": LayerKind(_softmax_layer),
    "ThresholdedReLU": LayerKind(_thresholded),
}
