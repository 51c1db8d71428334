"""Recurrent layers: SimpleRNN, LSTM, GRU, RNN around cells, both ways.

ONNX has operations for whole series, but OpenVINO runs them with three activations only; with
others the steps are written out one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind, Part
from tintype.modelfiles.keras.layers.geometry import END, Cut, sliced
from tintype.modelfiles.keras.layers.masks import as_condition, mask_of
from tintype.modelfiles.keras.layers.recurrent_cells import (
    CELL_KINDS,
    Cell,
    States,
    cell_slots,
)
from tintype.modelfiles.keras.settings import Settings

_IN_ONNX = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}
"""Activations that OpenVINO runs inside of LSTM, GRU and RNN."""


@dataclass(frozen=True, slots=True)
class Series:
    """What a recurrent layer makes of a series. ``steps`` lie in the order of time.

    ``backwards``: it was read from its end, so ``states`` belong to its first step.
    """

    steps: Value
    states: tuple[Value, ...]
    backwards: bool


@dataclass(frozen=True, slots=True)
class _Mask:
    """Which steps count, (batch, steps, 1) of truth values, and what others answer.

    At a step that does not count the states stay; its answer is the one before it, or zero.
    """

    counts: str
    zeros: bool


def _recurrent(call: LayerCall) -> tuple[Value, ...]:
    series = read_series(call, call.args, call.kwargs)
    settings = call.settings
    if settings.flag("return_sequences", default=False):
        answer = _turned(call, series.steps) if series.backwards else series.steps
    else:
        answer = series.states[-_last_states(call)]
    if not settings.flag("return_state", default=False):
        return (answer,)
    return (answer, *series.states)


def _last_states(call: LayerCall) -> int:
    """How many of the states are those of the cell that answers."""
    cells = _cells(call)
    return cells[-1].kind.states


def read_series(call: LayerCall, args: Sequence[Any], kwargs: Any) -> Series:
    """Run the cells of a recurrent layer over its tensor; stacked cells one behind the other."""
    given = _tensors(args) + _tensors([kwargs.get("initial_state")])
    if isinstance(kwargs.get("constants"), Value):
        raise call.unsupported("constants")
    if call.settings.flag("time_major", default=False):
        raise call.unsupported("time_major")
    if not given or given[0].rank != 3:
        raise ModelFileDamaged(f"layer {call.name!r} ({call.kind}) takes a series of rows")
    cells = _cells(call)
    counts = [cell.kind.states for cell in cells]
    initial = given[1:]
    if initial and len(initial) != sum(counts):
        raise ModelFileDamaged(f"layer {call.name!r} starts from {len(initial)} states")
    backwards = call.settings.flag("go_backwards", default=False)
    value = given[0]
    mask = _mask(call, value)
    states: list[Value] = []
    for cell, count in zip(cells, counts, strict=True):
        start, initial = initial[:count], initial[count:]
        run = _run_cell(cell, value, start, mask, backwards=backwards)
        value = run.steps
        states += run.states
    return Series(value, tuple(states), backwards)


def _mask(call: LayerCall, value: Value) -> _Mask | None:
    name = mask_of(call, value)
    if name is None:
        return None
    zeros = call.settings.flag("zero_output_for_mask", default=False)
    if zeros and not call.settings.flag("return_sequences", default=False):
        raise call.unsupported("zero_output_for_mask without return_sequences")
    return _Mask(as_condition(call, name), zeros=zeros)


def _tensors(items: Sequence[Any]) -> list[Value]:
    found: list[Value] = []
    for item in items:
        several = item if isinstance(item, list) else [item]
        found.extend(part for part in several if isinstance(part, Value))
    return found


def _cells(call: LayerCall) -> list[Cell]:
    """The layer's own cell, or those it wraps, in the order they are run."""
    if call.kind in CELL_KINDS:
        return [Cell(CELL_KINDS[call.kind], call)]
    found = [cell for part in call.parts.values() for cell in _cells(_leaf(call, part))]
    if not found:
        raise call.unsupported("cells of another kind")
    return found


def _leaf(call: LayerCall, part: Part) -> LayerCall:
    if part.call is None:
        raise call.unsupported("a model where a cell or recurrent layer belongs")
    return part.call


def _run_cell(
    cell: Cell, value: Value, start: list[Value], mask: _Mask | None, *, backwards: bool
) -> Series:
    names = _onnx_activations(cell)
    if names is None or mask is not None:
        return _written_out(cell, value, start, mask, backwards=backwards)
    return _as_operation(cell, value, start, names, backwards=backwards)


def _onnx_activations(cell: Cell) -> tuple[str, ...] | None:
    """ONNX' names: of the gates, the candidate, and an LSTM's answer; None where it has none."""
    inner = _IN_ONNX.get(cell.activation("activation", "tanh"))
    gates = _IN_ONNX.get(cell.activation("recurrent_activation", "sigmoid"))
    if inner is None or (gates is None and cell.kind.gates > 1):
        return None
    if cell.kind.gates == 1:
        return (inner,)
    return (gates or "", *(inner,) * cell.kind.states)


def _as_operation(
    cell: Cell, value: Value, start: list[Value], activations: tuple[str, ...], *, backwards: bool
) -> Series:
    call, graph, units = cell.call, cell.call.graph, cell.units
    inputs = [graph.reordered(value, (1, 0, 2)).name, *_onnx_weights(cell, _width(call, value))]
    if start:
        axis = graph.shape_constant((0,))
        inputs += ["", *(call.emit("Unsqueeze", (state.name, axis), "start") for state in start)]
    attributes: dict[str, Any] = {"hidden_size": units, "activations": activations}
    if backwards:
        attributes["direction"] = "reverse"
    if cell.kind.op == "GRU":
        attributes["linear_before_reset"] = int(cell.reset_after or cell.packed)
    count = 1 + cell.kind.states
    outputs = graph.add_many(cell.kind.op, inputs, call.name, attributes, count=count)
    # (steps, 1, batch, units). OpenVINO 2026.4 mixes up the strides of a Squeeze and a Transpose
    # in front of a Concat where the batch is free; this way round it does not.
    turned = call.emit("Transpose", (outputs[0],), "by_picture", perm=(2, 1, 0, 3))
    length = -1 if value.shape[1] is None else value.shape[1]
    steps = call.emit("Reshape", (turned, graph.shape_constant((0, length, units))), "steps")
    axis = graph.shape_constant((0,))
    states = tuple(
        call.result(call.emit("Squeeze", (name, axis), "last"), (None, units))
        for name in outputs[1:]
    )
    shape = (value.shape[0], value.shape[1], units)
    return Series(call.result(steps, shape), states, backwards)


def _width(call: LayerCall, value: Value) -> int:
    length = value.shape[-1]
    if length is None:
        raise call.unsupported("rows of unknown length")
    return length


def _onnx_weights(cell: Cell, length: int) -> tuple[str, str, str]:
    """W (1, gates, length), R (1, gates, units) and B (1, 2 gates) in ONNX' order of gates."""
    order, units = cell.kind.order, cell.units

    def arranged(rows: Any) -> Any:
        parts = np.split(rows, len(order), axis=0)
        return np.concatenate([parts[gate] for gate in order])

    def both_biases() -> Any:
        return np.concatenate([arranged(bias) for bias in cell.biases()])[np.newaxis]

    return (
        cell.shared("kernel", lambda: arranged(cell.kernel(length).T)[np.newaxis]),
        cell.shared("recurrent", lambda: arranged(cell.recurrent_kernel().T)[np.newaxis]),
        cell.shared("bias", lambda: both_biases().reshape(1, 2 * units * len(order))),
    )


def _written_out(
    cell: Cell, value: Value, start: list[Value], mask: _Mask | None, *, backwards: bool
) -> Series:
    call, graph = cell.call, cell.call.graph
    length = value.shape[1]
    if length is None:
        raise call.unsupported("this activation, or a mask, on a series of unknown length")
    kernel = cell.shared("kernel", lambda: cell.kernel(_width(call, value)))
    projected = call.emit("MatMul", (graph.as_keras(value).name, kernel), "projected")
    bias = cell.shared("bias", lambda: _input_bias(cell))
    projected = call.emit("Add", (projected, bias), "biased")
    states: States = tuple(state.name for state in start)
    answers: list[str] = []
    for number in reversed(range(length)) if backwards else range(length):
        place = graph.place_constant(number)
        fresh = cell.step(call.emit("Gather", (projected, place), "row", axis=1), states)
        answer = fresh[0]
        if mask is not None:
            counts = call.emit("Gather", (mask.counts, place), "counts", axis=1)
            fresh = _where(cell, counts, fresh, states)
            answer = _where(cell, counts, (answer,), ())[0] if mask.zeros else fresh[0]
        states = fresh
        answers.append(answer)
    steps = stacked(call, answers[::-1] if backwards else answers)
    shape = (value.shape[0], length, cell.units)
    last = tuple(call.result(name, (None, cell.units)) for name in states)
    return Series(call.result(steps, shape), last, backwards)


def _where(cell: Cell, counts: str, fresh: States, before: States) -> States:
    """``fresh`` where the step counts, else ``before``, or zero where there is nothing before."""
    call = cell.call
    zero = call.graph.scalar(0.0)
    others = before or (zero,) * len(fresh)
    return tuple(
        call.emit("Where", (counts, new, old), "kept")
        for new, old in zip(fresh, others, strict=True)
    )


def _input_bias(cell: Cell) -> Any:
    """The bias added at once; cuDNN's LSTM has two that simply add up."""
    both = cell.biases()
    separate = cell.kind.op == "GRU" and cell.reset_after
    return both[0] if separate else both.sum(axis=0)


def stacked(call: LayerCall, names: list[str]) -> str:
    """The answers of all steps along a new axis behind the batch."""
    axis = call.graph.shape_constant((1,))
    rows = [call.emit("Unsqueeze", (name, axis), "step") for name in names]
    return call.emit("Concat", rows, "steps", axis=1)


def _turned(call: LayerCall, value: Value) -> Value:
    """The steps from the last to the first."""
    cut = Cut(axis=value.position(1), start=-1, stop=-END, step=-1)
    return call.like(sliced(call, value.name, [cut], "turned"), value)


def _bidirectional(call: LayerCall) -> tuple[Value, ...]:
    """Two layers over one series; where they give all steps, those of the second are turned."""
    forward, backward = (
        _leaf(call, call.parts[key]) for key in ("forward_layer", "backward_layer")
    )
    given = _tensors(call.args) + _tensors([call.kwargs.get("initial_state")])
    half = len(given[1:]) // 2
    several = forward.settings.flag("return_sequences", default=False)
    answers: list[Value] = []
    states: list[Value] = []
    mask = mask_of(call, given[0]) if given else None
    for way, start in ((forward, given[1 : half + 1]), (backward, given[half + 1 :])):
        # Keras makes both answer zero at steps that do not count.
        settings = Settings(way.name, {**way.settings.values, "zero_output_for_mask": several})
        first = [replace(value, mask=mask) for value in given[:1]]
        series = read_series(replace(way, settings=settings), [[*first, *start]], {})
        answer = series.states[-_last_states(way)]
        if several:
            # Keras turns what the second layer gives, which is in the order it was read.
            turn = series.backwards if way is forward else not series.backwards
            answer = _turned(call, series.steps) if turn else series.steps
        answers.append(answer)
        states += series.states
    merged = _merged(call, answers)
    return (*merged, *states) if forward.settings.flag("return_state", default=False) else merged


def _merged(call: LayerCall, answers: list[Value]) -> tuple[Value, ...]:
    if call.settings.raw("merge_mode", "concat") is None:
        return tuple(answers)
    mode = call.settings.choice("merge_mode", ("concat", "sum", "mul", "ave"), "concat")
    one, other = answers
    names = (one.name, other.name)
    if mode == "concat":
        total = (one.shape[-1] or 0) + (other.shape[-1] or 0)
        name = call.emit("Concat", names, axis=one.rank - 1)
        return (call.result(name, (*one.shape[:-1], total)),)
    if one.shape[-1] != other.shape[-1]:
        raise ModelFileDamaged(f"layer {call.name!r} merges series of different width")
    name = call.emit("Mul" if mode == "mul" else "Add", names, "" if mode != "ave" else "sum")
    if mode == "ave":
        name = call.emit("Mul", (name, call.graph.scalar(0.5)))
    return (call.like(name, one),)


def _first(call: LayerCall) -> Value:
    return _recurrent(call)[0]


def _first_of_both(call: LayerCall) -> Value:
    return _bidirectional(call)[0]


def _no_layer(call: LayerCall) -> Value:
    raise ModelFileDamaged(f"{call.kind} ({call.name!r}) is a cell and no layer of its own")


RECURRENT_LAYERS: dict[str, LayerKind] = {
    **{
        kind: LayerKind(_first, cell_slots("cell"), _recurrent)
        for kind in ("SimpleRNN", "LSTM", "GRU", "UnifiedLSTM", "UnifiedGRU")
    },
    **{kind: LayerKind(_first, cell_slots(""), _recurrent) for kind in ("CuDNNLSTM", "CuDNNGRU")},
    **{
        kind: LayerKind(_no_layer, cell_slots(""))
        for kind in ("SimpleRNNCell", "LSTMCell", "GRUCell")
    },
    "StackedRNNCells": LayerKind(_no_layer),
    "RNN": LayerKind(_first, outputs=_recurrent),
    "Bidirectional": LayerKind(_first_of_both, outputs=_bidirectional),
}
