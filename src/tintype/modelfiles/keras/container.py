"""The containers of a Keras model: one HDF5 file, a zip of JSON and HDF5, or these two apart.

HDF5: attributes ``model_config``, ``keras_version``, ``backend``, group ``model_weights``
(keras ``legacy/saving/legacy_h5_format.py``). Zip: ``config.json``, ``metadata.json``,
``model.weights.h5`` (keras ``saving/saving_lib.py``); a folder of these three is the same unpacked.
Apart: ``model.to_json()`` beside ``model.save_weights()`` (see ``partners``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tintype.errors import (
    ModelFileDamaged,
    ModelFileTooLarge,
    UnsupportedModel,
)
from tintype.modelfiles.keras.archive import read_members
from tintype.modelfiles.keras.hdf5 import MAX_TEXT_BYTES, Hdf5Reader, open_hdf5
from tintype.modelfiles.keras.partners import architecture_beside, weights_beside
from tintype.modelfiles.sniff import is_architecture
from tintype.types import Format

_MOST_VALUES = 2_000_000
"""The configuration of the largest published model has about 100 000."""

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
    by_class: bool = False
    """Whether weights lie by class and count, as Keras 3 writes them, or by the layer's name."""
    notes: tuple[str, ...] = ()

    @property
    def generation(self) -> int:
        """2 or 3: the Keras whose meaning of settings holds."""
        if self.version is None:
            return 3 if self.format is Format.KERAS_ZIP or "module" in self.config else 2
        return 2 if self.version.startswith(("1.", "2.")) else 3


@contextmanager
def open_keras(path: Path, *, format: Format, max_bytes: int) -> Iterator[KerasFile]:  # noqa: A002 - the field's own name
    """Open ``path`` and read its configuration; weights are read later, one by one.

    ``path`` is a file, an unpacked zip, or either half of a model in two files.
    Raises ModelFileDamaged, ModelFileTooLarge, UnsupportedModel or UnsafeModel.
    """
    opener = _opener(path, format, max_bytes)
    with opener(path, max_bytes) as opened:
        yield opened


def _opener(
    path: Path,
    format: Format,  # noqa: A002 - the field's own name
    max_bytes: int,
) -> Callable[[Path, int], AbstractContextManager[KerasFile]]:
    if path.is_dir():
        return _open_folder
    _check_size(path, max_bytes)
    if format is Format.KERAS_ZIP:
        return _open_zip
    return _open_architecture if is_architecture(_read(path, 4096)) else _open_hdf5


def _check_size(path: Path, max_bytes: int) -> None:
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


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except OSError as error:
        raise ModelFileDamaged(f"{path.name} cannot be read: {error.strerror}") from error


def _read_text(path: Path) -> str:
    content = _read(path, MAX_TEXT_BYTES + 1)
    if len(content) > MAX_TEXT_BYTES:
        raise ModelFileTooLarge(f"{path.name} has more than {MAX_TEXT_BYTES} bytes")
    return _text(content.removeprefix(b"\xef\xbb\xbf"))


@contextmanager
def _open_hdf5(path: Path, max_bytes: int) -> Iterator[KerasFile]:
    with open_hdf5(path, max_bytes=max_bytes) as reader:
        text = reader.text("", "model_config")
        if text is None:
            if not _holds_weights(reader):
                raise _no_config()
            yield _apart(architecture_beside(path), path, reader, given=path)
            return
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
def _open_architecture(path: Path, max_bytes: int) -> Iterator[KerasFile]:
    weights = weights_beside(path)
    _check_size(weights, max_bytes)
    with open_hdf5(weights, max_bytes=max_bytes) as reader:
        yield _apart(path, weights, reader, given=path)


def _apart(architecture: Path, weights: Path, reader: Hdf5Reader, *, given: Path) -> KerasFile:
    """A model in two files. Weights of Keras 3 lie by class and count in either container."""
    text = _read_text(architecture)
    config = _json_object(_once_unquoted(text), architecture.name)
    if not isinstance(config.get("class_name"), str):
        raise ModelFileDamaged(f"{architecture.name} names no class of a model")
    version, backend = config.get("keras_version"), config.get("backend")
    other = weights if given == architecture else architecture
    half = "the weights" if other is weights else "the architecture"
    return KerasFile(
        format=Format.KERAS_HDF5,
        config=config,
        version=version if isinstance(version, str) else reader.text("", "keras_version"),
        backend=backend if isinstance(backend, str) else reader.text("", "backend"),
        labels=_labels_in_attributes(reader),
        weights=reader,
        by_class=reader.names("", "layer_names") is None,
        notes=(f"{half} come from {other.name} beside {given.name}",),
    )


def _once_unquoted(text: str) -> str:
    """``json.dump(model.to_json(), file)`` writes the text of a text."""
    inner = _json_list(text) if text.lstrip().startswith('"') else None
    return inner if isinstance(inner, str) else text


@contextmanager
def _open_folder(path: Path, max_bytes: int) -> Iterator[KerasFile]:
    """An unpacked zip, as ``model.save('model', zipped=False)`` writes it too."""
    weights = path / "model.weights.h5"
    try:
        names = {entry.name: b"" for entry in path.iterdir()}
    except OSError as error:
        raise ModelFileDamaged(f"the folder cannot be read: {error.strerror}") from error
    if not weights.is_file():
        raise _no_weights(names)
    _check_size(weights, max_bytes)
    metadata = _json_object(_read_text(path / "metadata.json"), "metadata.json")
    parsed = _json_object(_read_text(path / "config.json"), "config.json")
    with open_hdf5(weights, max_bytes=max_bytes) as reader:
        yield _of_three(parsed, metadata, reader)


def _of_three(config: dict[str, Any], metadata: dict[str, Any], reader: Hdf5Reader) -> KerasFile:
    version = metadata.get("keras_version")
    return KerasFile(
        format=Format.KERAS_ZIP,
        config=config,
        version=version if isinstance(version, str) else None,
        backend=None,
        labels=_labels_in(metadata) or _labels_in(config) or _labels_in_attributes(reader),
        weights=reader,
        by_class=True,
    )


@contextmanager
def _open_zip(path: Path, max_bytes: int) -> Iterator[KerasFile]:
    members = read_members(path, max_bytes)
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
    with open_hdf5(weights, max_bytes=max_bytes) as reader:
        yield _of_three(parsed, metadata, reader)


def _holds_weights(reader: Hdf5Reader) -> bool:
    names = set(reader.children(""))
    groups = {"layers", "_layer_checkpoint_dependencies", "model_weights"}
    if names & groups or reader.names("", "layer_names"):
        return True
    # Keras 3 writes a subclassed model by the names of its attributes, each with its variables.
    return any("vars" in reader.children(name) for name in sorted(names)[:100])


def _no_config() -> UnsupportedModel:
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
    _check_values(text, what)
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ModelFileDamaged(f"{what} is nested too deeply") from error
    except ValueError as error:
        raise ModelFileDamaged(f"{what} is not valid JSON ({str(error)[:120]})") from error
    if not isinstance(value, dict):
        raise ModelFileDamaged(f"{what} should be a JSON object, not {type(value).__name__}")
    return value


def _check_values(text: str, what: str) -> None:
    """Each value costs a hundred bytes and more in memory, however short it is in the text."""
    values = text.count(",") + text.count("[") + text.count("{")
    if values > _MOST_VALUES:
        raise ModelFileTooLarge(
            f"{what} has about {values} values; at most {_MOST_VALUES} are read",
            limit=_MOST_VALUES,
            actual=values,
        )


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
        _check_values(text, "a list")
        return json.loads(text)
    except (ValueError, RecursionError, ModelFileTooLarge):
        return None
