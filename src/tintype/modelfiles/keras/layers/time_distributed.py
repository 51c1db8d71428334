"""A layer or a model on each step of a series (keras ``layers/rnn/time_distributed.py``)."""

from __future__ import annotations

from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind


def _time_distributed(call: LayerCall) -> Value:
    """The wrapped layer on each step: steps are put into the batch, and taken out again."""
    part, value = call.parts["layer"], call.graph.as_keras(call.input)
    if value.rank < 3 or None in value.shape[2:]:
        raise call.unsupported(f"steps of the shape {value.shape[2:]}")
    rest = tuple(int(length or 0) for length in value.shape[2:])
    target = call.graph.shape_constant((-1, *rest))
    flat = call.result(call.emit("Reshape", (value.name, target), "in"), (None, *rest))
    answer = call.graph.as_keras(part.run(flat))
    if None in answer.shape[1:]:
        raise call.unsupported("a layer whose answer has no fixed size")
    lengths = tuple(int(length or 0) for length in answer.shape[1:])
    name = call.emit("Reshape", (answer.name, _steps_and(call, value, lengths)))
    return call.result(name, (value.shape[0], value.shape[1], *lengths))


def _steps_and(call: LayerCall, value: Value, lengths: tuple[int, ...]) -> str:
    """(batch, steps, *lengths) for a Reshape; the batch is not known."""
    if value.shape[1] is not None:
        return call.graph.shape_constant((-1, value.shape[1], *lengths))
    front = call.emit("Shape", (value.name,), "shape", end=2)
    return call.emit("Concat", (front, call.graph.shape_constant(lengths)), "sizes", axis=0)


TIME_DISTRIBUTED = LayerKind(_time_distributed)
