"""Labels fitted to an output: one for each of its classes, and what did not fit in words."""

from __future__ import annotations

from dataclasses import dataclass

from tintype.types import ClassOutput, DetectionOutput, Output, RankedOutput

_NOTHING_NAMES = frozenset({"background", "???", "__background__", "none of the above", "n/a"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedLabels:
    """One label for each class of an output.

    ``remark`` says in words what did not fit, None when all did; ``hint`` names the flag that
    helps. For a detector there may be more classes than labels.
    """

    labels: tuple[str, ...]
    remark: str | None = None
    hint: str | None = None


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


def _unused(count: int) -> str:
    return "the last one is not used" if count == 1 else f"the last {count} are not used"


def _classes(output: ClassOutput) -> str:
    return "2 sides of one unit" if output.classes == 1 else f"{output.classes} outputs"


def _numbered(start: int, stop: int) -> tuple[str, ...]:
    return tuple(f"class {number}" for number in range(start, stop))
