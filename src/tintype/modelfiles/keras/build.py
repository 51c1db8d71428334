"""From a model's configuration and weights to an ONNX graph, call by call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeAlias

from tintype.errors import ModelFileDamaged, ModelFileTooLarge, UnsupportedModel
from tintype.modelfiles.keras.config import LayerConfig, ModelConfig
from tintype.modelfiles.keras.connections import CallConfig, Ref
from tintype.modelfiles.keras.graph import GraphBuilder, Value, keras_order
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind, Part
from tintype.modelfiles.keras.layers.masks import handed_on
from tintype.modelfiles.keras.layers.refused import why_refused
from tintype.modelfiles.keras.layers.table import LAYER_KINDS
from tintype.modelfiles.keras.onnx_wire import Port
from tintype.modelfiles.keras.safety import ALLOW_CODE, WAY_OUT_HINT
from tintype.modelfiles.keras.weights import LayerPath, Slot, WeightMap
from tintype.types import Shape

_CallKey: TypeAlias = tuple[str, int]

MAX_CALLS = 10_000
"""A file of few bytes can call one nested model again and again; here it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One layer as it was called, and what it gave."""

    call: LayerCall
    output: Value


@dataclass(slots=True)
class Building:
    """What is known while a graph is built, and afterwards: the graph and how it came about.

    ``shapes``: what each layer answered, by path, the last call of it.
    """

    weights: WeightMap
    generation: int
    graph: GraphBuilder = field(default_factory=GraphBuilder)
    steps: list[Step] = field(default_factory=list)
    shapes: dict[LayerPath, Shape] = field(default_factory=dict)
    calls: int = 0
    remarks: list[str] = field(default_factory=list)


def slots_of(layer: LayerConfig) -> tuple[Slot, ...]:
    """The weights of a layer that is no model."""
    kind = LAYER_KINDS.get(layer.kind)
    return () if kind is None else kind.slots(layer.settings)


def check_kinds(model: ModelConfig) -> None:
    """Raise UnsupportedModel naming every layer of a kind that is not in the layer table."""
    refuse_in_words(_leaves(model))
    unknown = [
        f"{layer.kind.removeprefix('op:')} (layer {layer.name!r})"
        for layer in _leaves(model)
        if layer.kind not in LAYER_KINDS and layer.kind != "InputLayer"
    ]
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise UnsupportedModel(
            f"the model uses layers that are not known here: {', '.join(unknown[:5])}{more}",
            hint="a class of the model's own author lies in code, not in the file; export the "
            "model as ONNX or as a SavedModel instead" + WAY_OUT_HINT,
            way_out=ALLOW_CODE,
        )
    for layer in _leaves(model):
        policy = layer.settings.raw("dtype")
        named = policy.get("class_name") if isinstance(policy, dict) else policy
        if str(named).startswith(("Quant", "int8_from", "int4_from", "float8_from")):
            raise UnsupportedModel(
                f"layer {layer.name!r} is quantised ({named}), which is not supported yet",
                hint="save the model as it was before model.quantize(...)",
            )


def refuse_in_words(layers: Sequence[LayerConfig]) -> None:
    """Raise UnsupportedModel with the reason for the first layer of a kind known not to be read."""
    for layer in layers:
        reason = None if layer.kind in LAYER_KINDS else why_refused(layer.kind)
        if reason is not None:
            raise UnsupportedModel(
                f"layer {layer.name!r} is a {layer.kind.removeprefix('op:')}: {reason}",
                hint="build the model without this layer and do its work before; or export the "
                "model as ONNX or as a SavedModel",
            )


def build_model(
    model: ModelConfig, building: Building, inputs: Sequence[Value]
) -> tuple[Value, ...]:
    """Write the whole model; ``inputs`` are in the order of ``model.inputs``."""
    return _run_model(model, (), building, inputs)


def picture_port(building: Building, *, name: str, shape: Shape, dtype: str) -> tuple[Port, Value]:
    """The graph's input, and the tensor that layers get of it: float32, cast where it is not."""
    port = Port(name=building.graph.unique(name), dtype=dtype, shape=shape)
    tensor = port.name
    if dtype != "float32":
        tensor = building.graph.add("Cast", (port.name,), f"{name}/float32", {"to": 1})
    return port, Value(tensor, shape, keras_order(len(shape)))


def _run_model(
    model: ModelConfig, path: LayerPath, building: Building, inputs: Sequence[Value]
) -> tuple[Value, ...]:
    if len(inputs) != len(model.inputs):
        raise ModelFileDamaged(
            f"the model {model.name!r} takes {len(model.inputs)} tensors, not {len(inputs)}"
        )
    layers = {layer.name: layer for layer in model.layers}
    done: dict[_CallKey, tuple[Value, ...]] = {
        (ref.layer, ref.node): (value,) for ref, value in zip(model.inputs, inputs, strict=True)
    }
    for key in _in_order(model, layers, set(done)):
        layer = layers[key[0]]
        done[key] = _run_call(layer, layer.calls[key[1]], path, building, done)
    return tuple(_lookup(ref, done) for ref in model.outputs)


def _in_order(
    model: ModelConfig, layers: Mapping[str, LayerConfig], given: set[_CallKey]
) -> list[_CallKey]:
    """The calls that the outputs need, each behind those it takes its tensors from."""
    needs: dict[_CallKey, list[_CallKey]] = {}
    pending = [(ref.layer, ref.node) for ref in model.outputs]
    while pending:
        key = pending.pop()
        if key in needs or key in given:
            continue
        layer = layers.get(key[0])
        if layer is None or key[1] >= len(layer.calls):
            raise ModelFileDamaged(
                f"the model {model.name!r} takes a tensor from layer {key[0]!r}, call {key[1]}, "
                "which is not in the file"
            )
        needs[key] = [(ref.layer, ref.node) for ref in layer.calls[key[1]].refs()]
        pending.extend(needs[key])
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise ModelFileDamaged(f"the layers of {model.name!r} run in a circle") from error
    return [key for key in order if key not in given]


def _run_call(
    layer: LayerConfig,
    call: CallConfig,
    path: LayerPath,
    building: Building,
    done: Mapping[_CallKey, tuple[Value, ...]],
) -> tuple[Value, ...]:
    building.calls += 1
    if building.calls > MAX_CALLS:
        raise ModelFileTooLarge(f"the model unfolds into more than {MAX_CALLS} layers")
    here = (*path, layer.name)
    args = tuple(_resolved(arg, done) for arg in call.args)
    kwargs = {key: _resolved(arg, done) for key, arg in call.kwargs.items()}
    _remark_on_training(layer, kwargs, building)
    if layer.inner is not None:
        values = _values_in([*args, *kwargs.values()])
        outputs = _run_model(layer.inner, here, building, values)
        building.shapes[here] = outputs[0].shape
        return outputs
    written = replace(_bare_call(layer, here, building), args=args, kwargs=kwargs)
    kind = _kind_of(layer)
    outputs = (kind.emit(written),) if kind.outputs is None else kind.outputs(written)
    outputs = handed_on(written, outputs)
    building.steps.append(Step(call=written, output=outputs[0]))
    building.shapes[here] = outputs[0].shape
    return outputs


def _bare_call(layer: LayerConfig, here: LayerPath, building: Building) -> LayerCall:
    """A layer with its weights and without tensors."""
    return LayerCall(
        kind=layer.kind,
        path=here,
        settings=layer.settings,
        args=(),
        kwargs={},
        weights=building.weights.get(here, {}),
        graph=building.graph,
        generation=building.generation,
        parts={key: _part(part, (*here, part.name), building) for key, part in layer.parts.items()},
    )


def _part(layer: LayerConfig, here: LayerPath, building: Building) -> Part:
    """A wrapped layer or model, as something that its wrapper can run."""
    inner = layer.inner
    if inner is not None:
        return Part(None, lambda value: _run_model(inner, here, building, [value])[0])
    bare, kind = _bare_call(layer, here, building), _kind_of(layer)
    return Part(bare, lambda value: kind.emit(replace(bare, args=(value,))))


def _remark_on_training(layer: LayerConfig, kwargs: Mapping[str, Any], building: Building) -> None:
    """Keras would normalise by the batch there, so that a picture's answer hung on the others."""
    if layer.settings.raw("stateful") is True:
        building.remarks.append(
            f"layer {layer.name!r} is stateful; here every picture starts from a fresh state"
        )
    normalises = layer.inner is not None or layer.kind == "BatchNormalization"
    if kwargs.get("training") is True and normalises:
        building.remarks.append(
            f"layer {layer.name!r} was built with training=True; it is run as for prediction"
        )


def _kind_of(layer: LayerConfig) -> LayerKind:
    kind = LAYER_KINDS.get(layer.kind)
    if kind is None:
        raise ModelFileDamaged(f"layer {layer.name!r} ({layer.kind}) is called like no input is")
    return kind


def _resolved(argument: Any, done: Mapping[_CallKey, tuple[Value, ...]]) -> Any:
    if isinstance(argument, Ref):
        return _lookup(argument, done)
    if isinstance(argument, list):
        return [_resolved(item, done) for item in argument]
    return argument


def _lookup(ref: Ref, done: Mapping[_CallKey, tuple[Value, ...]]) -> Value:
    values = done[ref.layer, ref.node]
    if ref.tensor >= len(values):
        raise ModelFileDamaged(f"layer {ref.layer!r} has no output number {ref.tensor}")
    return values[ref.tensor]


def _values_in(arguments: Sequence[Any]) -> list[Value]:
    found: list[Value] = []
    for argument in arguments:
        if isinstance(argument, Value):
            found.append(argument)
        elif isinstance(argument, list):
            found.extend(_values_in(argument))
    return found


def _leaves(model: ModelConfig) -> list[LayerConfig]:
    found: list[LayerConfig] = []
    for layer in model.layers:
        found.extend(_leaves(layer.inner) if layer.inner is not None else _with_parts(layer))
    return found


def _with_parts(layer: LayerConfig) -> list[LayerConfig]:
    """A layer and all that it wraps."""
    found = [layer]
    for part in layer.parts.values():
        found.extend(_leaves(part.inner) if part.inner is not None else _with_parts(part))
    return found
