"""The two containers of a Keras model: one HDF5 file, or a zip of JSON and HDF5.

HDF5: attributes ``model_config``, ``keras_version``, ``backend``, group ``model_weights``
(keras ``legacy/saving/legacy_h5_format.py``). Zip: ``config.json``, ``metadata.json``,
``model.weights.h5`` (keras ``saving/saving_lib.py``).
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tintype.errors import (
    ModelFileDamaged,
    ModelFileTooLarge,
    UnsupportedModel,
)
from tintype.modelfiles.keras.hdf5 import MAX_TEXT_BYTES, Hdf5Reader, open_hdf5
from tintype.types import Format

_MAX_MEMBERS = 10_000
_MAX_EXPANSION = 100
_FREE_BYTES = 64 << 20

_LABEL_KEYS = ("class_names", "labels", "classes")


@dataclass(frozen=True, slots=True, kw_only=True)
class KerasFile:
    """An opened Keras file. ``config`` is the model's JSON, untouched; ``weights`` its HDF5 part.

    ``version`` is that of the Keras that wrote it (``2.4.0``), None where it does not say.
    """

    format: Format
    config: dict[str, Any]
    version: str | None
    backend: str | None
    labels: tuple[str, ...] | None
    weights: Hdf5Reader

    @property
    def generation(self) -> int:
        """2 or 3: the Keras whose meaning of settings holds."""
        if self.version is None:
            return 3 if self.format is Format.KERAS_ZIP else 2
        return 2 if self.version.startswith("2.") else 3


@contextmanager
def open_keras(path: Path, *, format: Format, max_bytes: int) -> Iterator[KerasFile]:  # noqa: A002 - the field's own name
    """Open ``path`` and read its configuration; weights are read later, one by one.

    Raises ModelFileDamaged, ModelFileTooLarge, UnsupportedModel or UnsafeModel.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ModelFileDamaged(f"the file cannot be read: {error.strerror}") from error
    if size > max_bytes:
        raise ModelFileTooLarge(
            f"the file has {size} bytes; at most {max_bytes} are read",
            limit=max_bytes,
            actual=size,
        )
    opener = _open_zip if format is Format.KERAS_ZIP else _open_hdf5
    with opener(path, max_bytes) as opened:
        yield opened


@contextmanager
def _open_hdf5(path: Path, max_bytes: int) -> Iterator[KerasFile]:
    with open_hdf5(path, max_bytes=max_bytes) as reader:
        text = reader.text("", "model_config")
        if text is None:
            raise _no_config(reader)
        where = "model_weights" if reader.group("model_weights") is not None else ""
        yield KerasFile(
            format=Format.KERAS_HDF5,
            config=_json_object(text, "the attribute model_config"),
            version=reader.text("", "keras_version") or reader.text(where, "keras_version"),
            backend=reader.text("", "backend") or reader.text(where, "backend"),
            labels=_labels_in_attributes(reader),
            weights=reader,
        )


@contextmanager
def _open_zip(path: Path, max_bytes: int) -> Iterator[KerasFile]:
    members = _read_members(path, max_bytes)
    config = members.get("config.json")
    if config is None:
        raise UnsupportedModel(
            "the zip file has no config.json, so it is no Keras model",
            hint="a .keras file is written by model.save('model.keras')",
        )
    weights = members.get("model.weights.h5")
    if weights is None:
        raise _no_weights(members)
    metadata = _json_object(_text(members.get("metadata.json", b"{}")), "metadata.json")
    parsed = _json_object(_text(config), "config.json")
    version = metadata.get("keras_version")
    with open_hdf5(weights, max_bytes=max_bytes) as reader:
        yield KerasFile(
            format=Format.KERAS_ZIP,
            config=parsed,
            version=version if isinstance(version, str) else None,
            backend=None,
            labels=_labels_in(metadata) or _labels_in(parsed) or _labels_in_attributes(reader),
            weights=reader,
        )


def _read_members(path: Path, max_bytes: int) -> dict[str, bytes]:
    wanted = ("config.json", "metadata.json", "model.weights.h5")
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.infolist()
            if len(found) > _MAX_MEMBERS:
                raise ModelFileTooLarge(f"the zip file has more than {_MAX_MEMBERS} entries")
            members = {}
            for info in found:
                if info.filename in wanted:
                    members[info.filename] = _read_member(archive, info, max_bytes)
                elif info.filename.startswith("model.weights"):
                    members[info.filename] = b""
            return members
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        NotImplementedError,  # packed by a method, or in a version, that zipfile does not know
        RuntimeError,  # a password is asked for
        ValueError,
        OverflowError,
        MemoryError,
    ) as error:
        raise ModelFileDamaged(
            f"the zip file is damaged ({str(error)[:200]})",
            hint="copy or download the file again, or save the model once more",
        ) from error


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int) -> bytes:
    limit = max_bytes if info.filename.endswith(".h5") else MAX_TEXT_BYTES
    limit = min(limit, max(_FREE_BYTES, _MAX_EXPANSION * info.compress_size))
    if info.file_size > limit:
        raise ModelFileTooLarge(
            f"{info.filename} in the zip file declares {info.file_size} bytes, "
            f"stored in {info.compress_size}",
            limit=limit,
            actual=info.file_size,
        )
    with archive.open(info) as member:
        # The declared size is a claim too: never take more than it.
        content = member.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise ModelFileDamaged(f"{info.filename} in the zip file is not as long as it declares")
    return content


def _no_config(reader: Hdf5Reader) -> UnsupportedModel:
    names = reader.children("")
    if "layers" in names or "model_weights" in names or reader.names("", "layer_names"):
        return UnsupportedModel(
            "the file holds weights only: no model_config says how the layers are connected",
            hint="load the weights into the model in Python and save the whole of it with "
            "model.save('model.keras')",
        )
    return UnsupportedModel(
        "the HDF5 file is no Keras model: it has no model_config",
        hint="a Keras file is written by model.save('model.h5')",
    )


def _no_weights(members: dict[str, bytes]) -> Exception:
    others = sorted(name for name in members if name.startswith("model.weights"))
    if others:
        return UnsupportedModel(
            f"the weights lie in {others[0]}, which is not read; expected model.weights.h5",
            hint="save the model without sharding: model.save('model.keras')",
        )
    return ModelFileDamaged("the zip file has no model.weights.h5")


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace")


def _json_object(text: str, what: str) -> dict[str, Any]:
    if len(text) > MAX_TEXT_BYTES:
        raise ModelFileTooLarge(f"{what} has more than {MAX_TEXT_BYTES} characters")
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ModelFileDamaged(f"{what} is nested too deeply") from error
    except ValueError as error:
        raise ModelFileDamaged(f"{what} is not valid JSON ({str(error)[:120]})") from error
    if not isinstance(value, dict):
        raise ModelFileDamaged(f"{what} should be a JSON object, not {type(value).__name__}")
    return value


def _labels_in(values: dict[str, Any]) -> tuple[str, ...] | None:
    for key in _LABEL_KEYS:
        labels = values.get(key)
        if isinstance(labels, str) and labels.lstrip().startswith("["):
            labels = _json_list(labels)
        if isinstance(labels, list) and labels and all(isinstance(item, str) for item in labels):
            return tuple(labels)
    return None


def _labels_in_attributes(reader: Hdf5Reader) -> tuple[str, ...] | None:
    for key in _LABEL_KEYS:
        try:
            labels = reader.names("", key)
        except (ModelFileDamaged, ModelFileTooLarge):
            continue  # somebody else's attribute of that name; labels are only a help
        if labels and len(labels) == 1:
            return _labels_in({key: labels[0]}) or labels
        if labels:
            return labels
    return None


def _json_list(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
