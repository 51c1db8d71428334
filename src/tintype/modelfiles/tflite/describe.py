"""A TFLite file described: its picture input, its answer, its quantisation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tintype.errors import NotAnImageModel, UnsupportedModel
from tintype.modelfiles.class_output import choose_class_output
from tintype.modelfiles.description import ModelDescription, ReadOptions
from tintype.modelfiles.detection_output import detection_by_names
from tintype.modelfiles.graphwalk import closing_of
from tintype.modelfiles.image_input import InputHints, choose_image_input, describe_spec
from tintype.modelfiles.tflite.evidence import evidence_of
from tintype.modelfiles.tflite.file import TfliteFile, converter, open_tflite
from tintype.modelfiles.tflite.metadata import packed_labels
from tintype.modelfiles.tflite.model import TfliteModel, TfliteTensor
from tintype.types import (
    ClassOutput,
    DetectionOutput,
    Format,
    Graph,
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


def describe_tflite(path: Path, *, options: ReadOptions) -> ModelDescription:
    """Read a TFLite file without running it.

    Raises ModelFileDamaged, ModelFileTooLarge, NotAnImageModel, UnsupportedModel.
    """
    file = open_tflite(path, options)
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
        evidence=evidence_of(file, image, inputs.index(image.tensor)),
        operations=tuple(f"{node.name} ({node.kind})" for node in file.view.nodes),
        notes=tuple(text for text in (chosen.note, note) if text),
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


def _hints(file: TfliteFile, inputs: list[TensorSpec]) -> dict[str, InputHints]:
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
    file: TfliteFile, outputs: list[TensorSpec], options: ReadOptions
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


def _detection(file: TfliteFile) -> DetectionOutput | None:
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


def _writer(file: TfliteFile) -> str | None:
    parts = [file.model.description.strip().removesuffix(".")]
    version, _ = converter(file)
    if version:
        parts.append(f"TensorFlow {version}")
    runtime = bytes(file.model.metadata.get("min_runtime_version", b"")[:32])
    runtime_text = runtime.rstrip(b"\0").decode("ascii", "replace")
    if runtime_text:
        parts.append(f"for runtime {runtime_text} or later")
    if file.metadata.name:
        parts.append(f"model {file.metadata.name} {file.metadata.version}".strip())
    return ", ".join(part for part in parts if part) or None
