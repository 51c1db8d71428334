"""Labels: files of every usual shape read by content, found beside a model, fitted to its output.

The shapes are listed in ``docs/reference/labels.md``. ``label_shapes`` holds their grammar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tintype.errors import LabelsError, ModelFileError
from tintype.modelfiles.label_shapes import parse_labels
from tintype.modelfiles.safety import read_small, unreadable
from tintype.types import ClassOutput, DetectionOutput, Output, RankedOutput, name_text

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
_NOTHING_NAMES = frozenset({"background", "???", "__background__", "none of the above", "n/a"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsFound:
    """Labels, and where they were found, in words (``labels.txt beside the model``)."""

    labels: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedLabels:
    """One label for each class of an output.

    ``remark`` says in words what did not fit, None when all did; ``hint`` names the flag that
    helps. For a detector there may be more classes than labels: ask ``label_of``.
    """

    labels: tuple[str, ...]
    remark: str | None = None
    hint: str | None = None


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


def fit_labels(labels: tuple[str, ...] | None, *, output: Output) -> FittedLabels:
    """Give every class of ``output`` its label; what does not fit is said in the remark.

    One unit is two labels: below and above one half. No labels give ``class 0`` and so on.
    """
    if isinstance(output, DetectionOutput):
        return _fit_detection(labels)
    if isinstance(output, RankedOutput):
        return FittedLabels(labels=labels or ())  # the model may name its classes itself
    wanted = 2 if output.classes == 1 else output.classes
    if not labels:
        return FittedLabels(
            labels=_numbered(0, wanted),
            remark=f"no labels found: the {_classes(output)} are called class 0, class 1 ...",
            hint="name them: --labels FILE, or put labels.txt beside the model",
        )
    if len(labels) == wanted:
        return FittedLabels(labels=labels)
    return _misfit(labels, wanted, output)


def label_of(labels: tuple[str, ...], number: int, *, first_class: int = 0) -> str:
    """Return the label of a detector's class ``number``; ``class N`` where there is none."""
    place = number - first_class
    known = 0 <= place < len(labels) and labels[place].lower() not in _NOTHING_NAMES
    return labels[place] if known else f"class {number}"


def _fit_detection(labels: tuple[str, ...] | None) -> FittedLabels:
    if not labels:
        return FittedLabels(
            labels=(),
            remark="no labels found: what is found is called by its number, class 0, class 1 ...",
            hint="name them: --labels FILE, or put labels.txt beside the model",
        )
    if labels[0].lower() in _NOTHING_NAMES:
        # Detectors never answer with the background, yet many lists begin with a line for it.
        return FittedLabels(
            labels=labels[1:],
            remark=f"the first label, {labels[0]!r}, stands for no class and was left out",
        )
    return FittedLabels(labels=labels)


def _misfit(labels: tuple[str, ...], wanted: int, output: ClassOutput) -> FittedLabels:
    count, hint = len(labels), "give the right list: --labels FILE"
    named = tuple(label for number, label in enumerate(labels) if label != f"class {number}")
    if len(named) == wanted:
        return FittedLabels(
            labels=named,
            remark=f"{count} labels for {_classes(output)}, of which {count - wanted} are blank: "
            "the blank ones were left out",
            hint=hint,
        )
    if output.classes == 1 and count == 1:
        return FittedLabels(
            labels=(f"not {labels[0]}", labels[0]),
            remark=f"one label for one unit: below one half it is called 'not {labels[0]}'",
            hint="name both sides: --labels FILE",
        )
    first = labels[0].lower()
    if count == wanted - 1 and first not in _NOTHING_NAMES and wanted in (1001, 21_844):
        # TF-Slim and TF-Hub train ImageNet with a class 0 for the background.
        return FittedLabels(
            labels=("background", *labels),
            remark=f"{count} labels for {wanted} outputs: 'background' was put in front",
            hint=hint,
        )
    if count == wanted + 1 and first in _NOTHING_NAMES:
        return FittedLabels(
            labels=labels[1:],
            remark=f"{count} labels for {wanted} outputs: the first, {labels[0]!r}, was left out",
            hint=hint,
        )
    if count < wanted:
        rest = f"class {count}" + (f" to class {wanted - 1}" if wanted - count > 1 else "")
        return FittedLabels(
            labels=(*labels, *_numbered(count, wanted)),
            remark=f"{count} labels for {_classes(output)}: the rest are called {rest}",
            hint=hint,
        )
    return FittedLabels(
        labels=labels[:wanted],
        remark=f"{count} labels for {_classes(output)}: {_unused(count - wanted)}",
        hint=hint,
    )


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


def _unused(count: int) -> str:
    return "the last one is not used" if count == 1 else f"the last {count} are not used"


def _classes(output: ClassOutput) -> str:
    return "2 sides of one unit" if output.classes == 1 else f"{output.classes} outputs"


def _numbered(start: int, stop: int) -> tuple[str, ...]:
    return tuple(f"class {number}" for number in range(start, stop))


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
