"""Layers of Keras that are known and not read, each with the reason in words."""

from __future__ import annotations

_TEXT = "it works on texts or categories, not on pictures"
_STATE = "it needs a vocabulary or buckets; pictures have none"
_SOUND = "it works on sound, not on pictures"
_FOREIGN = "its computation lies in another framework's code, not in the file"

_REFUSED: dict[str, str] = {
    "AbstractRNNCell": "it is a base class for code of the model's author",
    "CategoryEncoding": _STATE,
    "ContrastLimitedAdaptiveHistogramEqualization": "histograms of tiles are not written yet",
    "DenseFeatures": "it reads feature columns, not pictures",
    "FlaxLayer": _FOREIGN,
    "HashedCrossing": _TEXT,
    "Hashing": _TEXT,
    "InputSpec": "it is a description and no layer",
    "IntegerLookup": _STATE,
    "JaxLayer": _FOREIGN,
    "Lambda": "it holds Python code, which is never run",
    "Layer": "it is the base class: it computes nothing",
    "MelSpectrogram": _SOUND,
    "STFTSpectrogram": _SOUND,
    "StringLookup": _TEXT,
    "TFSMLayer": "it holds a SavedModel of its own, which would be run as code",
    "TextVectorization": _TEXT,
    "TorchModuleWrapper": _FOREIGN,
    "Wrapper": "it is the base class: it computes nothing",
}


def why_refused(kind: str) -> str | None:
    """The reason why layers of class ``kind`` are not read; None where none is on record."""
    return _REFUSED.get(kind)


REFUSED_KINDS = frozenset(_REFUSED)
