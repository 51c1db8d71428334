"""What ``tintype convert`` writes into an ONNX file's ``metadata_props``, and how it is read.

Every value is text under a key of its own (onnx.proto, ``StringStringEntryProto``); whoever does
not know a key passes it over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from tintype.errors import ModelFileTooLarge, UnsupportedModel
from tintype.modelfiles.description import ModelDescription
from tintype.modelfiles.image_input import CHANNELS
from tintype.modelfiles.onnx_tensors import load_model, outside_files
from tintype.modelfiles.safety import damaged
from tintype.types import Activation, ClassOutput, Format, ImageInput, Layout, TensorSpec
from tintype.wire.protobuf import ProtobufError, encode, fields, spans

LABELS = "tintype.labels"
"""A JSON list of texts."""
RECIPE = "tintype.recipe"
"""A JSON object: what ``imaging.recipe.parse_recipe`` takes."""
SOURCE = "tintype.source"
"""The framework that trained the model: ``Evidence.source``."""
TASK = "tintype.task"
FORMAT = "tintype.format"
"""What the file was before: one of ``types.Format``."""
WRITER = "tintype.writer"
"""Who wrote the file as it was before, such as ``Keras 2.4.0``."""
LAYOUT = "tintype.layout"
CHANNELS_KEY = "tintype.channels"
OUTPUT = "tintype.output"
"""The name of the output to answer with, where the file has several."""
ACTIVATION = "tintype.activation"

_PROPERTIES = 14
"""ModelProto.metadata_props."""
_MAX_BYTES = (1 << 31) - 1
"""No protobuf message may be longer."""
_WRITABLE = frozenset({Format.KERAS_HDF5, Format.KERAS_ZIP, Format.ONNX})


def onnx_bytes(description: ModelDescription, *, max_bytes: int) -> bytes:
    """The model as ONNX in one piece: the graph made of a Keras file, or an ONNX file itself.

    Weights that lie beside an ONNX file are taken in. Raises UnsupportedModel for other formats,
    and ModelFileTooLarge where one piece cannot hold the weights.
    """
    source = description.graph.source
    if description.format not in _WRITABLE:
        raise UnsupportedModel(
            f"{description.path.name} is {description.format}, which is not written as ONNX yet; "
            "Keras and ONNX files are",
            hint="`tintype serve` runs it as it is; tf2onnx makes ONNX of TensorFlow and TFLite",
        )
    if isinstance(source, bytes):
        return source
    model = load_model(source, max_bytes=max_bytes)
    if not outside_files(model):
        return source.read_bytes()
    from onnx.external_data_helper import (  # noqa: PLC0415 - slow to import, seldom needed
        load_external_data_for_model,
    )

    size = sum(path.stat().st_size for path in (source, *_beside(source, model)))
    if size > _MAX_BYTES:
        raise ModelFileTooLarge(
            f"with its weights {source.name} has {size} bytes; ONNX in one piece may have "
            f"{_MAX_BYTES}",
            limit=_MAX_BYTES,
            actual=size,
        )
    load_external_data_for_model(model, str(source.parent))
    content = model.SerializeToString()
    return bytes(content)


def _beside(source: Path, model: object) -> list[Path]:
    return [source.parent / name for name in outside_files(model)]


def with_properties(model: bytes, properties: Mapping[str, str]) -> bytes:
    """An ONNX model with ``properties`` set; those of other names, and all the rest, stay.

    Raises ModelFileDamaged where ``model`` is no protobuf, ModelFileTooLarge beyond 2 GiB.
    """
    kept: list[bytes | memoryview] = []
    start = end = 0  # whatever lies between two properties is copied as one piece
    view = memoryview(model)
    try:
        for number, span, value in spans(view):
            if (
                number == _PROPERTIES
                and isinstance(value, memoryview)
                and _key(value) in properties
            ):
                kept.append(view[start:end])
                start = end + len(span)
            end += len(span)
    except ProtobufError as error:
        raise damaged(Path("the model"), str(error)) from error
    kept.append(view[start:end])
    entries = [
        encode(_PROPERTIES, encode(1, _utf8(key)) + encode(2, _utf8(value)))
        for key, value in properties.items()
    ]
    size = sum(map(len, kept)) + sum(map(len, entries))
    if size > _MAX_BYTES:
        raise ModelFileTooLarge(
            f"the ONNX file would have {size} bytes; it may have {_MAX_BYTES}",
            limit=_MAX_BYTES,
            actual=size,
        )
    return b"".join([*kept, *entries])


def _key(entry: memoryview) -> str:
    for number, value in fields(entry):
        if number == 1 and isinstance(value, memoryview):
            return bytes(value).decode("utf-8", "replace")
    return ""


def _utf8(text: str) -> bytes:
    # Labels of a stranger's file may hold lone surrogates, which UTF-8 cannot.
    return text.encode("utf-8", errors="replace")


def reading_properties(description: ModelDescription) -> dict[str, str]:
    """What the reader of the ONNX file need not find out again: how it is fed and what it says."""
    image, output = description.image, description.output
    said = {
        LAYOUT: image.layout.value,
        CHANNELS_KEY: str(image.channels),
        FORMAT: description.format.value,
        WRITER: description.writer or "",
        SOURCE: description.evidence.source or "",
        OUTPUT: output.tensor.name if isinstance(output, ClassOutput) else "",
        ACTIVATION: output.activation.value if isinstance(output, ClassOutput) else "",
    }
    return {key: value for key, value in said.items() if value}


def carried_image(properties: Mapping[str, str], spec: TensorSpec) -> ImageInput | None:
    """The picture input as the properties tell it; None where they do not, or do not fit."""
    layout, channels = properties.get(LAYOUT, ""), properties.get(CHANNELS_KEY, "")
    if layout not in {*Layout} or channels not in {str(count) for count in CHANNELS}:
        return None
    sides = _sides(spec, Layout(layout), int(channels))
    if sides is None or any(side is not None and side < 1 for side in sides):
        return None
    return ImageInput(
        tensor=spec,
        layout=Layout(layout),
        height=sides[0],
        width=sides[1],
        channels=int(channels),
        batch=spec.shape[0],
    )


def _sides(spec: TensorSpec, layout: Layout, channels: int) -> tuple[int | None, int | None] | None:
    shape = spec.shape
    if len(shape) == 4 and layout is Layout.NHWC and shape[3] == channels:
        return shape[1], shape[2]
    if len(shape) == 4 and layout is Layout.NCHW and shape[1] == channels:
        return shape[2], shape[3]
    if len(shape) == 3 and layout is Layout.NHW and channels == 1:
        return shape[1], shape[2]
    if len(shape) == 2 and layout is Layout.FLAT and shape[1] is not None:
        side = math.isqrt(shape[1] // channels)
        return (side, side) if side * side * channels == shape[1] else None
    return None


def carried_activation(properties: Mapping[str, str]) -> Activation | None:
    """What closes the answer, as the properties tell it."""
    said = properties.get(ACTIVATION, "")
    return Activation(said) if said in {*Activation} else None


def carried_writer(properties: Mapping[str, str]) -> str:
    """What the file was before, in words; empty where nothing is said."""
    before = properties.get(FORMAT, "")[:100]
    writer = properties.get(WRITER, "")[:100]
    return f"made of {before}" + (f" by {writer}" if writer else "") if before else ""
