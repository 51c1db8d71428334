"""Plain arithmetic between layers: ``keras.ops`` (Keras 3) and TFOpLambda (Keras 2).

Keras writes ``x / 127.5 - 1`` between layers as operations of their own. They name a function of
a fixed list; nothing of it is code.
"""

from __future__ import annotations

from tintype.errors import ModelFileDamaged, UnsupportedModel
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.activation import apply_activation, clip
from tintype.modelfiles.keras.layers.arguments import (
    constant_operand,
    first_of,
    operands,
    option,
    subject,
    tensors,
)
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.indexing import get_item, reshape, transpose
from tintype.modelfiles.keras.layers.merge import aligned, concatenated, pairwise, with_constants
from tintype.modelfiles.keras.layers.patches import PATCHES
from tintype.modelfiles.keras.layers.preprocessing import spread_last


def _arithmetic(op: str) -> LayerKind:
    def emit(call: LayerCall) -> Value:
        left, right = operands(call)
        if isinstance(left, Value) and isinstance(right, Value):
            return _two_tensors(call, op, left, right)
        value = left if isinstance(left, Value) else right
        if not isinstance(value, Value):
            raise ModelFileDamaged(f"operation {call.name!r} ({call.kind}) has no tensor")
        other = constant_operand(call, right if value is left else left)
        name = spread_last(call, value, other, "constant")
        inputs = (value.name, name) if value is left else (name, value.name)
        return call.like(call.emit(op, inputs), value)

    return LayerKind(emit)


def _two_tensors(call: LayerCall, op: str, left: Value, right: Value) -> Value:
    if left.rank != right.rank:
        # By numpy's rule the missing axes come in front, so the batch axis would move.
        raise call.unsupported(f"tensors of {left.rank} and {right.rank} axes together")
    one, other = aligned(call, (left, right))
    return pairwise(call, op, one, other)


def _activation(name: str) -> LayerKind:
    def emit(call: LayerCall) -> Value:
        tensor = subject(call)
        extra = [arg for arg in call.args if arg is not tensor and arg != -1]
        named = {key for key, arg in call.kwargs.items() if arg not in (None, tensor, -1, False)}
        if extra or named - {"name"}:
            raise call.unsupported("an activation with settings of its own")
        return apply_activation(call, tensor, name)

    return LayerKind(emit)


def _unary(op: str) -> LayerKind:
    def emit(call: LayerCall) -> Value:
        value = subject(call)
        return call.like(call.emit(op, (value.name,)), value)

    return LayerKind(emit)


def _square(call: LayerCall) -> Value:
    value = subject(call)
    return call.like(call.emit("Mul", (value.name, value.name)), value)


def _clip(call: LayerCall) -> Value:
    value = subject(call)
    given = list(call.args[1:])
    low = given[0] if given else first_of(call, ("x_min", "clip_value_min"))
    high = given[1] if len(given) > 1 else first_of(call, ("x_max", "clip_value_max"))
    bounds = [
        None if bound is None else float(constant_operand(call, bound).reshape(-1)[0])
        for bound in (low, high)
    ]
    return call.like(clip(call, value.name, bounds[0], bounds[1]), value)


def _cast(call: LayerCall) -> Value:
    """Everything is float32 here; a cast to whole numbers would change values."""
    dtype = call.args[1] if len(call.args) > 1 else call.settings.raw("dtype")
    dtype = call.kwargs.get("dtype", dtype)
    if not isinstance(dtype, str) or "float" not in dtype:
        raise call.unsupported(f"a cast to {dtype!r:.40}")
    return subject(call)


def _mean(op: str) -> LayerKind:
    def emit(call: LayerCall) -> Value:
        value = subject(call)
        axes = _reduction_axes(call, value)
        keep = bool(option(call, "keepdims", default=False))
        positions = tuple(sorted(value.position(axis) for axis in axes))
        name = call.emit(op, (value.name,), axes=positions, keepdims=int(keep))
        if keep:
            shape = tuple(1 if axis in axes else n for axis, n in enumerate(value.shape))
            return call.result(name, shape, value.order)
        left = [axis for axis in value.order if axis not in axes]
        kept = sorted(left)
        shape = tuple(value.shape[axis] for axis in kept)
        return call.result(name, shape, tuple(kept.index(axis) for axis in left))

    return LayerKind(emit)


def _reduction_axes(call: LayerCall, value: Value) -> list[int]:
    given = option(call, "axis", default=None)
    axes = given if isinstance(given, list) else [given]
    if not all(isinstance(axis, int) and -value.rank <= axis < value.rank for axis in axes):
        raise call.unsupported(f"a reduction over the axes {given!r:.40}")
    whole = [axis % value.rank for axis in axes]
    if 0 in whole:
        raise call.unsupported("a reduction over the batch axis")
    return whole


def _concat(call: LayerCall) -> Value:
    listed = call.args[0] if call.args else first_of(call, ("values", "xs"))
    values = with_constants(call, listed if isinstance(listed, list) else tensors(call))
    axis = option(call, "axis", default=-1)
    if not isinstance(axis, int) or not values:
        raise call.unsupported(f"joining along the axis {axis!r:.40}")
    return concatenated(call, values, axis)


_ARITHMETIC = {
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "truediv": "Div",
    "maximum": "Max",
    "minimum": "Min",
    "pow": "Pow",
}
_UNARY = {"sqrt": "Sqrt", "exp": "Exp", "abs": "Abs", "negative": "Neg", "log": "Log", "erf": "Erf"}
_ACTIVATIONS = (
    "relu",
    "relu6",
    "sigmoid",
    "softmax",
    "log_softmax",
    "tanh",
    "silu",
    "swish",
    "gelu",
    "elu",
    "selu",
    "softplus",
    "softsign",
    "hard_silu",
)

_FUNCTIONS: dict[str, LayerKind] = {
    **{f"math.{name}": _arithmetic(op) for name, op in _ARITHMETIC.items()},
    **{f"__operators__.{name}": _arithmetic(op) for name, op in _ARITHMETIC.items()},
    "math.divide": _arithmetic("Div"),
    "divide": _arithmetic("Div"),
    "__operators__.getitem": LayerKind(get_item),
    **{f"math.{name}": _unary(op) for name, op in _UNARY.items()},
    **{f"nn.{name}": _activation("silu" if name == "swish" else name) for name in _ACTIVATIONS},
    **{f"math.{name}": _activation(name) for name in ("sigmoid", "tanh", "softplus")},
    "math.square": LayerKind(_square),
    "math.reduce_mean": _mean("ReduceMean"),
    "math.reduce_max": _mean("ReduceMax"),
    "clip_by_value": LayerKind(_clip),
    "cast": LayerKind(_cast),
    "concat": LayerKind(_concat),
    "transpose": LayerKind(transpose),
    "reshape": LayerKind(reshape),
    "identity": LayerKind(subject),
}
_FUNCTIONS["nn.bias_add"] = _arithmetic("Add")
_FUNCTIONS["image.extract_patches"] = PATCHES


def _tf_function(call: LayerCall) -> Value:
    function = call.settings.raw("function")
    kind = _FUNCTIONS.get(function) if isinstance(function, str) else None
    if kind is None:
        raise UnsupportedModel(
            f"layer {call.name!r} is the TensorFlow function {function!r:.60}, which is not known "
            "here",
            hint="export the model as ONNX or as a SavedModel instead",
        )
    return kind.emit(call)


OPERATION_LAYERS: dict[str, LayerKind] = {
    "TFOpLambda": LayerKind(_tf_function),
    "SlicingOpLambda": LayerKind(_tf_function),
    "op:ExtractPatches": PATCHES,
    "op:Add": _arithmetic("Add"),
    "op:Subtract": _arithmetic("Sub"),
    "op:Multiply": _arithmetic("Mul"),
    "op:TrueDivide": _arithmetic("Div"),
    "op:Divide": _arithmetic("Div"),
    "op:Maximum": _arithmetic("Max"),
    "op:Minimum": _arithmetic("Min"),
    "op:Power": _arithmetic("Pow"),
    "op:Sqrt": _unary("Sqrt"),
    "op:Exp": _unary("Exp"),
    "op:Log": _unary("Log"),
    "op:Negative": _unary("Neg"),
    "op:Absolute": _unary("Abs"),
    "op:Abs": _unary("Abs"),
    "op:Square": LayerKind(_square),
    "op:Clip": LayerKind(_clip),
    "op:Cast": LayerKind(_cast),
    "op:Mean": _mean("ReduceMean"),
    "op:Max": _mean("ReduceMax"),
    "op:Concatenate": LayerKind(_concat),
    "op:GetItem": LayerKind(get_item),
    "op:Transpose": LayerKind(transpose),
    "op:Reshape": LayerKind(reshape),
    "op:Relu": _activation("relu"),
    "op:Relu6": _activation("relu6"),
    "op:Sigmoid": _activation("sigmoid"),
    "op:Softmax": _activation("softmax"),
    "op:LogSoftmax": _activation("log_softmax"),
    "op:Tanh": _activation("tanh"),
    "op:Silu": _activation("silu"),
    "op:Elu": _activation("elu"),
    "op:Selu": _activation("selu"),
    "op:Softplus": _activation("softplus"),
    "op:Softsign": _activation("softsign"),
    "op:HardSilu": _activation("hard_silu"),
    "op:HardSigmoid": _activation("hard_sigmoid"),
}
