"""An ONNX file described: picture input in either layout, answer, evidence, labels inside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tintype.errors import NotAnImageModel
from tintype.modelfiles.backbones import backbone_in, is_teachable_machine
from tintype.modelfiles.class_output import choose_class_output
from tintype.modelfiles.description import (
    Evidence,
    Finding,
    FirstLayers,
    InGraphResize,
    Layer,
    ModelDescription,
    ReadOptions,
)
from tintype.modelfiles.detection_output import detection_by_names
from tintype.modelfiles.first_layers import Behind, batch_norm_affine, first_layers
from tintype.modelfiles.graphwalk import GraphStart, GraphView, Node, closing_of, start_of
from tintype.modelfiles.image_input import (
    CHANNELS,
    ChosenInput,
    InputHints,
    choose_image_input,
    describe_spec,
)
from tintype.modelfiles.label_shapes import parse_property
from tintype.modelfiles.onnx_properties import (
    LABELS,
    OUTPUT,
    RECIPE,
    SOURCE,
    carried_activation,
    carried_image,
    carried_writer,
)
from tintype.modelfiles.onnx_tensors import (
    TYPES,
    constants_of,
    load_model,
    numbers_of,
    outside_files,
    shape_of,
)
from tintype.types import ClassOutput, Format, Graph, ImageInput, Layout, Output, TensorSpec

_LABEL_KEYS = (LABELS, "names", "labels", "class_names", "classes", "id2label")
_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
_NHWC_TO_NCHW = (0, 3, 1, 2)
_RESIZE_WORDS = ("mode", "coordinate_transformation_mode")


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A parsed file: the protobuf, its operations as a view, its stored constants."""

    path: Path
    model: Any
    view: GraphView
    constants: dict[str, Any]
    protos: dict[str, Any]


def describe_onnx(path: Path, *, options: ReadOptions) -> ModelDescription:
    """Read an ONNX file without running it.

    Raises ModelFileDamaged, ModelFileTooLarge, UnsafeModel, NotAnImageModel.
    """
    file = _open(path, options)
    stored = {tensor.name for tensor in file.model.graph.initializer}
    inputs = [
        spec for spec in _specs(file.model.graph.input) if spec.name not in stored
    ]  # before IR version 4 every initializer was listed as an input too
    outputs = _specs(file.model.graph.output)
    starts = {spec.name: _start(file, spec) for spec in inputs}
    hints = {spec.name: _hints(file, spec, starts[spec.name]) for spec in inputs}
    properties = _properties(file)
    chosen = _carried_input(inputs, properties, options) or choose_image_input(
        inputs, wanted=options.input, hints=hints
    )
    if len(inputs) > 1:
        raise NotAnImageModel(
            f"the model wants {len(inputs)} inputs at once "
            f"({', '.join(describe_spec(spec) for spec in inputs[:8])}), expected one picture"
        )
    told = {spec.name for spec in outputs} & {properties.get(OUTPUT)}
    wanted = options.output or next(iter(told), None)
    output, read, note = _output(file, outputs, wanted)
    activation = carried_activation(properties)
    if isinstance(output, ClassOutput) and activation is not None and options.output is None:
        output = replace(output, activation=activation, reason="the file says so")
    image = chosen.image
    outside = outside_files(file.model)
    return ModelDescription(
        path=path,
        format=Format.ONNX,
        writer=_writer(file.model),
        image=image,
        output=output,
        graph=Graph(format=Format.ONNX, source=path, input=image.tensor, outputs=read),
        labels_in_file=_labels(properties),
        evidence=_evidence(file, image, starts[image.tensor.name], properties),
        findings=tuple(
            Finding(severity="note", what="weights lie in a file of their own", where=name)
            for name in outside
        ),
        layers=_layers(file),
        operations=tuple(f"{node.name} ({node.kind})" for node in file.view.nodes),
        notes=tuple(text for text in (chosen.note, note, carried_writer(properties)) if text),
    )


def _open(path: Path, options: ReadOptions) -> _File:
    model = load_model(path, max_bytes=options.max_bytes)
    nodes: list[Node] = []
    protos: dict[str, Any] = {}
    for proto in model.graph.node:
        if proto.op_type == "Constant" or not proto.output:
            continue
        node = Node(
            kind=proto.op_type,
            name=proto.name or proto.output[0],
            inputs=tuple(proto.input),
            outputs=tuple(proto.output),
        )
        nodes.append(node)
        protos.setdefault(proto.output[0], proto)
    return _File(
        path=path,
        model=model,
        view=GraphView.of(nodes),
        constants=constants_of(model.graph),
        protos=protos,
    )


def _specs(values: Sequence[Any]) -> list[TensorSpec]:
    """Inputs or outputs that are tensors; maps and sequences (scikit-learn) are left out."""
    return [
        TensorSpec(
            name=value.name,
            shape=shape_of(value.type.tensor_type.shape.dim),
            dtype=TYPES.get(value.type.tensor_type.elem_type, (None, 0))[0] or "unknown",
        )
        for value in values
        if value.type.HasField("tensor_type")
    ]


def _carried_input(
    inputs: Sequence[TensorSpec], properties: dict[str, str], options: ReadOptions
) -> ChosenInput | None:
    """The input as ``tintype convert`` wrote it down; a person's word goes before."""
    if options.input is not None or len(inputs) != 1:
        return None
    image = carried_image(properties, inputs[0])
    return None if image is None else ChosenInput(image=image)


def _start(file: _File, spec: TensorSpec) -> GraphStart:
    """Walk to the first convolution; how many channels there are is known only there."""
    depths = [axis for axis in spec.shape[1:] if axis in CHANNELS]
    tries = [
        start_of(
            file.view,
            spec.name,
            channels=channels,
            constant=lambda value: _constant(file, value),
            scaling=lambda node: _scaling(file, node),
        )
        for channels in dict.fromkeys([*[depth for depth in depths if depth], *CHANNELS])
    ]
    return next((start for start in tries if _fits(file, start)), tries[0])


def _fits(file: _File, start: GraphStart) -> bool:
    return start.kernel is not None and _depth(file, start) == len(start.affine.scale)


def _depth(file: _File, start: GraphStart) -> int | None:
    """Channels that the first convolution takes: its weights are O x I/group x kh x kw."""
    if start.kernel is None or len(start.kernel.inputs) < 2:
        return None
    weights = file.constants.get(start.kernel.inputs[1])
    if weights is None or len(weights.dims) != 4:
        return None
    return int(weights.dims[1]) * _integer(file, start.kernel, "group", 1)


def _hints(file: _File, spec: TensorSpec, start: GraphStart) -> InputHints:
    takers = file.view.consumers.get(spec.name, ())
    sequence = any(node.kind in _RECURRENT for node in takers)
    if start.kernel is None:
        return InputHints(sequence=sequence)
    turned = any(_permutation(file, node) == _NHWC_TO_NCHW for node in start.transposes)
    return InputHints(layout=Layout.NHWC if turned else Layout.NCHW, channels=_depth(file, start))


def _output(
    file: _File, outputs: list[TensorSpec], wanted: str | None
) -> tuple[Output, tuple[TensorSpec, ...], str | None]:
    """The answer, the tensors to read for it, and a note."""
    detection = detection_by_names(outputs) if wanted is None else None
    if detection is not None:
        parts = (detection.boxes, detection.classes, detection.scores, detection.count)
        return detection, tuple(part for part in parts if part is not None), None
    closings = {
        spec.name: closing
        for spec in outputs
        if (closing := closing_of(file.view, spec.name)) is not None
    }
    chosen, note = choose_class_output(outputs, closings, wanted=wanted)
    return chosen, (chosen.tensor,), note


def _writer(model: Any) -> str:
    opset = next((entry.version for entry in model.opset_import if not entry.domain), None)
    producer = f"{model.producer_name[:100]} {model.producer_version[:100]}".strip() or "unknown"
    return f"{producer}, opset {opset}, IR version {model.ir_version}"


def _properties(file: _File) -> dict[str, str]:
    return {entry.key: entry.value for entry in file.model.metadata_props}


def _labels(properties: dict[str, str]) -> tuple[str, ...] | None:
    for key in _LABEL_KEYS:
        if key in properties and (found := parse_property(properties[key])) is not None:
            return found
    return None


def _evidence(
    file: _File, image: ImageInput, start: GraphStart, properties: dict[str, str]
) -> Evidence:
    names = [node.name for node in file.view.nodes]
    producer = file.model.producer_name.lower()
    source = properties.get(SOURCE) or ("pytorch" if "pytorch" in producer else None)
    return Evidence(
        affine=start.affine.evidence(),
        resize=_resize(file, start) if image.height is None else None,
        first_layers=_first_layers(file, start),
        backbone=backbone_in([*names, file.model.graph.name, *list(file.constants)[:1000]]),
        teachable_machine=is_teachable_machine(names),
        source="keras" if "keras" in producer else source,
        recipe=properties.get(RECIPE),
    )


def _resize(file: _File, start: GraphStart) -> InGraphResize | None:
    """A resize of pictures of any size inside the graph, with its constant sides.

    coordinate_transformation_mode (ONNX operators, Resize) tells TensorFlow 1's corners,
    ``asymmetric``, from TensorFlow 2's centres, ``half_pixel``, the default.
    """
    node = start.resize
    sizes = _constant(file, node.inputs[3]) if node is not None and len(node.inputs) > 3 else None
    if node is None or sizes is None or sizes.shape != (4,):
        return None
    told = {a.name: a.s for a in _attributes(file, node) if a.name in _RESIZE_WORDS}
    lengths = [int(length) for length in sizes.tolist()]
    height, width = lengths[2:] if lengths[1] in CHANNELS else lengths[1:3]
    corners = told.get("coordinate_transformation_mode", b"half_pixel") == b"asymmetric"
    linear = told.get("mode", b"nearest") == b"linear"
    return InGraphResize(
        height=height,
        width=width,
        kind=f"{'tf1' if corners else 'tf2'} {'bilinear' if linear else 'nearest'}",
        where=node.name,
        cut=False,
    )


def _constant(file: _File, value: str) -> npt.NDArray[np.generic] | None:
    tensor = file.constants.get(value)
    return None if tensor is None else numbers_of(tensor)


def _first_layers(file: _File, start: GraphStart) -> FirstLayers | None:
    """The first convolution and what follows it. Weights are stored O x I x kh x kw."""
    node = start.kernel
    if node is None or len(node.inputs) < 2 or _integer(file, node, "group", 1) != 1:
        return None
    weights = _constant(file, node.inputs[1])
    if weights is None or weights.ndim != 4:
        return None
    return first_layers(
        file.view,
        node,
        kernel=weights.astype(np.float32).transpose(2, 3, 1, 0),
        constant=lambda value: _constant(file, value),
        behind=lambda other: _behind(file, other),
    )


def _scaling(
    file: _File, node: Node
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Factor and offset of a batch normalisation before the first convolution."""
    found = _behind(file, node)
    return None if found is None else batch_norm_affine(found)


def _behind(file: _File, node: Node) -> Behind | None:
    """Read a BatchNormalization: inputs X, scale, B, mean, var (ONNX operators, opset 15)."""
    if node.kind != "BatchNormalization" or len(node.inputs) < 5:
        return None
    parts = [_constant(file, value) for value in node.inputs[1:5]]
    if any(part is None or part.ndim != 1 for part in parts):
        return None
    gamma, beta, mean, variance = (np.asarray(part, np.float32) for part in parts)
    if len({part.shape for part in (gamma, beta, mean, variance)}) != 1:
        return None
    epsilon = next((a.f for a in _attributes(file, node) if a.name == "epsilon"), 1e-5)
    return Behind(gamma=gamma, beta=beta, mean=mean, variance=variance, epsilon=float(epsilon))


def _attributes(file: _File, node: Node) -> Sequence[Any]:
    proto = file.protos.get(node.outputs[0]) if node.outputs else None
    return () if proto is None else proto.attribute


def _integer(file: _File, node: Node, name: str, default: int) -> int:
    return next((int(a.i) for a in _attributes(file, node) if a.name == name), default)


def _permutation(file: _File, node: Node) -> tuple[int, ...]:
    return next((tuple(a.ints) for a in _attributes(file, node) if a.name == "perm"), ())


def _layers(file: _File) -> tuple[Layer, ...]:
    """One line an operation that has weights, with the shape of what it makes where told."""
    shapes = {
        value.name: shape_of(value.type.tensor_type.shape.dim)
        for value in (*file.model.graph.value_info, *file.model.graph.output)
        if value.type.HasField("tensor_type")
    }
    found: list[Layer] = []
    for node in file.view.nodes:
        weights = [file.constants[value] for value in node.inputs if value in file.constants]
        parameters = sum(math.prod(tensor.dims) for tensor in weights if tensor.data_type != 7)
        if parameters:
            shape = shapes.get(node.outputs[0])
            found.append(Layer(name=node.name, kind=node.kind, shape=shape, parameters=parameters))
    return tuple(found)
