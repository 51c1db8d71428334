"""The JSON of a Keras model, of any generation, turned into one set of frozen values.

Forms read: Sequential as a plain list (Keras 2.0-2.2) or with a ``layers`` key; Functional with
``inbound_nodes`` of Keras 2 or 3 (see ``connections``). Models may hold models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tintype.errors import ModelFileDamaged, ModelFileTooLarge, UnsupportedModel
from tintype.modelfiles.keras.connections import (
    Argument,
    CallConfig,
    Ref,
    as_list,
    parse_call,
    parse_endpoints,
)
from tintype.modelfiles.keras.safety import refuse_code
from tintype.modelfiles.keras.settings import Settings
from tintype.modelfiles.keras.wrappers import wrapped_entries

MAX_LAYERS = 10_000
MAX_DEPTH = 24
MAX_NAME = 1000

MODEL_CLASSES = frozenset({"Sequential", "Functional", "Model"})

_CHAINS = frozenset({"Sequential", "Pipeline"})
"""Layers one behind the other. A Pipeline of Keras 3 is no model, but is written like one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerConfig:
    """One layer. ``kind`` is its class name; that of a Keras 3 operation begins with ``op:``.

    ``inner`` is set where the layer is a model itself. ``parts`` are the layers that a wrapper
    (TimeDistributed, Bidirectional, RNN) holds, by where their weights lie in the zip form.
    """

    name: str
    kind: str
    settings: Settings
    trainable: bool = True
    calls: tuple[CallConfig, ...] = ()
    inner: ModelConfig | None = None
    parts: Mapping[str, LayerConfig] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """A model: its layers in file order, its inputs and outputs."""

    name: str
    kind: str
    layers: tuple[LayerConfig, ...]
    inputs: tuple[Ref, ...]
    outputs: tuple[Ref, ...]
    output_names: tuple[str, ...] = ()


def parse_model(config: Mapping[str, Any]) -> ModelConfig:
    """The whole model. Raises ModelFileDamaged, UnsupportedModel or UnsafeModel."""
    return _model(config, _Depth())


@dataclass(slots=True)
class _Depth:
    """How deep and how much has been read, so that a small file cannot grow without end."""

    depth: int = 0
    layers: int = 0

    def enter(self) -> _Depth:
        if self.depth >= MAX_DEPTH:
            raise ModelFileTooLarge(f"models are nested more than {MAX_DEPTH} deep")
        return _Depth(depth=self.depth + 1, layers=self.layers)

    def count(self) -> None:
        self.layers += 1
        if self.layers > MAX_LAYERS:
            raise ModelFileTooLarge(f"the model has more than {MAX_LAYERS} layers")


def _model(entry: Mapping[str, Any], depth: _Depth) -> ModelConfig:
    kind = entry.get("class_name")
    body = entry.get("config")
    if not isinstance(kind, str):
        raise ModelFileDamaged("the configuration names no class")
    if isinstance(body, list):
        body = {"name": "sequential", "layers": body}
    built = entry.get("build_config")
    if isinstance(body, dict) and isinstance(built, dict) and "build_input_shape" not in body:
        body = {**body, "build_input_shape": built.get("input_shape")}
    if not isinstance(body, dict) or not isinstance(body.get("layers"), list):
        raise UnsupportedModel(
            f"the model is of class {kind!r} and lists no layers: its connections are in Python "
            "code that the file does not hold",
            hint="export the model as ONNX or as a SavedModel (model.export('folder')) instead",
        )
    return _chain(kind, body, depth) if _is_chain(kind, body) else _functional(body, depth)


def _is_chain(kind: str, body: Mapping[str, Any]) -> bool:
    if kind in _CHAINS:
        return True
    if "input_layers" not in body or "output_layers" not in body:
        raise UnsupportedModel(
            f"the model is of class {kind!r}, neither Sequential nor Functional",
            hint="export the model as ONNX or as a SavedModel (model.export('folder')) instead",
        )
    return False


def _chain(kind: str, body: Mapping[str, Any], depth: _Depth) -> ModelConfig:
    layers = [_layer(entry, depth) for entry in body["layers"]]
    name = _name(body, "sequential")
    if not layers:
        raise ModelFileDamaged(f"the model {name!r} has no layers")
    if layers[0].kind != "InputLayer":
        layers.insert(0, _implied_input(layers[0], body, name))
    chained = [layers[0]]
    for layer in layers[1:]:
        previous = Ref(chained[-1].name, 0, 0)
        chained.append(_with_calls(layer, (CallConfig(args=(previous,)),)))
    _check_names(chained, name)
    return ModelConfig(
        name=name,
        kind=kind,
        layers=tuple(chained),
        inputs=(Ref(chained[0].name, 0, 0),),
        outputs=(Ref(chained[-1].name, 0, 0),),
        output_names=(chained[-1].name,),
    )


def _implied_input(first: LayerConfig, body: Mapping[str, Any], name: str) -> LayerConfig:
    """A Sequential without InputLayer: Keras 2 tells the shape in its first layer."""
    shape = None
    seeker: LayerConfig | None = first
    while seeker is not None and shape is None:
        shape = seeker.settings.raw("batch_input_shape") or seeker.settings.raw("batch_shape")
        seeker = seeker.inner.layers[0] if seeker.inner is not None else None
    shape = shape or body.get("build_input_shape")
    # A name no layer of a file can have by accident.
    values = {"name": f"{name}:input", "batch_shape": shape, "dtype": first.settings.raw("dtype")}
    return LayerConfig(
        name=f"{name}:input", kind="InputLayer", settings=Settings(f"{name}:input", values)
    )


def _functional(body: Mapping[str, Any], depth: _Depth) -> ModelConfig:
    name = _name(body, "model")
    layers = [_layer(entry, depth) for entry in body["layers"]]
    _check_names(layers, name)
    inputs = parse_endpoints(body["input_layers"])
    outputs = parse_endpoints(body["output_layers"])
    if not outputs or not layers:
        raise ModelFileDamaged(f"the model {name!r} has no layers or no output")
    shifts = _node_shifts(layers, outputs)
    return ModelConfig(
        name=name,
        kind="Functional",
        layers=tuple(_renumbered(layer, shifts) for layer in layers),
        inputs=tuple(_shifted(ref, shifts) for ref in inputs),
        outputs=tuple(_shifted(ref, shifts) for ref in outputs),
        output_names=_output_names(body["output_layers"], outputs),
    )


def _layer(entry: Any, depth: _Depth) -> LayerConfig:
    if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str):
        raise ModelFileDamaged(f"a layer without a class: {str(entry)[:80]}")
    depth.count()
    kind = entry["class_name"]
    if kind.startswith(("keras.", "tf_keras.", "tensorflow.")):
        kind = kind.rpartition(".")[2]
    body = entry.get("config")
    name = entry.get("name") or _name(body if isinstance(body, dict) else {}, kind.lower())
    if not isinstance(name, str):
        raise ModelFileDamaged(f"a layer of class {kind[:80]!r} has no name")
    _check_length(name)
    _check_length(kind)
    refuse_code(kind=kind, name=name, entry=entry)
    calls = tuple(parse_call(node) for node in as_list(entry.get("inbound_nodes") or [], name))
    if kind in MODEL_CLASSES or (isinstance(body, dict) and isinstance(body.get("layers"), list)):
        return _nested(entry, name, calls, depth)
    body = body if isinstance(body, dict) else {}
    return LayerConfig(
        name=name,
        kind=_kind(entry, kind, body),
        settings=Settings(name, body),
        trainable=body.get("trainable", True) is not False,
        calls=calls,
        parts=_parts(kind, name, body, depth),
    )


def _parts(
    kind: str, name: str, body: Mapping[str, Any], depth: _Depth
) -> Mapping[str, LayerConfig]:
    entries = wrapped_entries(kind, name, body)
    if not entries:
        return {}
    inside = depth.enter()
    parts = {place: _layer(entry, inside) for place, entry in entries.items()}
    depth.layers = inside.layers
    _check_names(list(parts.values()), name)
    return parts


def _nested(
    entry: Mapping[str, Any], name: str, calls: tuple[CallConfig, ...], depth: _Depth
) -> LayerConfig:
    inside = depth.enter()
    inner = _model(entry, inside)
    depth.layers = inside.layers
    body = entry["config"] if isinstance(entry["config"], dict) else {}
    return LayerConfig(
        name=name,
        kind=inner.kind,
        settings=Settings(name, {key: body[key] for key in body if key != "layers"}),
        trainable=body.get("trainable", True) is not False,
        calls=calls,
        inner=inner,
    )


def _kind(entry: Mapping[str, Any], kind: str, body: Mapping[str, Any]) -> str:
    """Operations of ``keras.ops`` share names with layers (``Add``): tell them apart.

    The zip form has their module; in HDF5 they are the entries without trainable.
    """
    module = entry.get("module")
    if isinstance(module, str):
        return f"op:{kind}" if ".ops." in module else kind
    bare = "trainable" not in body
    three = any(isinstance(node, dict) for node in entry.get("inbound_nodes") or [])
    return f"op:{kind}" if bare and three else kind


def _output_names(value: Any, outputs: tuple[Ref, ...]) -> tuple[str, ...]:
    if isinstance(value, dict) and len(value) == len(outputs):
        return tuple(str(key) for key in value)
    return tuple(ref.layer for ref in outputs)


def _node_shifts(layers: list[LayerConfig], outputs: tuple[Ref, ...]) -> dict[str, int]:
    """How far the node numbers of a layer run ahead of its calls in the file.

    Keras 2 counts the call by which a nested model was built, but does not write it down.
    """
    last = {layer.name: len(layer.calls) - 1 for layer in layers if layer.calls}
    highest: dict[str, int] = {}
    refs = [ref for layer in layers for call in layer.calls for ref in call.refs()]
    for ref in [*refs, *outputs]:
        highest[ref.layer] = max(ref.node, highest.get(ref.layer, 0))
    return {
        name: highest[name] - number
        for name, number in last.items()
        if highest.get(name, 0) > number
    }


def _renumbered(layer: LayerConfig, shifts: Mapping[str, int]) -> LayerConfig:
    if not shifts:
        return layer
    calls = tuple(
        CallConfig(
            args=tuple(_shift_argument(arg, shifts) for arg in call.args),
            kwargs={key: _shift_argument(arg, shifts) for key, arg in call.kwargs.items()},
        )
        for call in layer.calls
    )
    return _with_calls(layer, calls)


def _shift_argument(value: Argument, shifts: Mapping[str, int]) -> Argument:
    if isinstance(value, Ref):
        return _shifted(value, shifts)
    if isinstance(value, list):
        return [_shift_argument(item, shifts) for item in value]
    return value


def _shifted(ref: Ref, shifts: Mapping[str, int]) -> Ref:
    shift = shifts.get(ref.layer, 0)
    return Ref(ref.layer, max(0, ref.node - shift), ref.tensor) if shift else ref


def _with_calls(layer: LayerConfig, calls: tuple[CallConfig, ...]) -> LayerConfig:
    return replace(layer, calls=calls)


def _check_names(layers: list[LayerConfig], model: str) -> None:
    seen: set[str] = set()
    for layer in layers:
        if layer.name in seen:
            raise ModelFileDamaged(f"the model {model!r} has two layers named {layer.name!r}")
        seen.add(layer.name)


def layers_by_path(
    model: ModelConfig, path: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], LayerConfig]]:
    """Every layer that is no model, with the names of what is around it and its own."""
    return [found for layer in model.layers for found in _by_path(layer, (*path, layer.name))]


def _by_path(
    layer: LayerConfig, here: tuple[str, ...]
) -> list[tuple[tuple[str, ...], LayerConfig]]:
    if layer.inner is not None:
        return layers_by_path(layer.inner, here)
    wrapped = [
        found for part in layer.parts.values() for found in _by_path(part, (*here, part.name))
    ]
    return [(here, layer), *wrapped]


def _name(body: Mapping[str, Any], default: str) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not name:
        return default
    return _check_length(name)


def _check_length(name: str) -> str:
    """``name``; each operation of a layer carries it, so it must not be endless."""
    if len(name) > MAX_NAME:
        raise ModelFileTooLarge(f"a name has {len(name)} letters; at most {MAX_NAME} are read")
    return name
