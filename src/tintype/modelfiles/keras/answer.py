"""What the model answers: how many classes, and what kind of numbers they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tintype.errors import NotAnImageModel, UnsupportedModel
from tintype.modelfiles.description import Finding
from tintype.modelfiles.keras.build import Building, Step
from tintype.modelfiles.keras.graph import Value, show_shape
from tintype.modelfiles.keras.layers.activation import activation_name
from tintype.modelfiles.keras.layers.call import LayerCall
from tintype.modelfiles.keras.layers.convolution import CONVOLUTION_LAYERS
from tintype.modelfiles.keras.layers.nodes import operation_of
from tintype.types import Activation, ClassOutput, Shape, TensorSpec

_CARRIERS = frozenset({"Flatten", "Reshape", "Permute", "op:Reshape", "op:Cast", "op:Identity"})
"""Layers behind the last activation that leave the numbers as they are."""

_POOLS = frozenset({"GlobalAveragePooling1D", "GlobalAveragePooling2D", "Average"})
"""Means of probabilities are probabilities."""

_WITH_ACTIVATION = frozenset({"Activation", "Dense", "EinsumDense", "SimpleRNN"})
"""Layers besides convolutions whose answer has gone through their ``activation``."""

_BY_NAME = {
    "softmax": Activation.SOFTMAX,
    "sigmoid": Activation.SIGMOID,
    "log_softmax": Activation.LOG_SOFTMAX,
    "hard_sigmoid": Activation.PROBABILITIES,
    "hard_sigmoid_6": Activation.PROBABILITIES,
    "sparse_sigmoid": Activation.PROBABILITIES,
    "sparsemax": Activation.PROBABILITIES,
}
_OPERATIONS = {
    "op:Softmax": "softmax",
    "op:Sigmoid": "sigmoid",
    "op:LogSoftmax": "log_softmax",
    "op:HardSigmoid": "hard_sigmoid",
    "op:SparseSigmoid": "sparse_sigmoid",
    "op:Sparsemax": "sparsemax",
}
_FUNCTIONS = {
    "nn.softmax": "softmax",
    "nn.sigmoid": "sigmoid",
    "math.sigmoid": "sigmoid",
    "nn.log_softmax": "log_softmax",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenOutput:
    """The output read, as the graph has it, and remarks on the choice."""

    value: Value
    output: ClassOutput
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]


def choose_output(
    building: Building,
    *,
    names: Sequence[str],
    values: Sequence[Value],
    wanted: str | None,
) -> ChosenOutput:
    """The output with one row of numbers a picture; ``wanted`` is a name given by a person.

    Raises NotAnImageModel where no output is a row of classes.
    """
    number, notes = _pick(names, values, wanted, building.steps)
    value = values[number]
    classes = _classes(value.shape)
    if classes is None:
        raise _no_classes(names, values)
    if value.rank > 2:
        value = _flattened(building, value, names[number], classes)
    activation, reason = _activation_of(building.steps, values[number])
    value = building.graph.as_keras(value)
    spec = TensorSpec(name=value.name, shape=(None, classes))
    output = ClassOutput(tensor=spec, classes=classes, activation=activation, reason=reason)
    findings = _doubts(output, names[number])
    return ChosenOutput(value=value, output=output, notes=notes, findings=findings)


def _doubts(output: ClassOutput, name: str) -> tuple[Finding, ...]:
    """What is odd about an answer of one number."""
    if output.classes != 1:
        return ()
    if output.activation is Activation.SOFTMAX:
        what = "softmax over one class: the answer is 1 for every picture"
        return (Finding(severity="warning", what=what, where=name),)
    if output.activation is Activation.LOGITS:
        what = "one number without sigmoid: it may be a measure and no score"
        return (Finding(severity="warning", what=what, where=name),)
    return ()


def _pick(
    names: Sequence[str], values: Sequence[Value], wanted: str | None, steps: Sequence[Step]
) -> tuple[int, tuple[str, ...]]:
    if wanted is not None:
        name = wanted.removesuffix(":0")
        if name not in names:
            raise UnsupportedModel(f"the model has no output {wanted!r}; it has {', '.join(names)}")
        return names.index(name), (f"output {name!r} was asked for",)
    if len(values) == 1:
        return 0, ()
    rows = [number for number, value in enumerate(values) if _classes(value.shape) is not None]
    if not rows:
        raise _no_classes(names, values)
    # Scores are an answer sooner than measures are; of several the first.
    scores = [row for row in rows if _activation_of(steps, values[row])[0] is not Activation.LOGITS]
    taken = (scores or rows)[0]
    others = ", ".join(names[number] for number in range(len(names)) if number != taken)
    return taken, (f"output {names[taken]!r} was taken; the others are {others}",)


def _classes(shape: Shape) -> int | None:
    """The length of the one axis that is longer than 1; None where there are several."""
    rest = shape[1:]
    if not rest or None in rest:
        return None
    long = [length for length in rest if length != 1]
    if len(long) > 1:
        return None
    return long[0] if long else 1


def _flattened(building: Building, value: Value, name: str, classes: int) -> Value:
    graph = building.graph
    shape = graph.shape_constant((0, classes))
    flat = graph.add("Reshape", (value.name, shape), f"{name}/row")
    return Value(flat, (None, classes), (0, 1))


def _no_classes(names: Sequence[str], values: Sequence[Value]) -> NotAnImageModel:
    listed = ", ".join(
        f"{name!r} {show_shape(value.shape)}" for name, value in zip(names, values, strict=True)
    )
    return NotAnImageModel(
        f"the model does not answer with one number a class: it gives {listed}; expected "
        "(?, classes)"
    )


def _activation_of(steps: Sequence[Step], value: Value) -> tuple[Activation, str]:
    """What made the last numbers, looked for backwards from the output."""
    makers = {step.output.name: step for step in reversed(steps) if _makes(step)}
    name = value.name
    pooled = False
    while name in makers:
        step = makers[name]
        closing = _closing(step)
        if closing in _BY_NAME:
            return _probabilities(step, closing, pooled=pooled)
        through = step.call.kind in _CARRIERS or step.call.kind in _POOLS
        if not through or not step.call.inputs:
            return Activation.LOGITS, _open_reason(step, closing)
        pooled = pooled or step.call.kind in _POOLS
        name = step.call.inputs[0].name
    return Activation.LOGITS, "no closing activation was found"


def _makes(step: Step) -> bool:
    return all(value.name != step.output.name for value in step.call.inputs)


def _closing(step: Step) -> str | None:
    """The name of the activation a step ends with; None where it has none."""
    return _closing_of(step.call)


def _closing_of(call: LayerCall) -> str | None:
    if call.kind == "TimeDistributed":
        inner = call.parts["layer"].call
        return None if inner is None else _closing_of(inner)
    if call.kind == "Softmax":
        return "softmax"
    if call.kind in _OPERATIONS:
        return _OPERATIONS[call.kind]
    if call.kind in {"TFOpLambda", "TensorFlowOpLayer"}:
        is_node = call.kind == "TensorFlowOpLayer"
        function = operation_of(call) if is_node else str(call.settings.raw("function"))
        return _FUNCTIONS.get(function)
    if call.kind in _WITH_ACTIVATION or call.kind in CONVOLUTION_LAYERS:
        return activation_name(call.settings.raw("activation"), call.name)
    return None


def _probabilities(step: Step, closing: str, *, pooled: bool) -> tuple[Activation, str]:
    where = f"layer {step.call.name!r} ({step.call.kind}) ends in {closing}"
    if pooled:
        return Activation.PROBABILITIES, f"{where}, and a mean of that follows"
    return _BY_NAME[closing], where


def _open_reason(step: Step, closing: str | None) -> str:
    how = "no activation" if closing in {None, "linear"} else f"the activation {closing}"
    return f"layer {step.call.name!r} ({step.call.kind}) ends with {how}"
