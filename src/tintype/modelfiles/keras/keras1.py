"""Configurations of Keras 1 (1.0 to 1.2) put into the words of Keras 2: dictionaries in and out.

Names and meanings as Keras 2.0 translated them for calls in the old manner (keras 2.0
``legacy/interfaces.py`` and ``legacy/layers.py``). What the weights need is in ``old_weights``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tintype.errors import ModelFileDamaged, UnsafeModel, UnsupportedModel

_CLASSES = {
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
    "TimeDistributedDense": "Dense",
}
_MERGES = {
    "sum": "Add",
    "mul": "Multiply",
    "ave": "Average",
    "max": "Maximum",
    "concat": "Concatenate",
    "dot": "Dot",
}
_OWN_CLASSES = frozenset({*_CLASSES, "Merge", "MaxoutDense", "Highway"})
_OWN_SETTINGS = frozenset(
    {"nb_filter", "border_mode", "subsample", "init", "dim_ordering", "gamma_init"}
)
_RENAMED = {
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "border_mode": "padding",
    "subsample": "strides",
    "subsample_length": "strides",
    "atrous_rate": "dilation_rate",
    "input_dtype": "dtype",
    "pool_length": "pool_size",
    "sigma": "stddev",
    "inner_activation": "recurrent_activation",
}
"""Settings that were only renamed, whatever the layer."""

_RENAMED_IN: dict[str, dict[str, str]] = {
    "Dense": {"output_dim": "units"},
    "MaxoutDense": {"output_dim": "units"},
    "SimpleRNN": {"output_dim": "units"},
    "Dropout": {"p": "rate"},
    "SpatialDropout1D": {"p": "rate"},
    "SpatialDropout2D": {"p": "rate"},
    "SpatialDropout3D": {"p": "rate"},
    "GaussianDropout": {"p": "rate"},
    "MaxPooling1D": {"stride": "strides"},
    "AveragePooling1D": {"stride": "strides"},
    "UpSampling1D": {"length": "size"},
}
_REGROUPED = frozenset({"LSTM", "GRU", "ConvLSTM2D", "Bidirectional"})
_DATA_FORMATS = {"th": "channels_first", "tf": "channels_last"}
_MAX_DEPTH = 64


def is_keras1(config: Mapping[str, Any], version: str | None) -> bool:
    """Whether Keras 1 wrote it: by the version, or by settings that only Keras 1 has.

    Versions before 1.2 did not write theirs.
    """
    if version is not None:
        return version.startswith("1.")
    return any(
        str(entry.get("class_name")) in _OWN_CLASSES
        or (isinstance(entry.get("config"), dict) and _OWN_SETTINGS & entry["config"].keys())
        for entry in layer_entries(config)
    )


def layer_entries(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entry of every layer, nested models and theirs included."""
    found: list[Mapping[str, Any]] = []
    pending: list[Any] = [config]
    while pending:
        entry = pending.pop()
        if not isinstance(entry, Mapping):
            continue
        found.append(entry)
        body = entry.get("config")
        layers = body.get("layers") if isinstance(body, dict) else body
        pending.extend(layers if isinstance(layers, list) else [])
    return found


def translate(config: Mapping[str, Any]) -> dict[str, Any]:
    """A model's configuration in the words of Keras 2; what is new already stays as it is.

    Raises UnsupportedModel or UnsafeModel where Keras 2 has no such thing, ModelFileDamaged where
    the settings make no sense.
    """
    return _entry(config, 0)


def named(config: Mapping[str, Any], layer_names: Sequence[str]) -> dict[str, Any]:
    """``config`` with names for the models that have none.

    Up to Keras 2.2 a Sequential was written as a bare list, without its name; as part of another
    Sequential it is known by the groups of the weights, one a layer, in order.
    """
    layers = config.get("config")
    if not isinstance(layers, list) or not all(isinstance(entry, dict) for entry in layers):
        return dict(config)
    names: list[str | None] = [*layer_names]
    if len(names) == len(layers) - 1 and layers and layers[0].get("class_name") == "InputLayer":
        names.insert(0, None)
    if len(names) != len(layers):
        return dict(config)
    filled = [
        {**entry, "name": name}
        if name and isinstance(entry.get("config"), list) and "name" not in entry
        else entry
        for entry, name in zip(layers, names, strict=True)
    ]
    return {**config, "config": filled}


def _entry(entry: Any, depth: int) -> dict[str, Any]:
    if depth > _MAX_DEPTH:
        raise ModelFileDamaged(f"models are nested more than {_MAX_DEPTH} deep")
    if not isinstance(entry, Mapping):
        raise ModelFileDamaged(f"a layer without a class: {str(entry)[:80]}")
    body = entry.get("config")
    if isinstance(body, list):
        return {**entry, "config": [_entry(item, depth + 1) for item in body]}
    if not isinstance(body, dict):
        return dict(entry)
    if entry.get("class_name") == "Merge":
        return _merge(entry, body)
    if isinstance(body.get("layers"), list):
        layers = [_entry(item, depth + 1) for item in body["layers"]]
        return {**entry, "config": {**body, "layers": layers}}
    return _layer(entry, body, depth)


def _layer(entry: Mapping[str, Any], body: dict[str, Any], depth: int) -> dict[str, Any]:
    kind = str(entry.get("class_name"))
    name = body.get("name")
    if kind in _REGROUPED:
        raise UnsupportedModel(
            f"layer {name!r} is a {kind} of Keras 1, which keeps its weights in pieces that are "
            "not read here",
            hint="load and save it once with Keras 2.2, or export it as ONNX",
        )
    kind = _CLASSES.get(kind, kind)
    more = _RENAMED_IN.get(kind, {})
    settings = {more.get(key) or _RENAMED.get(key, key): body[key] for key in body}
    settings |= _kernel_size(body)
    if isinstance(body.get("bias"), bool):
        settings["use_bias"] = settings.pop("bias")
    if body.get("dim_ordering") is not None:
        settings["data_format"] = _data_format(settings.pop("dim_ordering"), name)
    if isinstance(settings.get("layer"), dict):
        settings["layer"] = _entry(settings["layer"], depth + 1)
    if kind == "BatchNormalization":
        _check_mode(settings)
    if kind in {"ZeroPadding1D", "ZeroPadding2D"}:
        settings["padding"] = _margins(settings.get("padding"))
    return {**entry, "class_name": kind, "config": settings}


def _kernel_size(body: Mapping[str, Any]) -> dict[str, Any]:
    """Keras 1 has one setting a side."""
    for sides in (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3")):
        if all(side in body for side in sides):
            return {"kernel_size": [body[side] for side in sides]}
    return {}


def _data_format(ordering: Any, name: Any) -> str:
    if not isinstance(ordering, str) or ordering not in _DATA_FORMATS:
        raise ModelFileDamaged(
            f"layer {name!r} has dim_ordering {str(ordering)[:40]!r}; expected 'th' or 'tf'"
        )
    return _DATA_FORMATS[ordering]


def _check_mode(settings: Mapping[str, Any]) -> None:
    mode = settings.get("mode", 0)
    if mode not in (0, None):
        what = {"1": "each picture by its own statistics", "2": "by the statistics of the batch"}
        raise UnsupportedModel(
            f"layer {settings.get('name')!r} is a BatchNormalization of mode {str(mode)[:20]} "
            f"(Keras 1), which normalises {what.get(str(mode), 'in another way')}; only mode 0 "
            "is read",
            hint="export the model as ONNX from the Keras that wrote it",
        )


def _margins(padding: Any) -> Any:
    """(top, bottom, left, right) and {'top_pad': ...} in the form of Keras 2: a pair an axis."""
    if isinstance(padding, dict):
        sides = ("left_pad", "right_pad")
        if padding.keys() <= set(sides):
            return [padding.get(side, 0) for side in sides]
        pairs = (("top_pad", "bottom_pad"), sides)
        return [[padding.get(side, 0) for side in pair] for pair in pairs]
    if isinstance(padding, list) and len(padding) == 4:
        return [padding[:2], padding[2:]]
    return padding


def _merge(entry: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    name, mode = body.get("name"), body.get("mode")
    if body.get("mode_type", "raw") != "raw" or not isinstance(mode, str):
        raise UnsafeModel(
            f"layer {name!r} is a Merge by Python code, which is never run",
            hint="export the model as ONNX, then try again",
        )
    if isinstance(body.get("layers"), list):
        raise UnsupportedModel(
            f"the model begins with layer {name!r}, which merges {len(body['layers'])} models "
            "with inputs of their own; only models of one picture can be served",
            hint="build it as Model(input=..., output=...) with one picture input",
        )
    axes = body.get("dot_axes", -1)
    if mode == "cos":
        return {**entry, **_cosine(name, axes)}
    if mode not in _MERGES:
        raise UnsupportedModel(
            f"layer {name!r} merges by {mode[:40]!r}; known are {', '.join([*_MERGES, 'cos'])}"
        )
    settings = {"name": name}
    settings |= {"axis": body.get("concat_axis", -1)} if mode == "concat" else {}
    settings |= {"axes": axes, "normalize": False} if mode == "dot" else {}
    return {**entry, "class_name": _MERGES[mode], "config": settings}


def _cosine(name: Any, axes: Any) -> dict[str, Any]:
    """The scalar product of normalised rows, with one more axis: as a model of three layers."""
    sides = ["left", "right"]
    inputs = [
        {"class_name": "InputLayer", "name": side, "config": {"name": side}} for side in sides
    ]
    dot = {
        "class_name": "Dot",
        "name": "dot",
        "config": {"name": "dot", "axes": axes, "normalize": True},
        "inbound_nodes": [[[side, 0, 0, {}] for side in sides]],
    }
    row = {
        "class_name": "Reshape",
        "name": "row",
        "config": {"name": "row", "target_shape": [1, 1]},
        "inbound_nodes": [[["dot", 0, 0, {}]]],
    }
    body = {
        "name": name,
        "layers": [*inputs, dot, row],
        "input_layers": [[side, 0, 0] for side in sides],
        "output_layers": [["row", 0, 0]],
    }
    return {"class_name": "Model", "config": body}
