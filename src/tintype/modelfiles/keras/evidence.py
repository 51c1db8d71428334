"""What a Keras model tells about how its pictures were prepared in training.

The way from the picture input to the first convolution is followed as long as it does not fork:
arithmetic on it is composed into one scale and offset a channel, paddings and croppings are
passed, and the batch normalisation behind the convolution is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tintype.modelfiles.description import Evidence, FirstLayers, InGraphAffine, InGraphResize
from tintype.modelfiles.keras.build import Building, Step
from tintype.modelfiles.keras.config import LayerConfig, ModelConfig
from tintype.modelfiles.keras.fingerprint import backbone_of, is_teachable_machine
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.activation import activation_name
from tintype.modelfiles.keras.layers.arguments import constant_operand, operands
from tintype.modelfiles.keras.layers.convolution import channels_of
from tintype.modelfiles.keras.layers.nodes import as_function, operation_of
from tintype.modelfiles.keras.layers.preprocessing import mean_and_deviation
from tintype.types import Float32Array, ImageInput, Layout

_PASSED = frozenset({"ZeroPadding2D", "Cropping2D", "CenterCrop", "Reshape"})
_ARITHMETIC = {
    "op:Add": "add",
    "op:Subtract": "subtract",
    "op:Multiply": "multiply",
    "op:TrueDivide": "truediv",
    "op:Divide": "truediv",
    "math.add": "add",
    "math.subtract": "subtract",
    "math.multiply": "multiply",
    "math.truediv": "truediv",
    "math.divide": "truediv",
    "__operators__.add": "add",
    "__operators__.multiply": "multiply",
}
_Users: TypeAlias = Mapping[str, Sequence[Step]]

_FLIPS = frozenset({"op:GetItem", "SlicingOpLambda"})


@dataclass(slots=True)
class _Way:
    """What has been met on the way: x * scale + offset in the current channel order.

    ``channels[i]`` is the input channel that lies at place i now.
    """

    scale: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]
    channels: npt.NDArray[np.intp]
    where: list[str] = field(default_factory=list)
    resize: InGraphResize | None = None

    def apply(self, scale: Any, offset: Any, where: str) -> None:
        self.scale = self.scale * scale
        self.offset = self.offset * scale + offset
        self.where.append(where)

    def affine(self) -> InGraphAffine | None:
        if not self.where:
            return None
        back = np.argsort(self.channels)
        return InGraphAffine(
            scale=tuple(self.scale[back].tolist()),
            offset=tuple(self.offset[back].tolist()),
            where=", ".join(self.where),
        )


def gather_evidence(
    model: ModelConfig, building: Building, *, image: ImageInput, value: Value, generation: int
) -> tuple[Evidence, tuple[str, ...]]:
    """The evidence, and remarks in words. ``value`` is the picture's tensor in the graph."""
    count = image.channels
    way = _Way(np.ones(count), np.zeros(count), np.arange(count))
    first = _follow(_users(building.steps), value, way, image)
    notes: tuple[str, ...] = ()
    if (way.channels != np.arange(count)).any():
        notes = ("the model reorders the colour channels itself",)
    evidence = Evidence(
        affine=way.affine(),
        resize=way.resize,
        first_layers=first,
        backbone=backbone_of(_all_layers(model)),
        teachable_machine=is_teachable_machine(model, image, generation),
        source="keras",
    )
    return evidence, notes


def _follow(users: _Users, start: Value, way: _Way, image: ImageInput) -> FirstLayers | None:
    current = start
    for _ in users:
        step = _only_user(users, current)
        if step is None:
            return None
        kind = step.call.kind
        if kind in {"Conv2D", "SeparableConv2D", "DepthwiseConv2D"}:
            return _first_layers(users, step, way)
        if kind == "BatchNormalization":
            return _memory_of_input(step, way, current)
        if not _pass(step, way, image):
            return None
        current = step.output
    return None


def _users(steps: Sequence[Step]) -> _Users:
    """Which steps take each tensor; layers that hand theirs on unchanged are looked through."""
    users: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        for name in dict.fromkeys(value.name for value in _taken(step)):
            if name != step.output.name:
                users[name].append(step)
    return users


def _only_user(users: _Users, value: Value) -> Step | None:
    """The one step that takes ``value``; None where the way ends or forks."""
    found = users.get(value.name, ())
    return found[0] if len(found) == 1 else None


def _taken(step: Step) -> Iterator[Value]:
    yield from step.call.inputs
    yield from (item for item in step.call.kwargs.values() if isinstance(item, Value))


def _pass(step: Step, way: _Way, image: ImageInput) -> bool:
    """Take note of one step on the way; False where it cannot be followed further."""
    call, kind = step.call, step.call.kind
    if kind in _PASSED:
        return kind != "Reshape" or image.layout in {Layout.FLAT, Layout.NHW}
    if kind == "Rescaling":
        scale = np.asarray(call.settings.numbers("scale"))
        way.apply(scale, np.asarray(call.settings.numbers("offset", 0.0)), call.name)
        return True
    if kind == "Resizing":
        way.resize = InGraphResize(
            height=call.settings.integer("height"),
            width=call.settings.integer("width"),
            kind=f"tf2 {call.settings.text('interpolation', 'bilinear')}",
            where=call.name,
            cut=False,
        )
        return True
    if kind == "Normalization":
        return _pass_normalization(step, way)
    if kind in _FLIPS:
        return _pass_slice(step, way)
    if kind == "TensorFlowOpLayer":
        step = replace(step, call=as_function(call)[1])
        kind = operation_of(call)
    function = _ARITHMETIC.get(kind) or _ARITHMETIC.get(str(call.settings.raw("function")))
    return function is not None and _pass_arithmetic(step, way, function)


def _pass_normalization(step: Step, way: _Way) -> bool:
    call = step.call
    mean, deviation = mean_and_deviation(call, call.input)
    channels = way.scale.size
    if mean.size not in {1, channels} or call.settings.flag("invert", default=False):
        return False
    scale = 1 / deviation.reshape(-1).astype(np.float64)
    way.apply(scale, -mean.reshape(-1) * scale, call.name)
    return True


def _pass_slice(step: Step, way: _Way) -> bool:
    """Only ``x[..., ::-1]``: all of every axis, the channels backwards."""
    value = step.output
    if value.shape != step.call.inputs[0].shape:
        return False
    way.channels = way.channels[::-1].copy()
    way.scale, way.offset = way.scale[::-1].copy(), way.offset[::-1].copy()
    return True


def _pass_arithmetic(step: Step, way: _Way, function: str) -> bool:
    call = step.call
    left, right = operands(call)
    if isinstance(left, Value) and isinstance(right, Value):
        return False
    forward = isinstance(left, Value)
    number = constant_operand(call, right if forward else left).astype(np.float64).reshape(-1)
    if number.size not in {1, way.scale.size}:
        return False
    if function == "truediv" and (not forward or not number.all()):
        return False
    scale, offset = {
        "add": (1.0, number),
        "subtract": (1.0, -number) if forward else (-1.0, number),
        "multiply": (number, 0.0),
        "truediv": (1 / number if number.all() else number, 0.0),
    }[function]
    way.apply(scale, offset, call.name)
    return True


def _memory_of_input(step: Step, way: _Way, value: Value) -> FirstLayers | None:
    """A batch normalisation on the picture itself: the kernel is the identity."""
    axes = step.call.settings.integer_list("axis", (-1,))
    count = way.scale.size
    if len(axes) != 1 or value.shape[axes[0]] != count:
        return None
    kernel = np.zeros((1, 1, count, count), np.float32)
    kernel[0, 0, way.channels, np.arange(count)] = 1
    layers = FirstLayers(kernel=kernel, bias=None, mean=None, variance=None, where=step.call.name)
    return _remembering(layers, step)


def _first_layers(users: _Users, step: Step, way: _Way) -> FirstLayers | None:
    call = step.call
    kernel = _kernel(step, way.channels.size)
    if kernel is None:
        return None
    ordered = np.empty_like(kernel)
    ordered[:, :, way.channels] = kernel
    bias = call.weight("bias", (kernel.shape[3],)) if call.has_weight("bias") else None
    name = activation_name(call.settings.raw("activation"), call.name)
    ceiling = _ceiling(name)
    rectified = ceiling is not None
    if not rectified and name != "linear":
        return None
    after = _only_user(users, step.output)
    if after is not None and not rectified:
        ceiling = _rectifier(after)
        rectified = ceiling is not None
        after = _only_user(users, after.output) if rectified else after
    if after is None or not _normalises_channels(after, kernel.shape[3]):
        return None
    layers = FirstLayers(
        kernel=ordered,
        bias=bias,
        mean=None,
        variance=None,
        rectified=rectified,
        ceiling=ceiling or None,
        where=f"{call.name}, {after.call.name}",
    )
    return _remembering(layers, after)


def _normalises_channels(step: Step, channels: int) -> bool:
    if step.call.kind != "BatchNormalization":
        return False
    axes = step.call.settings.integer_list("axis", (-1,))
    stored = step.call.weights["moving_mean"].shape
    # Behind a convolution the channels lie in front.
    return step.call.input.position(axes[0]) == 1 and stored == (channels,)


def _remembering(layers: FirstLayers, step: Step) -> FirstLayers:
    """``layers`` with what the batch normalisation ``step`` remembers."""
    count = layers.kernel.shape[3]
    return replace(
        layers,
        mean=step.call.weight("moving_mean", (count,)),
        variance=step.call.weight("moving_variance", (count,)),
        epsilon=step.call.settings.number("epsilon", 1e-3),
    )


def _kernel(step: Step, inputs: int) -> Float32Array | None:
    """The kernel as kh x kw x ``inputs`` x cout, a separable one multiplied out."""
    call = step.call
    stored = {name: call.weights[name].shape for name in call.weights}
    if channels_of(call) != inputs:
        return None
    if call.kind == "Conv2D":
        if call.settings.integer("groups", 1) != 1:
            return None
        return call.weight("kernel", stored["kernel"])
    depthwise = call.weight("depthwise_kernel", stored["depthwise_kernel"])
    height, width, channels, multiplier = depthwise.shape
    spread = np.zeros((height, width, channels, channels * multiplier), np.float32)
    for channel in range(channels):
        begin = channel * multiplier
        spread[:, :, channel, begin : begin + multiplier] = depthwise[:, :, channel]
    if call.kind == "DepthwiseConv2D":
        return spread
    pointwise = call.weight("pointwise_kernel", stored["pointwise_kernel"])[0, 0]
    return np.asarray(spread @ pointwise, np.float32)


def _ceiling(name: str) -> float | None:
    """0 for a ReLU without end, its end for one with; None for anything else."""
    return {"relu": 0.0, "relu6": 6.0}.get(name)


def _rectifier(step: Step) -> float | None:
    call = step.call
    if call.kind == "Activation":
        return _ceiling(activation_name(call.settings.raw("activation"), call.name))
    if call.kind in {"op:Relu", "op:Relu6"}:
        return 6.0 if call.kind == "op:Relu6" else 0.0
    settings = call.settings
    plain = not settings.optional_number("negative_slope") and not settings.optional_number(
        "threshold"
    )
    if call.kind == "ReLU" and plain:
        return settings.optional_number("max_value") or 0.0
    return None


def _all_layers(model: ModelConfig) -> list[LayerConfig]:
    found: list[LayerConfig] = []
    for layer in model.layers:
        found.append(layer)
        if layer.inner is not None:
            found.extend(_all_layers(layer.inner))
    return found
