"""TensorFlowOpLayer: how tf.keras 2.0 to 2.3 stored functions between layers.

One layer holds one TensorFlow operation (``node_def``, a NodeDef as JSON) and the constants among
its inputs by their place. It is read as the function of ``operations`` that it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tintype.errors import ModelFileDamaged, UnsupportedModel
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.operations import FUNCTIONS
from tintype.modelfiles.keras.settings import plain

_MAX_INPUTS = 1024


@dataclass(frozen=True, slots=True)
class _Node:
    """The function an operation is, the names of its inputs, and of its attributes.

    Inputs without a name are taken by their place.
    """

    function: str
    inputs: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)


_KEEP = {"keep_dims": "keepdims"}
_REDUCED = ("input_tensor", "axis")

_NODES: dict[str, _Node] = {
    "AddV2": _Node("math.add"),
    "Add": _Node("math.add"),
    "BiasAdd": _Node("nn.bias_add"),
    "Sub": _Node("math.subtract"),
    "Mul": _Node("math.multiply"),
    "RealDiv": _Node("math.truediv"),
    "Maximum": _Node("math.maximum"),
    "Minimum": _Node("math.minimum"),
    "Pow": _Node("math.pow"),
    "FloorDiv": _Node("math.floordiv"),
    "FloorMod": _Node("math.floormod"),
    "SquaredDifference": _Node("math.squared_difference"),
    **{
        name: _Node(f"math.{function}")
        for name, function in (
            ("Greater", "greater"),
            ("GreaterEqual", "greater_equal"),
            ("Less", "less"),
            ("LessEqual", "less_equal"),
            ("Equal", "equal"),
            ("NotEqual", "not_equal"),
            ("Exp", "exp"),
            ("Log", "log"),
            ("Log1p", "log1p"),
            ("Sqrt", "sqrt"),
            ("Rsqrt", "rsqrt"),
            ("Square", "square"),
            ("Neg", "negative"),
            ("Abs", "abs"),
            ("Floor", "floor"),
            ("Ceil", "ceil"),
            ("Round", "round"),
            ("Sign", "sign"),
            ("Erf", "erf"),
            ("Sin", "sin"),
            ("Cos", "cos"),
            ("Reciprocal", "reciprocal"),
        )
    },
    **{
        name: _Node(f"nn.{name.lower()}")
        for name in ("Relu", "Relu6", "Sigmoid", "Tanh", "Elu", "Selu", "Softplus", "Softsign")
    },
    "Softmax": _Node("nn.softmax"),
    "LogSoftmax": _Node("nn.log_softmax"),
    "LeakyRelu": _Node("nn.leaky_relu", ("features",), {"alpha": "alpha"}),
    "SelectV2": _Node("where"),
    "Identity": _Node("identity"),
    "StopGradient": _Node("identity"),
    "ZerosLike": _Node("zeros_like"),
    "OnesLike": _Node("ones_like"),
    "Mean": _Node("math.reduce_mean", _REDUCED, _KEEP),
    "Sum": _Node("math.reduce_sum", _REDUCED, _KEEP),
    "Max": _Node("math.reduce_max", _REDUCED, _KEEP),
    "Min": _Node("math.reduce_min", _REDUCED, _KEEP),
    "Prod": _Node("math.reduce_prod", _REDUCED, _KEEP),
    "ArgMax": _Node("math.argmax", ("input", "axis")),
    "Reshape": _Node("reshape", ("tensor", "shape")),
    "Transpose": _Node("transpose", ("a", "perm")),
    "Squeeze": _Node("squeeze", ("input",), {"squeeze_dims": "axis"}),
    "ExpandDims": _Node("expand_dims", ("input", "axis")),
    "Tile": _Node("tile", ("input", "multiples")),
    "Pad": _Node("pad", ("tensor", "paddings")),
    "PadV2": _Node("pad", ("tensor", "paddings", "constant_values")),
    "MirrorPad": _Node("pad", ("tensor", "paddings"), {"mode": "mode"}),
    "GatherV2": _Node("gather", ("", "indices", "axis")),
    "ClipByValue": _Node("clip_by_value", ("t", "clip_value_min", "clip_value_max")),
    "Cast": _Node("cast", ("x",), {"DstT": "dtype"}),
    "DepthToSpace": _Node("nn.depth_to_space", ("input",), {"block_size": "block_size"}),
    "SpaceToDepth": _Node("nn.space_to_depth", ("input",), {"block_size": "block_size"}),
    "BatchMatMulV2": _Node("linalg.matmul", (), {"adj_x": "transpose_a", "adj_y": "transpose_b"}),
    "Pack": _Node("stack", (), {"axis": "axis"}),
    "ConcatV2": _Node("concat"),
    "StridedSlice": _Node("__operators__.getitem"),
    "ResizeBilinear": _Node("image.resize", ("images", "size")),
    "ResizeNearestNeighbor": _Node("image.resize", ("images", "size")),
    "ResizeBicubic": _Node("image.resize", ("images", "size")),
}
_METHODS = {
    "ResizeBilinear": "bilinear",
    "ResizeNearestNeighbor": "nearest",
    "ResizeBicubic": "bicubic",
}
_DTYPES = {
    "DT_FLOAT": "float32",
    "DT_HALF": "float16",
    "DT_BFLOAT16": "bfloat16",
    "DT_DOUBLE": "float64",
    "DT_INT32": "int32",
    "DT_INT64": "int64",
    "DT_UINT8": "uint8",
    "DT_BOOL": "bool",
}


def _node_def(call: LayerCall) -> Mapping[str, Any]:
    node = call.settings.raw("node_def")
    if isinstance(node, str) and node.lstrip().startswith("{"):
        try:
            node = json.loads(node)
        except (ValueError, RecursionError) as error:
            raise ModelFileDamaged(f"layer {call.name!r} has a node_def that is no JSON") from error
    if not isinstance(node, dict) or not isinstance(node.get("op"), str):
        raise ModelFileDamaged(f"layer {call.name!r} has no operation in its node_def")
    return node


def _inputs(call: LayerCall) -> list[Any]:
    """The operation's inputs in their order: the layer's tensors, and constants between them."""
    constants = call.settings.raw("constants") or {}
    if not isinstance(constants, dict) or len(constants) > _MAX_INPUTS:
        raise ModelFileDamaged(f"layer {call.name!r} has constants that make no sense")
    if not all(str(place).isdecimal() and int(place) < _MAX_INPUTS for place in constants):
        raise ModelFileDamaged(f"layer {call.name!r} has constants at places that are no numbers")
    inputs: list[Any] = list(call.inputs)
    for place, constant in sorted(constants.items(), key=lambda item: int(item[0])):
        inputs.insert(int(place), plain(constant))
    return inputs


def _attribute(value: Any) -> Any:
    """An AttrValue as JSON has it: whole numbers are texts there, texts base64."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((kind, inner),) = value.items()
    if kind == "i":
        return int(inner)
    if kind == "type":
        return _DTYPES.get(str(inner), str(inner))
    if kind == "list" and isinstance(inner, dict):
        return [int(item) for item in inner.get("i", [])]
    if kind == "s":
        return {"UkVGTEVDVA==": "reflect", "U1lNTUVUUklD": "symmetric"}.get(str(inner), str(inner))
    return inner


def as_function(call: LayerCall) -> tuple[LayerKind, LayerCall]:
    """The function that a TensorFlowOpLayer is, and the call of it with its constants."""
    node = _node_def(call)
    known = _NODES.get(node["op"])
    if known is None:
        raise UnsupportedModel(
            f"layer {call.name!r} is the TensorFlow operation {node['op']!r:.60}, which is not "
            "known here",
            hint="export the model as ONNX or as a SavedModel instead",
        )
    attributes = {key: _attribute(value) for key, value in (node.get("attr") or {}).items()}
    inputs = _inputs(call)
    if not inputs:
        raise ModelFileDamaged(f"layer {call.name!r} has an operation without inputs")
    kwargs = {name: attributes[key] for key, name in known.attributes.items() if key in attributes}
    if node["op"] == "Pack":
        args: list[Any] = [inputs]
    elif node["op"] == "ConcatV2":
        args, kwargs = [inputs[:-1]], {"axis": inputs[-1]}
    elif node["op"] == "StridedSlice":
        args, kwargs = inputs[:1], {"slice_spec": _slices(call, inputs, attributes)}
    elif known.inputs:
        args = inputs[:1] + ([inputs[1]] if known.inputs[0] == "" else [])
        kwargs |= dict(zip(known.inputs[1:], inputs[1:], strict=False))
    else:
        args = inputs
    if node["op"] in _METHODS:
        if attributes.get("align_corners") or not attributes.get("half_pixel_centers"):
            raise call.unsupported("resizing of TensorFlow 1, without half-pixel centres")
        kwargs["method"] = _METHODS[node["op"]]
    written = replace(call, args=tuple(args), kwargs=kwargs)
    return FUNCTIONS[known.function], written


def _slices(call: LayerCall, inputs: list[Any], attributes: Mapping[str, Any]) -> list[Any]:
    """Begin, end and strides with their masks as the index that was written in Python."""
    if len(inputs) != 4 or any(isinstance(item, Value) for item in inputs[1:]):
        raise call.unsupported("a slice at computed places")
    masks = {
        name: int(attributes.get(f"{name}_mask", 0) or 0)
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    found: list[Any] = []
    for place, (start, stop, step) in enumerate(zip(*inputs[1:], strict=True)):
        on = {name for name, mask in masks.items() if mask >> place & 1}
        if "ellipsis" in on:
            found.append({"class_name": "__ellipsis__"})
        elif "new_axis" in on:
            found.append(None)
        elif "shrink_axis" in on:
            found.append(start)
        else:
            first = None if "begin" in on else start
            last = None if "end" in on else stop
            found.append({"start": first, "stop": last, "step": step})
    return found


def _emit(call: LayerCall) -> Value:
    kind, written = as_function(call)
    return kind.emit(written)


def operation_of(call: LayerCall) -> str:
    """The function that a TensorFlowOpLayer is, by its name below ``tf``."""
    known = _NODES.get(_node_def(call)["op"])
    return "" if known is None else known.function


NODE_LAYERS: dict[str, LayerKind] = {"TensorFlowOpLayer": LayerKind(_emit)}
"""Split and Unpack, which have several outputs, are not read in this form."""
