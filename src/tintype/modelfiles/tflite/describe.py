"""A TFLite file described: its picture input, its answer, its quantisation, its evidence."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tintype.errors import (
    ModelFileDamaged,
    NotAnImageModel,
    UnsupportedModel,
)
from tintype.modelfiles.backbones import backbone_in, is_teachable_machine
from tintype.modelfiles.class_output import choose_class_output
from tintype.modelfiles.description import (
    Evidence,
    FirstLayers,
    InGraphResize,
    ModelDescription,
    Normalisation,
    ReadOptions,
)
from tintype.modelfiles.detection_output import detection_by_names
from tintype.modelfiles.graphwalk import GraphStart, GraphView, Node, closing_of, start_of
from tintype.modelfiles.image_input import InputHints, choose_image_input, describe_spec
from tintype.modelfiles.safety import check_size
from tintype.modelfiles.tflite.flatbuffer import Table
from tintype.modelfiles.tflite.metadata import (
    NOTHING,
    TfliteMetadata,
    converter_of,
    packed_labels,
    parse_metadata,
)
from tintype.modelfiles.tflite.model import (
    TfliteModel,
    TfliteOperator,
    TfliteTensor,
    numbers_of,
    parse_model,
)
from tintype.types import (
    ClassOutput,
    DetectionOutput,
    Format,
    Graph,
    ImageInput,
    Output,
    Quantisation,
    Shape,
    TensorSpec,
)

DETECTION = "TFLite_Detection_PostProcess"
# Custom operators that the LiteRT wheel registers by itself (core/kernels/register.cc).
_LITERT_CUSTOM = frozenset({DETECTION, "Mfcc", "AudioSpectrogram", "NumericVerify"})
_RECURRENT = frozenset(
    {"LSTM", "RNN", "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN"}
    | {"BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "EMBEDDING_LOOKUP"}
)
# enum ActivationFunctionType: rectified, and clipped at.
_FUSED: dict[int, tuple[bool, float | None]] = {1: (True, None), 3: (True, 6.0)}
_ACTIVATION_SLOT = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 4}
_MOST_KERNEL_NUMBERS = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """An opened file: its graph, the same graph as a view to walk on, its metadata."""

    path: Path
    model: TfliteModel
    view: GraphView
    metadata: TfliteMetadata


def describe_tflite(path: Path, *, options: ReadOptions) -> ModelDescription:
    """Read a TFLite file without running it.

    Raises ModelFileDamaged, ModelFileTooLarge, NotAnImageModel, UnsupportedModel.
    """
    file = _open(path, options)
    model = file.model
    inputs = [_spec(model.tensors[index]) for index in model.inputs]
    outputs = [_spec(model.tensors[index]) for index in model.outputs]
    chosen = choose_image_input(inputs, wanted=options.input, hints=_hints(file, inputs))
    _refuse_unknown_operators(model)
    if len(inputs) > 1:
        raise NotAnImageModel(
            f"the model wants {len(inputs)} inputs at once "
            f"({', '.join(describe_spec(spec) for spec in inputs[:8])}), expected one picture"
        )
    output, read, note = _output(file, outputs, options)
    image = replace(chosen.image, batch=1) if isinstance(output, DetectionOutput) else chosen.image
    return ModelDescription(
        path=path,
        format=Format.TFLITE,
        writer=_writer(file),
        image=image,
        output=output,
        graph=Graph(
            format=Format.TFLITE,
            source=path,
            input=image.tensor,
            outputs=read,
            litert_only=_custom_operators(model),
        ),
        labels_in_file=packed_labels(path, file.metadata, _labelled_output(outputs, output)),
        evidence=_evidence(file, image, inputs.index(image.tensor)),
        operations=tuple(f"{node.name} ({node.kind})" for node in file.view.nodes),
        notes=tuple(text for text in (chosen.note, note) if text),
    )


def _open(path: Path, options: ReadOptions) -> _File:
    if check_size(path, options.max_bytes) < 16:
        raise ModelFileDamaged(f"{path.name} is cut short: it ends within its first 16 bytes")
    with path.open("rb") as opened:
        # Closed when the last view of it is gone: only what is looked at is read from disk.
        data = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
    model = parse_model(data, max_bytes=options.max_bytes)
    buffer = model.metadata.get("TFLITE_METADATA")
    return _File(
        path=path,
        model=model,
        view=GraphView.of([_node(model, operator) for operator in model.operators]),
        metadata=NOTHING if buffer is None else parse_metadata(buffer),
    )


def _node(model: TfliteModel, operator: TfliteOperator) -> Node:
    made = [model.tensors[index].name for index in operator.outputs if index >= 0]
    return Node(
        kind=operator.kind,
        name=made[0] if made else "",
        inputs=tuple(str(index) for index in operator.inputs if index >= 0),
        outputs=tuple(str(index) for index in operator.outputs if index >= 0),
    )


def _spec(tensor: TfliteTensor) -> TensorSpec:
    quantised = tensor.scales.size == 1 and tensor.dtype in ("uint8", "int8", "int16")
    scale = float(tensor.scales[0].item()) if quantised else 0.0
    point = int(tensor.zero_points[0].item()) if quantised and tensor.zero_points.size else 0
    # A scale of 0 is how some writers say: not quantised.
    return TensorSpec(
        name=tensor.name,
        shape=tensor.shape,
        dtype=tensor.dtype,
        quantisation=Quantisation(scale=scale, zero_point=point) if scale > 0 else None,
    )


def _hints(file: _File, inputs: list[TensorSpec]) -> dict[str, InputHints]:
    hints: dict[str, InputHints] = {}
    for index, spec in zip(file.model.inputs, inputs, strict=True):
        takers = file.view.consumers.get(str(index), ())
        if any(node.kind in _RECURRENT for node in takers):
            hints[spec.name] = InputHints(sequence=True)
    return hints


def _refuse_unknown_operators(model: TfliteModel) -> None:
    for name in sorted({operator.kind for operator in model.operators if operator.custom}):
        if name == "edgetpu-custom-op":
            raise UnsupportedModel(
                "the file is compiled for a Coral Edge TPU: its graph is one sealed operator",
                hint="use the .tflite file it was compiled from (without _edgetpu in its name)",
            )
        if name.startswith("Flex"):
            raise UnsupportedModel(
                f"the file needs TensorFlow itself for its operation {name.removeprefix('Flex')}",
                hint="convert the model with TFLITE_BUILTINS only, or serve its SavedModel",
            )
        if name not in _LITERT_CUSTOM:
            raise UnsupportedModel(
                f"the file needs a custom operator {name!r} that LiteRT does not hold; expected "
                f"built-in operators or {DETECTION}"
            )


def _custom_operators(model: TfliteModel) -> tuple[str, ...]:
    return tuple(sorted({operator.kind for operator in model.operators if operator.custom}))


def _output(
    file: _File, outputs: list[TensorSpec], options: ReadOptions
) -> tuple[Output, tuple[TensorSpec, ...], str | None]:
    """The answer, the tensors to read for it, and a note."""
    if options.output is None:
        detection = _detection(file) or detection_by_names(outputs)
        if detection is not None:
            parts = (detection.boxes, detection.classes, detection.scores, detection.count)
            return detection, tuple(part for part in parts if part is not None), None
    closings = {
        spec.name: closing
        for index, spec in zip(file.model.outputs, outputs, strict=True)
        if (closing := closing_of(file.view, str(index))) is not None
    }
    chosen, note = choose_class_output(outputs, closings, wanted=options.output)
    return chosen, (chosen.tensor,), note


def _detection(file: _File) -> DetectionOutput | None:
    """Recognise TFLite_Detection_PostProcess by the operator, whatever its tensors are called.

    Its outputs are boxes, classes, scores and their number, in this order; class 0 is the first
    label (tensorflow/lite/kernels/detection_postprocess.cc).
    """
    for operator in file.model.operators:
        made = operator.outputs
        if operator.kind != DETECTION or not operator.custom or len(made) != 4:
            continue
        if not set(made) <= set(file.model.outputs):
            continue
        boxes, classes, scores, count = (_spec(file.model.tensors[index]) for index in made)
        return DetectionOutput(
            boxes=_shaped(boxes, (1, None, 4)),
            classes=_shaped(classes, (1, None)),
            scores=_shaped(scores, (1, None)),
            count=_shaped(count, (1,)),
            first_class=0,
        )
    return None


def _shaped(spec: TensorSpec, shape: Shape) -> TensorSpec:
    """Fill in the shape that converters leave empty for this operator's outputs."""
    return spec if spec.shape else replace(spec, shape=shape)


def _labelled_output(outputs: list[TensorSpec], output: Output) -> int:
    spec = output.tensor if isinstance(output, ClassOutput) else output.classes
    names = [candidate.name for candidate in outputs]
    return names.index(spec.name)


def _writer(file: _File) -> str | None:
    parts = [file.model.description.strip().removesuffix(".")]
    version, _ = _converter(file)
    if version:
        parts.append(f"TensorFlow {version}")
    runtime = bytes(file.model.metadata.get("min_runtime_version", b"")[:32])
    runtime_text = runtime.rstrip(b"\0").decode("ascii", "replace")
    if runtime_text:
        parts.append(f"for runtime {runtime_text} or later")
    if file.metadata.name:
        parts.append(f"model {file.metadata.name} {file.metadata.version}".strip())
    return ", ".join(part for part in parts if part) or None


def _converter(file: _File) -> tuple[str, str | None]:
    buffer = file.model.metadata.get("CONVERSION_METADATA")
    return ("", None) if buffer is None else converter_of(buffer)


def _evidence(file: _File, image: ImageInput, place: int) -> Evidence:
    names = [node.name for node in file.view.nodes]
    start = start_of(
        file.view,
        str(file.model.inputs[place]),
        channels=image.channels,
        constant=lambda value: _constant(file, value),
    )
    told = file.metadata.normalisations.get(place)
    return Evidence(
        affine=start.affine.evidence(),
        resize=_resize(file, start) if image.height is None else None,
        normalisation=None if told is None else _for_channels(told, image.channels),
        first_layers=_first_layers(file, start),
        backbone=backbone_in([*names, file.metadata.name]),
        teachable_machine=is_teachable_machine(names),
        source=_converter(file)[1],
    )


def _resize(file: _File, start: GraphStart) -> InGraphResize | None:
    """A resize of pictures of any size inside the graph, with its constant sides.

    Without half_pixel_centers (schema.fbs, ResizeBilinearOptions) it is TensorFlow 1's.
    """
    node = start.resize
    size = _constant(file, node.inputs[1]) if node is not None and len(node.inputs) == 2 else None
    if node is None or size is None or size.shape != (2,):
        return None
    bilinear = node.kind == "RESIZE_BILINEAR"
    options = _options(file, node)
    centred = options is not None and options.u8(3 if bilinear else 1) != 0
    return InGraphResize(
        height=int(size[0]),
        width=int(size[1]),
        kind=f"{'tf2' if centred else 'tf1'} {'bilinear' if bilinear else 'nearest'}",
        where=node.name,
        cut=False,
    )


def _for_channels(told: Normalisation, channels: int) -> Normalisation | None:
    """Spread a single number over all channels, as the metadata schema says; else it must fit."""
    mean, std = (
        values * channels if len(values) == 1 else values for values in (told.mean, told.std)
    )
    if len(mean) != channels or len(std) != channels:
        return None
    return replace(told, mean=mean, std=std)


def _constant(file: _File, value: str) -> npt.NDArray[np.float32] | None:
    """Numbers stored in the file, also behind the operator that unpacks float16 weights."""
    tensor = file.model.tensors[int(value)]
    maker = file.view.producer.get(value)
    if tensor.data is None and maker is not None and maker.kind == "DEQUANTIZE" and maker.inputs:
        tensor = file.model.tensors[int(maker.inputs[0])]
    if tensor.data is None or len(tensor.data) > 4 * _MOST_KERNEL_NUMBERS:
        return None
    return numbers_of(tensor)


def _first_layers(file: _File, start: GraphStart) -> FirstLayers | None:
    """The first convolution. Weights are stored O x kh x kw x I; batch norm is folded into them."""
    node = start.kernel
    if node is None or len(node.inputs) < 2:
        return None
    stored = _constant(file, node.inputs[1])
    if stored is None or stored.ndim != 4:
        return None
    if node.kind == "CONV_2D":
        kernel = stored.transpose(1, 2, 3, 0)
    elif node.kind == "DEPTHWISE_CONV_2D" and stored.shape[3] == start.affine.scale.size:
        kernel = _spread_depthwise(stored[0])
    else:
        return None
    bias = _constant(file, node.inputs[2]) if len(node.inputs) > 2 else None
    rectified, ceiling = _FUSED.get(_fused(file, node), (False, None))
    return FirstLayers(
        kernel=np.ascontiguousarray(kernel),
        bias=bias if bias is not None and bias.shape == kernel.shape[-1:] else None,
        mean=None,
        variance=None,
        rectified=rectified,
        ceiling=ceiling,
        # A fused operator bears the names of all it was made of, with semicolons between.
        where=f"{node.name.split(';')[0][:120]} ({node.kind})",
    )


def _spread_depthwise(kernel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Write a depthwise kernel kh x kw x c as the full kernel kh x kw x c x c it stands for."""
    return np.asarray(kernel[..., None] * np.eye(kernel.shape[-1], dtype=np.float32), np.float32)


def _fused(file: _File, node: Node) -> int:
    options = _options(file, node)
    return 0 if options is None else options.i8(_ACTIVATION_SLOT[node.kind])


def _options(file: _File, node: Node) -> Table | None:
    pairs = zip(file.model.operators, file.view.nodes, strict=True)
    return next((operator.options for operator, other in pairs if other is node), None)
