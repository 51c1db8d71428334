"""What a TFLite file tells about itself beside its graph.

``TFLITE_METADATA`` (tflite-support, metadata_schema.fbs, identifier ``M001``): normalisation and
label files. Those files lie in a ZIP archive that is appended to the model file.
``CONVERSION_METADATA`` (tensorflow/lite/schema/conversion_metadata.fbs): the converter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tintype.errors import LabelsError, ModelFileError
from tintype.modelfiles.description import Normalisation
from tintype.modelfiles.label_shapes import parse_labels
from tintype.modelfiles.safety import archive_member, archive_names
from tintype.modelfiles.tflite.flatbuffer import Table

_MOST_ENTRIES = 1000
_MOST_LABEL_BYTES = 8 << 20
_NORMALIZATION_OPTIONS = 1  # union ProcessUnitOptions
_AXIS_LABELS, _VALUE_LABELS = 2, 3  # enum AssociatedFileType
_MODEL_TYPES = {1: None, 2: "keras", 3: None, 4: "jax", 5: "pytorch"}  # enum ModelType


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFile:
    """A labels file that the metadata names. ``output``: the output's place, None for the whole."""

    name: str
    output: int | None
    locale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TfliteMetadata:
    """The parts of the metadata used here. ``normalisations`` are by the input's place."""

    name: str = ""
    version: str = ""
    author: str = ""
    normalisations: dict[int, Normalisation]
    label_files: tuple[LabelFile, ...]


NOTHING = TfliteMetadata(normalisations={}, label_files=())


def parse_metadata(buffer: memoryview) -> TfliteMetadata:
    """Read the metadata buffer. Raises ModelFileDamaged when its offsets lead out of it."""
    if len(buffer) < 8:
        return NOTHING
    root = Table.root(buffer)
    normalisations: dict[int, Normalisation] = {}
    files = [(None, table) for table in root.tables(6, most=_MOST_ENTRIES)]
    whole: list[tuple[int | None, Table]] = list(files)
    for graph in [*root.tables(3, most=_MOST_ENTRIES)][:1]:
        for place, tensor in enumerate(graph.tables(2, most=_MOST_ENTRIES)):
            if (found := _normalisation(tensor)) is not None:
                normalisations[place] = found
        for place, tensor in enumerate(graph.tables(3, most=_MOST_ENTRIES)):
            whole += [(place, table) for table in tensor.tables(6, most=_MOST_ENTRIES)]
        whole += [(None, table) for table in graph.tables(4, most=_MOST_ENTRIES)]
    return TfliteMetadata(
        name=root.text(0),
        version=root.text(2),
        author=root.text(4),
        normalisations=normalisations,
        label_files=tuple(_label_files(whole)),
    )


def packed_labels(path: Path, metadata: TfliteMetadata, output: int) -> tuple[str, ...] | None:
    """Read the labels of output number ``output`` out of the archive behind the model.

    First a file the metadata gives to that output, then one given to any, then one that is called
    labels. A file that cannot be read counts as absent: the graph is sound without it.
    """
    try:
        names = archive_names(path)
    except ModelFileError:
        return None
    told = sorted(
        metadata.label_files,
        key=lambda file: (
            file.output != output,
            file.locale not in ("", "en"),
            file.output is None,
        ),
    )
    called = [name for name in names if "label" in name.lower() or "class" in name.lower()]
    for name in dict.fromkeys([*(file.name for file in told), *called]):
        data = archive_member(path, name, limit=_MOST_LABEL_BYTES) if name in names else None
        if data is None:
            continue
        try:
            return parse_labels(data)
        except LabelsError:
            continue
    return None


def converter_of(buffer: memoryview) -> tuple[str, str | None]:
    """Read the converter's TensorFlow version and the framework of the model it was given."""
    environment = Table.root(buffer).table(0) if len(buffer) >= 8 else None
    if environment is None:
        return "", None
    return environment.text(0), _MODEL_TYPES.get(environment.i32(2))


def _normalisation(tensor: Table) -> Normalisation | None:
    for unit in tensor.tables(4, most=_MOST_ENTRIES):
        options = unit.table(1) if unit.u8(0) == _NORMALIZATION_OPTIONS else None
        if options is None:
            continue
        mean = _floats(options, 0)
        std = _floats(options, 1)
        if not mean or not std or not all(math.isfinite(x) for x in (*mean, *std)) or 0 in std:
            continue
        return Normalisation(mean=mean, std=std, where="TFLite metadata, NormalizationOptions")
    return None


def _floats(table: Table, slot: int) -> tuple[float, ...]:
    return tuple(float(value) for value in table.numbers(slot, "<f4", most=16).astype(np.float64))


def _label_files(entries: list[tuple[int | None, Table]]) -> Iterator[LabelFile]:
    for output, table in entries:
        if table.i8(2) in (_AXIS_LABELS, _VALUE_LABELS):
            yield LabelFile(name=table.text(0), output=output, locale=table.text(3))
