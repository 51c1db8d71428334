"""Labels: files of every usual shape read by content, found beside a model.

The shapes are listed in ``docs/reference/labels.md``. ``label_shapes`` holds their grammar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tintype.errors import LabelsError, ModelFileError
from tintype.modelfiles.label_shapes import parse_labels
from tintype.modelfiles.safety import read_small, unreadable
from tintype.types import ClassOutput, Output, name_text

MAX_FILE_BYTES = 8 << 20
"""Largest labels file that is read; the 21,843 names of ImageNet-21k have 1 MB."""

_EXACT_NAMES = (
    "labels.txt",
    "retrained_labels.txt",
    "output_labels.txt",
    "labels.json",
    "class_indices.json",
    "class_names.json",
    "class_names.txt",
    "classes.txt",
    "classes.json",
    "classes.names",
    "label_map.pbtxt",
    "labelmap.pbtxt",
    "labelmap.txt",
    "label_map.txt",
    "labels.csv",
    "classes.csv",
    "synset.txt",
    "synset_words.txt",
    "imagenet_class_index.json",
    "imagenet_labels.txt",
    "coco_labels.txt",
    "dict.txt",
    "label.txt",
    "class.txt",
)
_PATTERNS = ("*_label_map.pbtxt", "*label*.txt", "*class*.txt", "*.pbtxt", "*.names")
_STEM_PATTERNS = (
    "{}_labels.txt",
    "{}.labels.txt",
    "{}-labels.txt",
    "labels_{}.txt",
    "{}_classes.txt",
    "{}.labels",
    "{}.names",
    "{}_labels.json",
    "{}.labels.json",
    "{}_class_indices.json",
    "{}_labels.csv",
    "{}.labels.csv",
    "{}_label_map.pbtxt",
    "{}.pbtxt",
    "{}.txt",
)
_MOST_ENTRIES = 10_000
_DECIMAL = re.compile(r"[-+]?\d*\.\d+(?:[eE][-+]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsFound:
    """Labels, and where they were found, in words (``labels.txt beside the model``)."""

    labels: tuple[str, ...]
    source: str


def read_labels(path: Path) -> tuple[str, ...]:
    """Read a labels file of any usual shape, told by its content; label i belongs to class i.

    Numbered files may leave numbers out: ``class N`` fills each gap. Label maps that count from 1
    begin with their number 1. Raises LabelsError, naming the line where one is to blame.
    """
    try:
        data = read_small(path, MAX_FILE_BYTES)
    except OSError as error:
        told = unreadable(path, error)
        raise LabelsError(told.message, hint="give a labels file: --labels FILE") from error
    except ModelFileError as error:
        raise LabelsError(f"{path.name} is too large for a labels file: {error.message}") from error
    try:
        return parse_labels(data)
    except LabelsError as error:
        raise LabelsError(f"{path.name}: {error.message}", hint=error.hint) from error


def labels_beside(model: Path) -> tuple[Path, ...]:
    """List the files beside ``model`` that look like its labels by name, the likeliest first.

    In the model's folder; for a SavedModel folder in itself, its ``assets`` and its parent.
    """
    return tuple(path for tier in _tiers(model) for path in tier)


def find_labels(model: Path) -> Path | None:
    """Return the labels file beside ``model``; None when there is none or no telling which.

    A name made of the model's own goes before the usual names, those before looser patterns.
    Two files of one rank count as one when they hold the same labels.
    """
    for tier in _tiers(model):
        if len(tier) == 1 or (tier and _same_labels(tier)):
            return tier[0]
        if tier:
            return None
    return None


def find_for(
    model: Path,
    *,
    in_file: tuple[str, ...] | None = None,
    given: Path | None = None,
    output: Output | None = None,
) -> LabelsFound | None:
    """Find a model's labels: in the file a person gave, inside the model, beside it; else None.

    Labels inside the file surely belong to it; a ``labels.txt`` beside it may be another model's.
    A file whose name only resembles that of labels must also fit ``output``, where given. Raises
    LabelsError for a file that cannot be read.
    """
    if given is not None:
        return LabelsFound(labels=read_labels(given), source=name_text(given.name))
    if in_file is not None:
        return LabelsFound(labels=in_file, source="the model file")
    beside = find_labels(model)
    if beside is None or (_by_chance(beside, model) and not _fits(beside, output)):
        return None
    return LabelsFound(labels=read_labels(beside), source=f"{beside.name} beside the model")


def passed_over(model: Path) -> str | None:
    """Say which files beside ``model`` could be its labels and why none was taken; else None."""
    for tier in _tiers(model):
        if len(tier) > 1 and not _same_labels(tier):
            names = " and ".join(path.name for path in tier[:4])
            return f"{names} beside the model hold different labels: none was taken"
        if tier:
            return f"{tier[0].name} beside the model does not fit its output: it was not taken"
    return None


def _by_chance(path: Path, model: Path) -> bool:
    """Whether the name hardly tells labels from notes: ``pets.txt``, ``class_weights.txt``."""
    stem = model.name if model.is_dir() else model.stem
    return path.name == f"{stem}.txt" or path in _tiers(model)[2]


def _fits(path: Path, output: Output | None) -> bool:
    """Whether a file holds names, and about as many as there are classes."""
    try:
        labels = read_labels(path)
    except LabelsError:
        return False
    if all(_DECIMAL.fullmatch(label) for label in labels):
        return False  # weights or scores of classes
    if not isinstance(output, ClassOutput):
        return True
    wanted = 2 if output.classes == 1 else output.classes
    return abs(len(labels) - wanted) <= 1


def _tiers(model: Path) -> tuple[list[Path], list[Path], list[Path]]:
    folders = [model, model / "assets", model.parent] if model.is_dir() else [model.parent]
    names = [(folder, _files(folder)) for folder in folders]
    stem = model.name if model.is_dir() else model.stem
    own = [pattern.format(stem) for pattern in _STEM_PATTERNS]
    first = _matching(names, own, model)
    second = [path for path in _matching(names, list(_EXACT_NAMES), model) if path not in first]
    seen = {*first, *second, model}
    third = [
        folder / name
        for folder, present in names
        for name in sorted(present)
        if any(Path(name).match(pattern) for pattern in _PATTERNS) and folder / name not in seen
    ]
    return first, second, third


def _matching(
    names: list[tuple[Path, frozenset[str]]], wanted: list[str], model: Path
) -> list[Path]:
    return [
        folder / name
        for folder, present in names
        for name in wanted
        if name in present and folder / name != model
    ]


def _files(folder: Path) -> frozenset[str]:
    try:
        entries = [entry for _, entry in zip(range(_MOST_ENTRIES), folder.iterdir(), strict=False)]
        return frozenset(entry.name for entry in entries if entry.is_file())
    except OSError:
        return frozenset()


def _same_labels(paths: list[Path]) -> bool:
    try:
        return len({read_labels(path) for path in paths[:4]}) == 1 and len(paths) <= 4
    except LabelsError:
        return False
