"""Oddities of Keras 2 put into its usual words: dictionaries in and out.

TensorFlow 2.0 and 2.1 wrote the node of a TensorFlowOpLayer as the bytes of a NodeDef, taken for
text; from 2.2 on it is JSON (tf_keras ``engine/base_layer.py``, ``TensorFlowOpLayer``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.keras1 import layer_entries
from tintype.modelfiles.protobuf_fields import Field, fields_in

_KIND = "TensorFlowOpLayer"
_MAX_DEPTH = 64
_TYPES = {
    1: "DT_FLOAT",
    2: "DT_DOUBLE",
    3: "DT_INT32",
    4: "DT_UINT8",
    9: "DT_INT64",
    10: "DT_BOOL",
    14: "DT_BFLOAT16",
    19: "DT_HALF",
}


def has_graph_nodes(config: Mapping[str, Any]) -> bool:
    """Whether any layer is a node of a TensorFlow graph."""
    return any(entry.get("class_name") == _KIND for entry in layer_entries(config))


def nodes_as_json(entry: Any, depth: int = 0) -> dict[str, Any]:
    """The configuration of a model or layer with every node of a graph in the form of JSON."""
    if depth > _MAX_DEPTH or not isinstance(entry, Mapping):
        raise ModelFileDamaged(f"a layer without a class: {str(entry)[:80]}")
    body = entry.get("config")
    if not isinstance(body, dict):
        return dict(entry)
    node = body.get("node_def")
    if entry.get("class_name") == _KIND and isinstance(node, str) and node[:1] != "{":
        data = node.encode("utf-8", errors="replace")
        return {**entry, "config": {**body, "node_def": _node_of_bytes(data)}}
    if isinstance(body.get("layers"), list):
        layers = [nodes_as_json(item, depth + 1) for item in body["layers"]]
        return {**entry, "config": {**body, "layers": layers}}
    return dict(entry)


def _node_of_bytes(data: bytes) -> dict[str, Any]:
    """NodeDef: 2 op, 5 attr, a map of text to AttrValue (tensorflow ``node_def.proto``)."""
    op, attributes = "", {}
    for field in fields_in(data):
        if (field.number, field.wire) == (2, 2):
            op = _text(field)
        elif (field.number, field.wire) == (5, 2):
            pair = {part.number: part for part in fields_in(field.head)}
            if 1 in pair and 2 in pair:
                attributes[_text(pair[1])] = _attribute(pair[2].head[: pair[2].value])
    return {"op": op, "attr": attributes}


def _attribute(data: bytes) -> dict[str, Any]:
    """AttrValue (``attr_value.proto``) as JSON has it: 3 i, 5 b, 6 type; others are left out."""
    held = next(fields_in(data), None)
    if held is None or held.wire != 0:
        return {}
    if held.number == 6:
        return {"type": _TYPES.get(held.value, str(held.value))}
    return {"i": str(held.value)} if held.number == 3 else {"b": bool(held.value)}


def _text(field: Field) -> str:
    return field.head[: field.value].decode("utf-8", errors="replace")
