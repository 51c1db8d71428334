"""Layers of well-known packages that are a name and a formula, each with its source.

A file tells of such a layer its class name and settings alone. Only those stand here whose name
means one formula in every version. Activations by other names are in ``activation_names``.
"""

from __future__ import annotations

from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.activation import activation_name, apply_activation
from tintype.modelfiles.keras.layers.adaptive import ADAPTIVE_LAYERS
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.grouped import GROUPED_LAYERS, group_normalisation
from tintype.modelfiles.keras.layers.merge import aligned, pairwise

_ADDONS = "Addons>"
"""tensorflow_addons registered its classes under this package (TensorFlow Addons 0.7 to 0.23)."""


def _identity(call: LayerCall) -> Value:
    return call.input


def _activation(name: str) -> LayerKind:
    def emit(call: LayerCall) -> Value:
        return apply_activation(call, call.input, name)

    return LayerKind(emit)


def _gelu(call: LayerCall) -> Value:
    """tensorflow_addons ``layers/gelu.py``; it keeps ``approximate`` in its settings."""
    approximate = call.settings.flag("approximate", default=True)
    return apply_activation(call, call.input, "gelu_tanh" if approximate else "gelu")


def _stochastic_depth(call: LayerCall) -> Value:
    """tensorflow_addons ``layers/stochastic_depth.py``: shortcut + p * residual at inference."""
    if len(call.inputs) != 2:
        raise call.unsupported(f"{len(call.inputs)} tensors in place of shortcut and residual")
    chance = call.settings.number("survival_probability", 0.5)
    shortcut, residual = aligned(call, call.inputs)
    scaled = call.emit("Mul", (residual.name, call.graph.scalar(chance)), "expected")
    return pairwise(call, "Add", shortcut, call.like(scaled, residual))


def _custom_scale(call: LayerCall) -> Value:
    """Keras ``applications/inception_resnet_v2.py``: shortcut + scale * residual."""
    if len(call.inputs) != 2:
        raise call.unsupported(f"{len(call.inputs)} tensors in place of shortcut and residual")
    scale = call.settings.number("scale", 1.0)
    shortcut, residual = aligned(call, call.inputs)
    scaled = call.emit("Mul", (residual.name, call.graph.scalar(scale)), "scaled")
    return pairwise(call, "Add", shortcut, call.like(scaled, residual))


_INSTANCE = LayerKind(
    group_normalisation(default_groups=-1).emit, GROUPED_LAYERS["GroupNormalization"].slots
)

THIRD_PARTY_LAYERS: dict[str, LayerKind] = {
    # qubvel, efficientnet 0.0.4 to 1.1.1: a Dropout with a fixed noise shape
    "FixedDropout": LayerKind(_identity),
    # InceptionResNetV2 of keras.applications: a layer of its own, in no public list
    "CustomScaleLayer": LayerKind(_custom_scale),
    "Custom>CustomScaleLayer": LayerKind(_custom_scale),  # as Keras 2 registered it
    # Huang and others, Deep networks with stochastic depth, 2016, as keras_cv and many
    # ports of Vision Transformers name it: nothing is dropped at inference
    "DropPath": LayerKind(_identity),
    "DropConnect": LayerKind(_identity),
    # x * sigmoid(x); x * tanh(softplus(x)); x * relu6(x + 3) / 6, as layers without weights
    **{
        name: _activation(activation_name(name, name))
        for name in ("Swish", "SiLU", "Mish", "HSwish", "HardSwish", "HSigmoid")
    },
    # TensorFlow Addons: the formulas Keras took over later
    f"{_ADDONS}GroupNormalization": group_normalisation(),
    f"{_ADDONS}InstanceNormalization": _INSTANCE,
    **{f"{_ADDONS}{name}": kind for name, kind in ADAPTIVE_LAYERS.items()},
    f"{_ADDONS}GELU": LayerKind(_gelu),
    f"{_ADDONS}StochasticDepth": LayerKind(_stochastic_depth),
}

SOURCES: dict[str, str] = {
    "CustomScaleLayer": "keras.applications, InceptionResNetV2",
    "Custom>CustomScaleLayer": "keras.applications, InceptionResNetV2",
    "FixedDropout": "qubvel/efficientnet, a Dropout with a fixed noise shape",
    "DropPath": "Huang and others, Deep networks with stochastic depth, 2016",
    "DropConnect": "Huang and others, Deep networks with stochastic depth, 2016",
    "Swish": "Ramachandran and others, Searching for activation functions, 2017",
    "SiLU": "Ramachandran and others, Searching for activation functions, 2017",
    "Mish": "Misra, Mish: a self regularized non-monotonic activation function, 2019",
    "HSwish": "Howard and others, Searching for MobileNetV3, 2019",
    "HardSwish": "Howard and others, Searching for MobileNetV3, 2019",
    "HSigmoid": "Howard and others, Searching for MobileNetV3, 2019",
    **{name: "TensorFlow Addons" for name in THIRD_PARTY_LAYERS if name.startswith(_ADDONS)},
}
"""Where each of them comes from, for the page of layers."""
