"""Nodes of TensorFlow graphs in a configuration, written as functions: dictionaries in and out.

TensorFlow 2.0 to 2.3 wrote ``x / 255`` in a functional model as a TensorFlowOpLayer: a node of a
TensorFlow graph and its constants (tf_keras ``engine/base_layer.py``). From 2.4 on the same is a
TFOpLambda, which the layer table knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tintype.errors import ModelFileDamaged, UnsupportedModel
from tintype.modelfiles.keras.settings import plain

_KIND = "TensorFlowOpLayer"
_PREFIX = "tf_op_layer_"
_MAX_DEPTH = 64

_OF_TWO = {
    "Add": "math.add",
    "AddV2": "math.add",
    "BiasAdd": "math.add",
    "Maximum": "math.maximum",
    "Minimum": "math.minimum",
    "Mul": "math.multiply",
    "Pow": "math.pow",
    "RealDiv": "math.truediv",
    "Sub": "math.subtract",
}
_OF_ONE = {
    "Abs": "math.abs",
    "Elu": "nn.elu",
    "Exp": "math.exp",
    "Identity": "identity",
    "Log": "math.log",
    "Neg": "math.negative",
    "Relu": "nn.relu",
    "Relu6": "nn.relu6",
    "Selu": "nn.selu",
    "Sigmoid": "nn.sigmoid",
    "Softmax": "nn.softmax",
    "Softplus": "nn.softplus",
    "Sqrt": "math.sqrt",
    "Square": "math.square",
    "Tanh": "nn.tanh",
}
_OVER_AXES = {"Max": "math.reduce_max", "Mean": "math.reduce_mean"}
_FLOATS = {"DT_FLOAT": "float32", "DT_HALF": "float16", "DT_DOUBLE": "float64"}


def translate_graph_nodes(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with every TensorFlowOpLayer written as TFOpLambda.

    Raises UnsupportedModel naming the layer and its operation where there is no such function.
    """
    return _entry(config, 0)


def _entry(entry: Any, depth: int) -> dict[str, Any]:
    if depth > _MAX_DEPTH or not isinstance(entry, Mapping):
        raise ModelFileDamaged(f"a layer without a class: {str(entry)[:80]}")
    if entry.get("class_name") == _KIND:
        return _function(entry)
    body = entry.get("config")
    if isinstance(body, dict) and isinstance(body.get("layers"), list):
        layers = [_entry(item, depth + 1) for item in body["layers"]]
        return {**entry, "config": {**body, "layers": layers}}
    return dict(entry)


def _function(entry: Mapping[str, Any]) -> dict[str, Any]:
    body = entry.get("config")
    if not isinstance(body, dict):
        raise ModelFileDamaged(f"a layer {_KIND} has no settings")
    name = entry.get("name") or f"{_PREFIX}{body.get('name')}"
    op, attributes = _node(body.get("node_def"), name)
    nodes = entry.get("inbound_nodes")
    if not isinstance(nodes, list) or not all(isinstance(node, list) and node for node in nodes):
        raise ModelFileDamaged(f"layer {name!r} ({_KIND}) takes no tensor")
    constants = _constants(body.get("constants"), name)
    if not nodes:
        raise ModelFileDamaged(f"layer {name!r} ({_KIND}) is never called")
    written = [_call(name, op, [*node], constants, attributes) for node in nodes]
    return {
        "class_name": "TFOpLambda",
        "name": name,
        "config": {"name": name, "trainable": True, "function": written[0][0]},
        "inbound_nodes": [call for _, call in written],
    }


def _constants(value: Any, name: Any) -> dict[int, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(str(key).isdecimal() for key in value):
        raise ModelFileDamaged(f"layer {name!r} ({_KIND}) has constants that make no sense")
    return {int(key): plain(value[key]) for key in value}


def _call(
    name: Any,
    op: str,
    tensors: list[Any],
    constants: Mapping[int, Any],
    attributes: Mapping[str, Any],
) -> tuple[str, list[Any]]:
    """The function's name and the call as Keras 2.4 would have written it."""
    operands: list[Any] = [_tensor(item, name) for item in tensors]
    for index in sorted(constants):
        operands.insert(index, ["_CONSTANT_VALUE", -1, constants[index]])
    first = operands[0]
    if op in _OF_TWO and len(operands) == 2:
        other = operands[1]
        second = other[2] if other[0] == "_CONSTANT_VALUE" else other
        return _OF_TWO[op], [*first, {"y": second}]
    if op in _OF_ONE and len(operands) == 1:
        return _OF_ONE[op], [*first, {}]
    if op == "Cast" and len(operands) == 1 and attributes.get("DstT") in _FLOATS:
        return "cast", [*first, {"dtype": _FLOATS[attributes["DstT"]]}]
    if len(operands) == 2 and 1 in constants:
        if op in _OVER_AXES:
            kept = bool(attributes.get("keep_dims"))
            return _OVER_AXES[op], [*first, {"axis": constants[1], "keepdims": kept}]
        if op == "Reshape":
            return "reshape", [*first, {"shape": constants[1]}]
    last = len(operands) - 1
    if op == "ConcatV2" and last > 0 and last in constants:
        axis = {"axis": constants[last]}
        return "concat", [[*item, axis if item is first else {}] for item in operands[:-1]]
    raise UnsupportedModel(
        f"layer {name!r} is the TensorFlow operation {op[:60]!r} with {len(operands)} operands, "
        "which is not known here",
        hint="export the model as ONNX or as a SavedModel instead",
    )


def _tensor(item: Any, name: Any) -> list[Any]:
    if not isinstance(item, list) or len(item) < 3:
        raise ModelFileDamaged(f"layer {name!r} ({_KIND}) is connected in a way without sense")
    return item[:3]


def _node(value: Any, name: Any) -> tuple[str, dict[str, Any]]:
    """Operation and attributes of a NodeDef in JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise ModelFileDamaged(f"layer {name!r} ({_KIND}) holds no valid JSON") from error
    if not isinstance(value, dict):
        raise ModelFileDamaged(f"layer {name!r} ({_KIND}) has no node_def")
    given = value.get("attr")
    attributes = given if isinstance(given, dict) else {}
    return str(value.get("op")), {
        str(key): next(iter(held.values()), None)
        for key, held in attributes.items()
        if isinstance(held, dict)
    }
