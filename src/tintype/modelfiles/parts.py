"""The files that a model is made of: when one of them changes, it is another model."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tintype.modelfiles.description import ReadOptions
from tintype.types import Format

_IN_FOLDERS: Final = frozenset({".h5", ".index", ".json", ".pb"})
_FOLDERS: Final = frozenset({"assets", "variables"})
"""What counts of a SavedModel or an unpacked .keras file; labels and notes lie there, too."""


def files_of(path: Path, *, format: Format, options: ReadOptions) -> tuple[Path, ...]:  # noqa: A002 - the field's own name
    """Every file of the model at ``path``, the named one first. Raises ModelFileError, OSError."""
    if path.is_dir():
        return tuple(file for file in sorted(path.rglob("*")) if _counts(file, path))
    if format is Format.TF_SAVED_MODEL:
        return files_of(path.parent, format=format, options=options)
    if format is Format.OPENVINO_IR:
        return path, path.with_suffix(".bin")
    if format is Format.ONNX:
        from tintype.modelfiles import onnx_tensors  # noqa: PLC0415 - brings onnx

        model = onnx_tensors.load_model(path, max_bytes=options.max_bytes)
        return path, *(path.parent / name for name in onnx_tensors.outside_files(model))
    if format is Format.KERAS_HDF5:
        from tintype.modelfiles.keras.partners import other_half  # noqa: PLC0415 - brings h5py

        other = other_half(path)
        return (path,) if other is None else (path, other)
    return (path,)


def _counts(file: Path, folder: Path) -> bool:
    inside = file.relative_to(folder).parts
    return file.is_file() and (file.suffix in _IN_FOLDERS or bool(_FOLDERS & {*inside[:-1]}))
