"""An ONNX file described: picture input in either layout, answer, labels inside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tintype.errors import NotAnImageModel
from tintype.modelfiles.class_output import choose_class_output
from tintype.modelfiles.description import Finding, Layer, ModelDescription, ReadOptions
from tintype.modelfiles.detection_output import detection_by_names
from tintype.modelfiles.graphwalk import GraphStart, closing_of
from tintype.modelfiles.image_input import (
    ChosenInput,
    InputHints,
    choose_image_input,
    describe_spec,
)
from tintype.modelfiles.label_shapes import parse_property
from tintype.modelfiles.onnx_evidence import depth_of, evidence_of, start_at
from tintype.modelfiles.onnx_graph import OnnxFile, open_onnx, permutation_of
from tintype.modelfiles.onnx_properties import (
    LABELS,
    OUTPUT,
    carried_activation,
    carried_image,
    carried_writer,
)
from tintype.modelfiles.onnx_tensors import TYPES, outside_files, shape_of
from tintype.types import ClassOutput, Format, Graph, Layout, Output, TensorSpec

_LABEL_KEYS = (LABELS, "names", "labels", "class_names", "classes", "id2label")
_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
_NHWC_TO_NCHW = (0, 3, 1, 2)


def describe_onnx(path: Path, *, options: ReadOptions) -> ModelDescription:
    """Read an ONNX file without running it.

    Raises ModelFileDamaged, ModelFileTooLarge, UnsafeModel, NotAnImageModel.
    """
    file = open_onnx(path, options)
    stored = {tensor.name for tensor in file.model.graph.initializer}
    inputs = [
        spec for spec in _specs(file.model.graph.input) if spec.name not in stored
    ]  # before IR version 4 every initializer was listed as an input too
    outputs = _specs(file.model.graph.output)
    starts = {spec.name: start_at(file, spec) for spec in inputs}
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
        evidence=evidence_of(file, image, starts[image.tensor.name], properties),
        findings=tuple(
            Finding(severity="note", what="weights lie in a file of their own", where=name)
            for name in outside
        ),
        layers=_layers(file),
        operations=tuple(f"{node.name} ({node.kind})" for node in file.view.nodes),
        notes=tuple(text for text in (chosen.note, note, carried_writer(properties)) if text),
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


def _hints(file: OnnxFile, spec: TensorSpec, start: GraphStart) -> InputHints:
    takers = file.view.consumers.get(spec.name, ())
    sequence = any(node.kind in _RECURRENT for node in takers)
    if start.kernel is None:
        return InputHints(sequence=sequence)
    turned = any(permutation_of(file, node) == _NHWC_TO_NCHW for node in start.transposes)
    return InputHints(layout=Layout.NHWC if turned else Layout.NCHW, channels=depth_of(file, start))


def _output(
    file: OnnxFile, outputs: list[TensorSpec], wanted: str | None
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


def _properties(file: OnnxFile) -> dict[str, str]:
    return {entry.key: entry.value for entry in file.model.metadata_props}


def _labels(properties: dict[str, str]) -> tuple[str, ...] | None:
    for key in _LABEL_KEYS:
        if key in properties and (found := parse_property(properties[key])) is not None:
            return found
    return None


def _layers(file: OnnxFile) -> tuple[Layer, ...]:
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
