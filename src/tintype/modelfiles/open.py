"""The one door to model files: sniff the content, call the reader of that format."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol, cast

from tintype.errors import (
    ModelFileTooLarge,
    UnknownModelFormat,
    UnsafeModel,
    UnsupportedModel,
)
from tintype.modelfiles.description import ModelDescription, ReadOptions
from tintype.modelfiles.safety import check_size, unreadable
from tintype.modelfiles.sniff import sniff
from tintype.types import Format

_MOST_FILES = 20_000


class Reader(Protocol):
    """What every format's reader is called with."""

    def __call__(self, path: Path, *, options: ReadOptions) -> ModelDescription:
        """Describe the file or folder at ``path``."""
        ...


class _KerasReader(Protocol):
    def __call__(
        self,
        path: Path,
        *,
        format: Format,  # noqa: A002  # its name is part of the contract between readers
        options: ReadOptions,
    ) -> ModelDescription: ...


# Module and function of each reader, imported when a file of its format comes: a server of TFLite
# files must not wait for h5py.
_READERS: dict[Format, tuple[str, str]] = {
    Format.KERAS_HDF5: ("tintype.modelfiles.keras.read", "describe_keras"),
    Format.KERAS_ZIP: ("tintype.modelfiles.keras.read", "describe_keras"),
    Format.TF_FROZEN_GRAPH: ("tintype.modelfiles.tensorflow.frozen", "describe_frozen_graph"),
    Format.TF_SAVED_MODEL: ("tintype.modelfiles.tensorflow.saved_model", "describe_saved_model"),
    Format.TFLITE: ("tintype.modelfiles.tflite.describe", "describe_tflite"),
    Format.ONNX: ("tintype.modelfiles.onnxfile", "describe_onnx"),
    Format.OPENVINO_IR: ("tintype.modelfiles.openvino_ir", "describe_ir"),
}
_NO_OPTIONS = ReadOptions()


def describe(path: Path, *, options: ReadOptions = _NO_OPTIONS) -> ModelDescription:
    """Say what a model file is, by its content and never by its name; nothing in it is run.

    ``path`` is a file, or the folder of a SavedModel (or its saved_model.pb). Raises
    UnknownModelFormat, ModelFileDamaged, ModelFileTooLarge, UnsafeModel, NotAnImageModel,
    UnsupportedModel, or their base ModelFileError when the path cannot be read.
    """
    found = sniff(path)
    try:
        return _read(path, found, options)
    except (UnsafeModel, UnsupportedModel) as error:
        if not options.allow_code or error.facts.get("way_out") != "allow-code":
            raise
        module = importlib.import_module("tintype.modelfiles.conversion.describe")
        described: ModelDescription = module.describe_converted(
            path, format=found, options=options, refused=error
        )
        return described


def _read(path: Path, found: Format, options: ReadOptions) -> ModelDescription:
    place = _saved_model_folder(path) if found is Format.TF_SAVED_MODEL else path
    try:
        _check_size(place, options.max_bytes)
        module, function = _READERS[found]
        reader = getattr(importlib.import_module(module), function)
        if found in (Format.KERAS_HDF5, Format.KERAS_ZIP):
            return cast("_KerasReader", reader)(place, format=found, options=options)
        return cast("Reader", reader)(place, options=options)
    except OSError as error:
        raise unreadable(place, error) from error


def _saved_model_folder(path: Path) -> Path:
    if path.is_dir():
        return path
    if path.name != "saved_model.pb":
        raise UnknownModelFormat(
            f"{path.name} is the graph of a SavedModel under another name; expected its folder, "
            "with saved_model.pb and variables/ in it",
            hint="give the whole folder, and call this file saved_model.pb again",
        )
    return path.parent


def _check_size(place: Path, limit: int) -> None:
    """Refuse a file, or a folder of files, above ``limit`` bytes before any of it is read."""
    if not place.is_dir():
        check_size(place, limit)
        return
    total = 0
    for count, entry in enumerate(place.rglob("*")):
        if count > _MOST_FILES:
            raise ModelFileTooLarge(
                f"{place} holds more than {_MOST_FILES:,} files: this is no SavedModel",
                limit=_MOST_FILES,
            )
        total += entry.stat().st_size if entry.is_file() else 0
        if total > limit:
            raise ModelFileTooLarge(
                f"{place} has more than {limit:,} bytes, the limit", limit=limit, actual=total
            )
