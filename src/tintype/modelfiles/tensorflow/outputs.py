"""Which tensors hold the answer, and what kind of numbers they are."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from tintype.errors import NotAnImageModel
from tintype.modelfiles.tensorflow.constants import PASSING
from tintype.modelfiles.tensorflow.decoded import DECODERS
from tintype.modelfiles.tensorflow.flow import FlatNode, Flow, Ref, short_name, tensor_name
from tintype.modelfiles.tensorflow.reading import Reading
from tintype.types import (
    Activation,
    ClassOutput,
    DetectionOutput,
    Shape,
    TensorSpec,
)

_DETECTION = ("detection_boxes", "detection_classes", "detection_scores")
_COUNT = "num_detections"

_ACTIVATIONS = {
    "Softmax": Activation.SOFTMAX,
    "Sigmoid": Activation.SIGMOID,
    "LogSoftmax": Activation.LOG_SOFTMAX,
}
_THROUGH = PASSING | {"Reshape", "Squeeze", "Cast", "ExpandDims", "Merge"}
_CHOOSING = {"ArgMax", "ArgMin", "TopK", "TopKV2", "InTopK", "InTopKV2"}
_LEFTOVER_OPS = {
    "Assign", "AssignVariableOp", "AssignAdd", "AssignSub", "NoOp", "Assert", "Const",
    "Placeholder", "PlaceholderWithDefault", "VariableV2", "VarHandleOp", "Variable",
    "ScalarSummary", "HistogramSummary", "ImageSummary", "MergeSummary", "Print", "PrintV2",
    "SaveV2", "RestoreV2", "MergeV2Checkpoints", "ApplyGradientDescent", "Shape", "Equal",
    "ResourceApplyGradientDescent", "IsVariableInitialized", "VarIsInitializedOp",
}  # fmt: skip
_LEFTOVER_NAMES = re.compile(
    r"(^|/)(gradients|train|save|init|accuracy|cross_entropy|loss|metrics|aux\w*|report_uninit\w*)(/|_|$)",
    re.IGNORECASE,
)
_WELCOME = re.compile(
    r"(^|/)(final_result|predictions?|softmax|probs?|probabilit\w+|scores?|output\w*|logits)(/|_|:|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An output as it is declared; ``label`` is what people call it."""

    ref: Ref
    label: str
    dtype: str | None = None
    shape: Shape | None = None


def loose_ends(flow: Flow) -> list[Answer]:
    """The results that depend on an input and nobody takes, without what training left behind."""
    taken = {flow.resolve(ref)[0] for node in flow.nodes.values() for ref in node.inputs}
    fed = _fed(flow)
    ends = [
        node
        for node in flow.nodes.values()
        if node.name not in taken and node.name in fed and node.op not in _LEFTOVER_OPS
    ]
    kept = [node for node in ends if not _LEFTOVER_NAMES.search(node.name)] or ends
    return [Answer((node.name, 0), node.name) for node in kept]


def _fed(flow: Flow) -> set[str]:
    """The nodes that depend on an input or on a picture decoded in the graph."""
    users: dict[str, list[str]] = {}
    for node in flow.nodes.values():
        for ref in node.inputs:
            users.setdefault(flow.resolve(ref)[0], []).append(node.name)
    starts = {"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"} | DECODERS
    queue = [node.name for node in flow.nodes.values() if node.op in starts]
    found: set[str] = set()
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue.extend(users.get(name, ()))
    return found


def detection(answers: Sequence[Answer]) -> tuple[Answer, ...] | None:
    """The outputs of a detector of the TF Object Detection API, None where there is none.

    Their order is boxes, classes, scores, count (where there is one).
    """
    named = {answer.label.split(":")[0].rsplit("/", 1)[-1]: answer for answer in answers}
    if not all(name in named for name in _DETECTION):
        return None
    return tuple(named[name] for name in (*_DETECTION, _COUNT) if name in named)


def describe_detection(found: Sequence[Answer]) -> DetectionOutput:
    """The detector's outputs. Label maps of the Object Detection API count from one."""
    specs = [
        TensorSpec(name=tensor_name(answer.ref), shape=answer.shape or shape)
        for answer, shape in zip(
            found, ((None, None, 4), (None, None), (None, None), (None,)), strict=False
        )
    ]
    return DetectionOutput(
        boxes=specs[0],
        classes=specs[1],
        scores=specs[2],
        count=specs[3] if len(specs) > 3 else None,
        first_class=1,
    )


def best_answer(
    flow: Flow, answers: Sequence[Answer], *, top: Collection[str] | None = None
) -> Answer:
    """The output that holds a row of numbers for each class.

    The number of the best class (ArgMax) counts as what it was chosen from, where that can be
    read: ``top`` are the nodes outside functions, None where there are no functions. Raises
    NotAnImageModel where no output is left.
    """
    seen: dict[Ref, Answer] = {}
    pairs = [(_before_choice(flow, answer), answer) for answer in answers]
    for chosen, _ in sorted(pairs, key=lambda pair: pair[0] is not pair[1]):
        if top is not None and chosen.ref[0] not in top:
            continue
        if chosen.dtype in {None, "float32", "float16", "float64"}:
            seen.setdefault(flow.resolve(chosen.ref), chosen)
    if not seen:
        found = ", ".join(repr(answer.label) for answer in answers[:6]) or "none"
        raise NotAnImageModel(
            f"no output has a number for each class; the outputs are: {found}",
            hint="name the output with --output",
        )
    return max(seen.values(), key=lambda answer: _rank(flow, answer))


def activated(flow: Flow) -> list[Answer]:
    """Every softmax and sigmoid that depends on an input, the last of the file first.

    Where a graph was frozen with its loss and its accuracy, the answer is no loose end: only they
    are, and they take it.
    """
    fed = _fed(flow)
    found = [
        Answer((node.name, 0), node.name)
        for node in flow.nodes.values()
        if node.op in _ACTIVATIONS and node.name in fed and not _LEFTOVER_NAMES.search(node.name)
    ]
    return found[::-1]


def describe_classes(reading: Reading, answer: Answer) -> ClassOutput:
    """The classifier's output: how many classes, and what its numbers are.

    Raises NotAnImageModel for an output that is no row of numbers a picture.
    """
    ending = last_operation(reading.flow, answer.ref)
    shape = answer.shape if _classes(answer.shape) else reading.shape(answer.ref) or answer.shape
    classes = _classes(shape)
    if classes is None:
        told = "unknown" if shape is None else list(shape)
        raise NotAnImageModel(
            f"the output {answer.label!r} (shape {told}) is no row of numbers for each picture",
            hint="name the output with --output",
        )
    activation, reason = _activation(reading, ending)
    spec = TensorSpec(name=tensor_name(answer.ref), shape=shape or (None, classes))
    return ClassOutput(tensor=spec, classes=classes, activation=activation, reason=reason)


def last_operation(flow: Flow, ref: Ref) -> FlatNode | None:
    """The operation that made the numbers, behind casts and changes of shape."""
    node = flow.maker(ref)
    for _ in range(100):
        if node is None or node.op not in _THROUGH or not node.inputs:
            return node
        node = flow.maker(node.inputs[0])
    return node


def _classes(shape: Shape | None) -> int | None:
    if shape is None or len(shape) < 2:
        return None
    *middle, last = shape[1:]
    if last is None or last < 1 or any(side != 1 for side in middle):
        return None
    return last


def _activation(reading: Reading, ending: FlatNode | None) -> tuple[Activation, str]:
    if ending is None:
        return Activation.LOGITS, "the last operation is not known"
    name = short_name(ending.name)
    if ending.op in _ACTIVATIONS:
        return _ACTIVATIONS[ending.op], f"the last operation is {ending.op} ({name})"
    if ending.op in {"RealDiv", "Div"} and _is_written_out_softmax(reading, ending):
        return Activation.SOFTMAX, f"the last operations are a softmax ({name})"
    if ending.op == "Log":
        before = last_operation(reading.flow, ending.inputs[0])
        if before is not None and before.op == "Softmax":
            return Activation.LOG_SOFTMAX, f"the last operations are Softmax, Log ({name})"
    return Activation.LOGITS, f"no softmax or sigmoid ends the graph: it ends in {ending.op}"


def _is_written_out_softmax(reading: Reading, node: FlatNode) -> bool:
    """``exp(x) / sum(exp(x))``."""
    above, below = (reading.flow.maker(ref) for ref in node.inputs[:2])
    if above is None or below is None or above.op != "Exp" or below.op != "Sum":
        return False
    return reading.flow.resolve(below.inputs[0]) == (above.name, 0)


def _before_choice(flow: Flow, answer: Answer) -> Answer:
    node = last_operation(flow, answer.ref)
    if node is None or node.op not in _CHOOSING or not node.inputs:
        return answer
    ref = node.inputs[0]
    return Answer(ref, tensor_name(ref))


def _rank(flow: Flow, answer: Answer) -> tuple[bool, bool, bool, bool]:
    ending = last_operation(flow, answer.ref)
    return (
        not _LEFTOVER_NAMES.search(answer.label),
        ending is not None and ending.op in _ACTIVATIONS,
        bool(_WELCOME.search(answer.label)),
        answer.shape is None or len(answer.shape) == 2,
    )


def nearest(name: str, known: Mapping[str, object] | Sequence[str]) -> str:
    """The names most like ``name``, for error messages."""
    some = [each[:200] for each in list(known)[:5_000]]
    close = get_close_matches(name, some, n=3, cutoff=0.4) or some[:3]
    return ", ".join(repr(each) for each in close)
