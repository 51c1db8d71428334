"""ConvLSTM: an LSTM whose products are convolutions (keras ``layers/rnn/conv_lstm.py``)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tintype.modelfiles.keras.graph import Value, channels_first
from tintype.modelfiles.keras.layers.activation import activated
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.geometry import Cut, sliced
from tintype.modelfiles.keras.layers.recurrent import stacked
from tintype.modelfiles.keras.layers.recurrent_cells import cell_slots
from tintype.modelfiles.keras.layers.windows import Windows, data_format, windows
from tintype.modelfiles.keras.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frames:
    """A series of pictures, channels in front: how many, of how many channels, how large."""

    value: Value
    count: int
    channels: int
    sizes: tuple[int, ...]


def _conv_lstm(axes: int) -> LayerKind:
    def every_output(call: LayerCall) -> tuple[Value, ...]:
        return _run(call, axes)

    return LayerKind(lambda call: _run(call, axes)[0], cell_slots("cell"), every_output)


def _run(call: LayerCall, axes: int) -> tuple[Value, ...]:
    frames = _frames(call, axes)
    settings = call.settings
    filters = settings.sizes("filters", 1)[0]
    window = windows(settings, axes)
    sizes = tuple(int(size or 0) for size in window.output(frames.sizes))
    call.result(call.name, (None, frames.count, 4 * filters, *sizes))
    backwards = settings.flag("go_backwards", default=False)
    answers: list[str] = []
    state: tuple[str, str] | None = None
    for number in reversed(range(frames.count)) if backwards else range(frames.count):
        row = _projected(call, frames, window, number)
        state = _step(call, row, state, window)
        answers.append(state[0])
    shape = (None, filters, *sizes)
    last = tuple(_as_keras(call, name, shape) for name in state or ())
    answer = last[0]
    if settings.flag("return_sequences", default=False):
        answer = _all_frames(call, answers, shape)
    return (answer, *last) if settings.flag("return_state", default=False) else (answer,)


def _frames(call: LayerCall, axes: int) -> _Frames:
    if len(call.inputs) > 1 or call.kwargs.get("initial_state") is not None:
        raise call.unsupported("a state to start from")
    value = call.input_of_rank(axes + 3)
    inner = channels_first(axes + 2, data_format=data_format(call.settings))
    moved = call.graph.reordered(value, (0, 1, *(axis + 1 for axis in inner[1:])))
    lengths = moved.stored_shape[1:]
    if None in lengths:
        raise call.unsupported(f"frames of the shape {lengths}")
    count, channels, *sizes = (int(length or 0) for length in lengths)
    return _Frames(value=moved, count=count, channels=channels, sizes=tuple(sizes))


def _projected(call: LayerCall, frames: _Frames, window: Windows, number: int) -> str:
    """Frame ``number`` through the convolution of the input: gates along the channels.

    Frame by frame: OpenVINO 2026.4 misreads the answer of one convolution over all of them where
    it is cut into frames afterwards.
    """
    place = call.graph.place_constant(number)
    frame = call.emit("Gather", (frames.value.name, place), "frame", axis=1)
    gates = 4 * call.settings.sizes("filters", 1)[0]
    kernel = call.weight_constant(
        "kernel", (*window.kernel, frames.channels, gates), _out_in_spatial
    )
    inputs = [frame, kernel]
    if call.settings.flag("use_bias", default=True):
        inputs.append(call.weight_constant("bias", (gates,)))
    return call.emit("Conv", inputs, "projected", **window.attributes(frames.sizes))


def _step(
    call: LayerCall, row: str, state: tuple[str, str] | None, window: Windows
) -> tuple[str, str]:
    """As an LSTM's: gates i, f, c, o lie along the channels."""
    filters = call.settings.sizes("filters", 1)[0]
    if state is not None:
        row = call.emit("Add", (row, _recurrent(call, state[0], window, filters)), "sum")
    gates = [
        sliced(call, row, [Cut(axis=1, start=n * filters, stop=(n + 1) * filters)], "gate")
        for n in range(4)
    ]
    rank = len(window.kernel) + 2
    keep_new, forget, out = (
        _applied(call, gates[n], "recurrent_activation", rank) for n in (0, 1, 3)
    )
    new = call.emit("Mul", (keep_new, _applied(call, gates[2], "activation", rank)), "new")
    if state is not None:
        new = call.emit("Add", (call.emit("Mul", (forget, state[1]), "kept"), new), "state")
    return call.emit("Mul", (out, _applied(call, new, "activation", rank)), "answer"), new


def _recurrent(call: LayerCall, name: str, window: Windows, filters: int) -> str:
    """The convolution of the last answer: the same window, without strides, ``same``."""
    ones = (1,) * len(window.kernel)
    inner = replace(window, strides=ones, dilations=ones, padding="same")
    kernel = call.weight_constant(
        "recurrent_kernel", (*window.kernel, filters, 4 * filters), _out_in_spatial
    )
    return call.emit("Conv", (name, kernel), "inner", **inner.attributes((None,) * len(ones)))


def _applied(call: LayerCall, name: str, key: str, rank: int) -> str:
    default = "tanh" if key == "activation" else "hard_sigmoid"
    if call.generation >= 3 and key != "activation":
        default = "sigmoid"
    settings = Settings(call.name, {"activation": call.settings.raw(key, default)})
    order = channels_first(rank, data_format=data_format(call.settings))
    value = Value(name, (None,) * rank, order)
    return activated(replace(call, settings=settings), value).name


def _as_keras(call: LayerCall, name: str, stored: tuple[int | None, ...]) -> Value:
    """A picture of channels in front, with its axes named as Keras does."""
    order = channels_first(len(stored), data_format=data_format(call.settings))
    shape = tuple(stored[order.index(axis)] for axis in range(len(stored)))
    return call.result(name, shape, order)


def _all_frames(call: LayerCall, names: list[str], stored: tuple[int | None, ...]) -> Value:
    one = _as_keras(call, names[0], stored)
    order = (0, 1, *(axis + 1 for axis in one.order[1:]))
    return call.result(stacked(call, names), (one.shape[0], len(names), *one.shape[1:]), order)


def _out_in_spatial(kernel: Any) -> Any:
    return np.moveaxis(kernel, (-1, -2), (0, 1))


CONVOLUTIONAL_RECURRENT_LAYERS: dict[str, LayerKind] = {
    f"ConvLSTM{axes}D": _conv_lstm(axes) for axes in (1, 2, 3)
}
