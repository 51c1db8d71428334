"""OpenVINO IR described: a graph in XML, its weights in the .bin file beside it.

Format: OpenVINO documentation, "OpenVINO IR format". ``rt_info/model_info`` follows the Model API's
conventions (openvinotoolkit/model_api): labels, mean_values, scale_values, reverse_input_channels.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from tintype.errors import NotAnImageModel
from tintype.modelfiles.backbones import backbone_in, is_teachable_machine
from tintype.modelfiles.class_output import choose_class_output
from tintype.modelfiles.description import (
    Evidence,
    FirstLayers,
    ModelDescription,
    Normalisation,
    ReadOptions,
)
from tintype.modelfiles.detection_output import detection_by_names
from tintype.modelfiles.first_layers import first_layers
from tintype.modelfiles.graphwalk import GraphStart, Node, closing_of, start_of
from tintype.modelfiles.image_input import (
    CHANNELS,
    InputHints,
    choose_image_input,
    describe_spec,
)
from tintype.modelfiles.label_shapes import parse_property
from tintype.modelfiles.openvino_xml import IrFile, IrLayer, const_layer, constant_of, open_ir
from tintype.types import Format, Graph, Layout, Output, TensorSpec

_RECURRENT = frozenset({"LSTMSequence", "GRUSequence", "RNNSequence", "TensorIterator"})
_NHWC_TO_NCHW = (0, 3, 1, 2)


def describe_ir(path: Path, *, options: ReadOptions) -> ModelDescription:
    """Read an .xml file and the sizes of its .bin without running them.

    Raises ModelFileDamaged, ModelFileTooLarge, NotAnImageModel, ModelFileError (no .bin).
    """
    file, writer = open_ir(path, max_bytes=options.max_bytes)
    inputs = {layer.id: _spec(layer) for layer in file.layers.values() if layer.kind == "Parameter"}
    starts = {spec.name: _start(file, key, spec) for key, spec in inputs.items()}
    hints = {spec.name: _hints(file, key, starts[spec.name]) for key, spec in inputs.items()}
    chosen = choose_image_input(list(inputs.values()), wanted=options.input, hints=hints)
    if len(inputs) > 1:
        listed = ", ".join(describe_spec(spec) for spec in list(inputs.values())[:8])
        raise NotAnImageModel(
            f"the model wants {len(inputs)} inputs at once ({listed}), expected one picture"
        )
    output, read, note = _output(file, options)
    image = chosen.image
    return ModelDescription(
        path=path,
        format=Format.OPENVINO_IR,
        writer=writer,
        image=image,
        output=output,
        graph=Graph(format=Format.OPENVINO_IR, source=path, input=image.tensor, outputs=read),
        labels_in_file=_labels(file.info),
        evidence=_evidence(file, starts[image.tensor.name], image.channels),
        operations=tuple(f"{node.name} ({node.kind})" for node in file.view.nodes),
        notes=tuple(text for text in (chosen.note, note) if text),
    )


def _spec(layer: IrLayer) -> TensorSpec:
    return TensorSpec(
        name=layer.names[0].replace("\0", ",") if layer.names else layer.name,
        shape=layer.shape,
        dtype=layer.dtype,
    )


def _value_of(file: IrFile, key: str) -> str:
    """The value a Parameter makes; its one output port bears whatever number was given to it."""
    made = [source for source in file.sources.values() if source.partition(":")[0] == key]
    return made[0] if made else f"{key}:0"


def _start(file: IrFile, key: str, spec: TensorSpec) -> GraphStart:
    """Walk to the first convolution; how many channels there are is known only there."""
    depths = [axis for axis in spec.shape[1:] if axis in CHANNELS]
    tries = [
        start_of(
            file.view,
            _value_of(file, key),
            channels=channels,
            constant=lambda value: constant_of(file, value),
        )
        for channels in dict.fromkeys([*[depth for depth in depths if depth], *CHANNELS])
    ]
    fitting = (
        start
        for start in tries
        if start.kernel is not None and _depth(file, start) == len(start.affine.scale)
    )
    return next(fitting, tries[0])


def _depth(file: IrFile, start: GraphStart) -> int | None:
    """Channels that the first convolution takes: its weights are O x I x kh x kw."""
    if start.kernel is None or len(start.kernel.inputs) < 2 or start.kernel.kind != "Convolution":
        return None
    weights = const_layer(file, start.kernel.inputs[1])
    return weights.shape[1] if weights is not None and len(weights.shape) == 4 else None


def _hints(file: IrFile, key: str, start: GraphStart) -> InputHints:
    takers = file.view.consumers.get(_value_of(file, key), ())
    if start.kernel is None:
        return InputHints(sequence=any(node.kind in _RECURRENT for node in takers))
    turned = any(_permutation(file, node) == _NHWC_TO_NCHW for node in start.transposes)
    return InputHints(layout=Layout.NHWC if turned else Layout.NCHW, channels=_depth(file, start))


def _permutation(file: IrFile, node: Node) -> tuple[int, ...]:
    order = constant_of(file, node.inputs[1]) if len(node.inputs) > 1 else None
    return () if order is None else tuple(int(axis) for axis in order.reshape(-1).tolist())


def _output(
    file: IrFile, options: ReadOptions
) -> tuple[Output, tuple[TensorSpec, ...], str | None]:
    """The answer, the tensors to read for it, and a note."""
    values: dict[str, str] = {}
    specs: list[TensorSpec] = []
    for layer in file.layers.values():
        if layer.kind != "Result":
            continue
        source = file.sources.get(f"{layer.id}:0", "")
        maker = file.layers.get(source.partition(":")[0])
        if maker is not None:
            specs.append(_spec(maker))
            values[specs[-1].name] = source
    detection = detection_by_names(specs) if options.output is None else None
    if detection is not None:
        parts = (detection.boxes, detection.classes, detection.scores, detection.count)
        return detection, tuple(part for part in parts if part is not None), None
    closings = {
        name: closing
        for name, value in values.items()
        if (closing := closing_of(file.view, value)) is not None
    }
    chosen, note = choose_class_output(specs, closings, wanted=options.output)
    return chosen, (chosen.tensor,), note


def _labels(info: dict[str, str]) -> tuple[str, ...] | None:
    """Model API writes labels with blanks between; blanks inside a label became underscores."""
    text = info.get("labels", "").strip()
    if not text:
        return None
    return parse_property(text) if text[0] in "[{" or "," in text else tuple(text.split())


def _evidence(file: IrFile, start: GraphStart, channels: int) -> Evidence:
    names = [layer.name for layer in file.layers.values()]
    return Evidence(
        affine=start.affine.evidence(),
        normalisation=_normalisation(file.info, channels),
        first_layers=_first_layers(file, start),
        backbone=backbone_in(names),
        teachable_machine=is_teachable_machine(names),
    )


def _normalisation(info: dict[str, str], channels: int) -> Normalisation | None:
    if info.get("embedded_processing", "").lower() in ("true", "yes", "1"):
        return None  # the graph does it itself
    mean = _floats(info.get("mean_values", ""), channels, default=0.0)
    scale = _floats(info.get("scale_values", ""), channels, default=1.0)
    reverse = info.get("reverse_input_channels", "").lower() in ("true", "yes", "1")
    told = "mean_values" in info or "scale_values" in info or reverse
    if not told or mean is None or scale is None or 0.0 in scale:
        return None
    return Normalisation(
        mean=mean, std=scale, where="OpenVINO IR, rt_info/model_info", reversed_channels=reverse
    )


def _floats(text: str, channels: int, *, default: float) -> tuple[float, ...] | None:
    parts = text.replace(",", " ").replace("[", " ").replace("]", " ").split()
    try:
        values = tuple(float(part) for part in parts) or (default,)
    except ValueError:
        return None
    values = values * channels if len(values) == 1 else values
    return values if len(values) == channels and all(map(math.isfinite, values)) else None


def _first_layers(file: IrFile, start: GraphStart) -> FirstLayers | None:
    node = start.kernel
    if node is None or node.kind != "Convolution" or len(node.inputs) < 2:
        return None
    weights = constant_of(file, node.inputs[1])
    if weights is None or weights.ndim != 4:
        return None
    return first_layers(
        file.view,
        node,
        kernel=weights.astype(np.float32).transpose(2, 3, 1, 0),
        constant=lambda value: constant_of(file, value),
    )
