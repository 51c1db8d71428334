"""Which output answers, how many classes it has, and what its numbers are. Pure.

Shared by all readers: each finds the operation that makes the output in its own way and hands
its name over as ``Closing``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tintype.errors import NotAnImageModel
from tintype.modelfiles.image_input import describe_spec, named_spec
from tintype.types import Activation, ClassOutput, Shape, TensorSpec

MAX_CLASSES = 1 << 20
"""More numbers a picture than this are no list of classes."""

SCORE_DTYPES = frozenset({"float32", "float16", "bfloat16", "float64", "uint8", "int8"})
"""The dtypes scores come in; an int64 output is the winner's number, not a row of scores."""

_ACTIVATIONS = {
    "softmax": Activation.SOFTMAX,
    "logsoftmax": Activation.LOG_SOFTMAX,
    "sigmoid": Activation.SIGMOID,
    "logistic": Activation.SIGMOID,
    "hardsigmoid": Activation.PROBABILITIES,
}
# Operations that hand numbers on as they are: what closes the graph lies before them.
_TRANSPARENT = frozenset(
    {"identity", "identityn", "reshape", "squeeze", "flatten", "expanddims", "unsqueeze", "cast"}
    | {"dequantize", "quantize", "dequantizelinear", "quantizelinear", "fakequantize", "convert"}
    | {"stopgradient", "dropout", "noop", "result", "ensureshape", "checknumerics"}
    | {"fakequantwithminmaxvars", "placeholderwithdefault"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The operation that makes an output, hand-on operations skipped: its type and its name."""

    kind: str
    name: str = ""


def plain_kind(kind: str) -> str:
    """Fold the frameworks' spellings together: ``LOG_SOFTMAX``, ``LogSoftmax-5`` -> logsoftmax."""
    letters = kind.partition("-")[0].replace("_", "").replace(" ", "").lower()
    return letters.removeprefix("stablehlo").removesuffix("v2")


def is_transparent(kind: str) -> bool:
    """Tell whether an operation of this type hands numbers on unchanged (Identity, Reshape ...).

    A reader walks back over these from the output to find the ``Closing``.
    """
    return plain_kind(kind) in _TRANSPARENT


def activation_of(kind: str) -> Activation | None:
    """Read an operation type or a Keras activation name; None when it closes nothing."""
    return _ACTIVATIONS.get(plain_kind(kind))


def count_classes(shape: Shape) -> int | None:
    """How many numbers a picture gets: [N, C], [N, 1, 1, C], [N, C, 1, 1], [N] (one); else None."""
    if not shape or any(axis is None for axis in shape[1:]):
        return None
    if len(shape) == 1 and shape[0] not in (None, 1):  # [1000]: no axis for the pictures
        return None
    axes = [axis for axis in shape[1:] if axis is not None and axis != 1]
    if len(axes) > 1 or 0 in axes:
        return None
    classes = axes[0] if axes else 1
    return classes if classes <= MAX_CLASSES else None


def class_output(spec: TensorSpec, *, closing: Closing | None) -> ClassOutput | None:
    """Read ``spec`` as a classifier's output; None when its shape is no row of numbers.

    A quantised output that only reaches from 0 to about 1 holds probabilities whatever closes
    it: TFLite fixes the scale of a softmax at 1/256 (quantisation specification, SOFTMAX).
    """
    classes = count_classes(spec.shape)
    if classes is None or spec.dtype not in SCORE_DTYPES:
        return None
    activation, reason = _activation(spec, closing)
    return ClassOutput(tensor=spec, classes=classes, activation=activation, reason=reason)


def choose_class_output(
    outputs: Sequence[TensorSpec], closings: dict[str, Closing], *, wanted: str | None = None
) -> tuple[ClassOutput, str | None]:
    """Choose the output that answers; ``closings`` are by output name.

    Returns it with a note in words where there was a choice. Of several, those that end in an
    activation come first, then the first in the file. Raises NotAnImageModel when none is a row
    of numbers, or when the ``wanted`` one is absent.
    """
    chosen = list(outputs) if wanted is None else [named_spec(outputs, wanted, what="output")]
    found = [
        output
        for spec in chosen
        if (output := class_output(spec, closing=closings.get(spec.name))) is not None
    ]
    if not found:
        raise no_class_output(chosen)
    best = min(found, key=lambda output: output.activation is Activation.LOGITS)
    if wanted is not None:
        return best, f"output {best.tensor.name!r}: chosen by hand"
    if len(outputs) == 1:
        return best, None
    why = "the first that ends in an activation" if best is not found[0] else "the first that fits"
    return best, f"output {describe_spec(best.tensor)}: {why} of {len(outputs)}"


def no_class_output(outputs: Sequence[TensorSpec]) -> NotAnImageModel:
    """Make the error for a model whose outputs are neither classes nor boxes."""
    listed = ", ".join(describe_spec(spec) for spec in outputs[:8]) or "none"
    return NotAnImageModel(
        f"the outputs are neither classes nor boxes: {listed}; expected one row of numbers a "
        "picture, such as [N, 1000], or the four outputs of a detector",
        hint="if another output holds the classes, name it: --output NAME",
    )


def _activation(spec: TensorSpec, closing: Closing | None) -> tuple[Activation, str]:
    if closing is not None and (activation := activation_of(closing.kind)) is not None:
        name = f" ({closing.name})" if closing.name else ""
        return activation, f"the last operation is {closing.kind}{name}"
    if (top := _quantised_top(spec)) is not None:
        return Activation.PROBABILITIES, f"the quantised output reaches from 0 to {top:.3g} only"
    if closing is None:
        return Activation.LOGITS, "no closing softmax or sigmoid was found"
    return Activation.LOGITS, f"the last operation is {closing.kind}, no softmax or sigmoid"


def _quantised_top(spec: TensorSpec) -> float | None:
    """Return the largest number a quantised output can hold, if it reaches from 0 to 1."""
    lowest = {"uint8": 0, "int8": -128}.get(spec.dtype)
    if spec.quantisation is None or lowest is None:
        return None
    steps = lowest + 255 - spec.quantisation.zero_point
    top = steps * spec.quantisation.scale
    return top if spec.quantisation.zero_point == lowest and 0.98 <= top <= 1.01 else None
