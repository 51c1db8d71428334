"""Architecture and weights in two files: which file beside a given one is its other half.

Keras writes the halves with ``model.to_json()`` and ``model.save_weights(path)``; what they are
called is up to the person: ``model.json`` and ``model.h5``, ``net_architecture.json`` and
``net_weights.h5``, ``config.json`` and ``model.weights.h5``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tintype.errors import ModelFileError, UnsupportedModel
from tintype.modelfiles.keras.hdf5 import open_hdf5
from tintype.modelfiles.sniff import is_architecture

_FILLERS = frozenset(
    {
        "arch",
        "architecture",
        "best",
        "config",
        "final",
        "json",
        "model",
        "structure",
        "topology",
        "weight",
        "weights",
    }
)
"""Words of a file name that only say which half it is."""

_MOST_ENTRIES = 2_000
_MOST_PROBED = 50
_HEAD_BYTES = 4096
_MAX_BYTES = 8 << 30


def architecture_beside(weights: Path) -> Path:
    """The JSON file that belongs to a file of weights. Raises UnsupportedModel."""
    return _partner(weights, _architectures, _no_architecture)


def weights_beside(architecture: Path) -> Path:
    """The HDF5 file of weights that belongs to an architecture. Raises UnsupportedModel."""
    return _partner(architecture, _weights, _no_weights)


def other_half(path: Path) -> Path | None:
    """The file that ``path`` needs beside it, None where it is whole. Raises UnsupportedModel."""
    if is_architecture(_head(path)):
        return weights_beside(path)
    return architecture_beside(path) if _is_weights(path) else None


def _partner(
    path: Path,
    search: Callable[[Path], list[Path]],
    refuse: Callable[[Path, list[Path]], UnsupportedModel],
) -> Path:
    found = search(path.parent)
    same = [other for other in found if _core(other) == _core(path)]
    plain = [other for other in found if not _core(other)]
    for candidates in (same, plain, found):
        if len(candidates) == 1 and (candidates is not found or _alone(path, search)):
            return candidates[0]
        if candidates:
            break
    raise refuse(path, found)


def _alone(path: Path, search: Callable[[Path], list[Path]]) -> bool:
    """Whether ``path`` is the only one of its half in the folder: then names need not agree."""
    others = (_weights if search is _architectures else _architectures)(path.parent)
    return [other.name for other in others] == [path.name]


def _core(path: Path) -> tuple[str, ...]:
    words = re.split(r"[\W_]+", path.stem.lower())
    return tuple(word for word in words if word and word not in _FILLERS)


def _architectures(folder: Path) -> list[Path]:
    return [path for path in _entries(folder, {".json"}) if is_architecture(_head(path))]


def _weights(folder: Path) -> list[Path]:
    return [path for path in _entries(folder, {".h5", ".hdf5"}) if _is_weights(path)]


def _entries(folder: Path, endings: set[str]) -> list[Path]:
    try:
        entries = [path for _, path in zip(range(_MOST_ENTRIES), folder.iterdir(), strict=False)]
        fitting = [path for path in entries if path.suffix.lower() in endings and path.is_file()]
    except OSError:
        return []
    return sorted(fitting)[:_MOST_PROBED]


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""


def _is_weights(path: Path) -> bool:
    try:
        with open_hdf5(path, max_bytes=_MAX_BYTES) as reader:
            return reader.text("", "model_config") is None and bool(reader.children(""))
    except ModelFileError:
        return False


def _no_architecture(weights: Path, found: list[Path]) -> UnsupportedModel:
    return UnsupportedModel(
        "the file holds weights only: no model_config says how the layers are connected"
        + _listed(found, "no architecture in JSON"),
        hint="load the weights into the model in Python and save the whole of it with "
        f"model.save('model.keras'), or put model.to_json() beside it as "
        f"{weights.name.partition('.')[0]}.json",
    )


def _no_weights(architecture: Path, found: list[Path]) -> UnsupportedModel:
    return UnsupportedModel(
        "the file is the architecture of a Keras model, without its weights"
        + _listed(found, "no HDF5 file of weights"),
        hint="save the whole of it with model.save('model.keras'), or put the weights beside it "
        f"as {architecture.stem}.weights.h5",
    )


def _listed(found: list[Path], none: str) -> str:
    if not found:
        return f", and {none} lies beside it"
    names = ", ".join(path.name for path in found[:5])
    return f"; which of these belongs to it is not clear: {names}"
