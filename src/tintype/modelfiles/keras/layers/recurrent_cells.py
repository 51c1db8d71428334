"""The cells of recurrent layers, step by step: SimpleRNN, LSTM, GRU.

Formulas: keras ``layers/rnn/simple_rnn.py``, ``lstm.py``, ``gru.py``. Gates lie side by side in
Keras' kernels: LSTM i, f, c, o; GRU z, r, h. A state that is not there yet is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.activation import activated, activation_name
from tintype.modelfiles.keras.layers.call import LayerCall
from tintype.modelfiles.keras.layers.geometry import Cut, sliced
from tintype.modelfiles.keras.settings import Settings
from tintype.modelfiles.keras.weights import Slot
from tintype.types import Float32Array

States: TypeAlias = tuple[str, ...]
"""What a cell remembers: its answer, and an LSTM its cell state. Empty before the first step."""

Step: TypeAlias = Callable[["Cell", str, States], States]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellKind:
    """What is special of one kind of cell. ``order`` is where ONNX has Keras' gates."""

    op: str
    order: tuple[int, ...]
    states: int
    step: Step

    @property
    def gates(self) -> int:
        """How many gates the cell has."""
        return len(self.order)


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a layer, or one that stands alone in an RNN, with its settings and weights."""

    kind: CellKind
    call: LayerCall

    @property
    def units(self) -> int:
        """The length of its answer."""
        return self.call.settings.sizes("units", 1)[0]

    @property
    def width(self) -> int:
        """The length of all gates side by side."""
        return self.units * self.kind.gates

    @property
    def reset_after(self) -> bool:
        """GRU: whether the reset gate comes behind the product with the recurrent kernel."""
        return self.call.settings.flag("reset_after", default=False)

    @property
    def packed(self) -> bool:
        """Whether the weights lie as cuDNN wants them."""
        return self.call.kind.startswith("CuDNN")

    def activation(self, key: str, default: str) -> str:
        """The name of the activation under ``key``."""
        return activation_name(self.call.settings.raw(key, default), self.call.name)

    def kernel(self, length: int) -> Float32Array:
        """The kernel for a tensor of ``length`` channels: length x gates."""
        kernel = self.call.weight("kernel", (length, self.width))
        if not self.packed:
            return kernel
        # cuDNN keeps each gate as units x length behind one another (tf_keras
        # ``saving/legacy/hdf5_format.py``, transpose_input).
        parts = np.split(kernel, self.kind.gates, axis=1)
        return np.hstack([part.reshape(self.units, length).T for part in parts])

    def recurrent_kernel(self) -> Float32Array:
        """The kernel for its own last answer: units x gates."""
        kernel = self.call.weight("recurrent_kernel", (self.units, self.width))
        if not self.packed:
            return kernel
        return np.hstack([part.T for part in np.split(kernel, self.kind.gates, axis=1)])

    def biases(self) -> Float32Array:
        """The bias of the input and that of the last answer: 2 x gates."""
        zero = np.zeros(self.width, np.float32)
        if not self.call.settings.flag("use_bias", default=True):
            return np.stack([zero, zero])
        if self.packed:
            return self.call.weight("bias", (2 * self.width,)).reshape(2, self.width)
        if self.kind.op == "GRU" and self.reset_after:
            return self.call.weight("bias", (2, self.width))
        return np.stack([self.call.weight("bias", (self.width,)), zero])

    def step(self, projected: str, states: States) -> States:
        """The states behind one step; ``projected`` is input x kernel + its bias."""
        return self.kind.step(self, projected, states)

    def shared(self, name: str, make: Callable[[], Float32Array]) -> str:
        """A constant of the cell, made once for all steps."""
        key = ("/".join(self.call.path), "cell", name)
        known = self.call.graph.shared(key)
        return known or self.call.graph.share(key, self.call.constant(make(), name))

    def apply(self, key: str, name: str, default: str) -> str:
        """``name`` after the activation that the setting ``key`` names."""
        settings = {"activation": self.call.settings.raw(key, default)}
        call = replace(self.call, settings=Settings(self.call.name, settings))
        return activated(call, Value(name, (None, self.units), (0, 1))).name

    def gate(self, name: str, number: int, count: int = 1) -> str:
        """``count`` gates from gate ``number`` on, cut out of all of them."""
        start = number * self.units
        return sliced(
            self.call,
            name,
            [Cut(axis=1, start=start, stop=start + count * self.units)],
            "gate",
        )


def simple_step(cell: Cell, projected: str, states: States) -> States:
    """The answer is activation(x + h R)."""
    total = _plus_recurrent(cell, projected, states)
    return (cell.apply("activation", total, "tanh"),)


def lstm_step(cell: Cell, projected: str, states: States) -> States:
    """The state is f c + i g, the answer o activation(state)."""
    call = cell.call
    total = _plus_recurrent(cell, projected, states)
    gates = [cell.gate(total, number) for number in range(4)]
    keep_new, forget, out = (
        cell.apply("recurrent_activation", gates[number], "sigmoid") for number in (0, 1, 3)
    )
    new = call.emit("Mul", (keep_new, cell.apply("activation", gates[2], "tanh")), "new")
    if states:
        new = call.emit("Add", (call.emit("Mul", (forget, states[1]), "kept"), new), "state")
    answer = call.emit("Mul", (out, cell.apply("activation", new, "tanh")), "answer")
    return answer, new


def gru_step(cell: Cell, projected: str, states: States) -> States:
    """The answer is z h + (1 - z) g, the reset gate before or behind the recurrent product."""
    call = cell.call
    inner = _inner(cell, states)
    update, reset = (
        cell.apply("recurrent_activation", _sum(cell, projected, inner, number), "sigmoid")
        for number in (0, 1)
    )
    candidate = _candidate(cell, cell.gate(projected, 2), inner, reset, states)
    candidate = cell.apply("activation", candidate, "tanh")
    rest = call.emit("Sub", (call.graph.scalar(1.0), update), "rest")
    fresh = call.emit("Mul", (rest, candidate), "fresh")
    if not states:
        return (fresh,)
    return (call.emit("Add", (call.emit("Mul", (update, states[0]), "kept"), fresh), "answer"),)


def _inner(cell: Cell, states: States) -> str | None:
    """The recurrent product of all gates that do not wait for the reset gate."""
    call = cell.call
    name = None
    if states:
        gates = 3 if cell.reset_after else 2
        kernel = cell.shared("recurrent", lambda: cell.recurrent_kernel()[:, : gates * cell.units])
        name = call.emit("MatMul", (states[0], kernel), "inner")
    if not cell.reset_after or not cell.call.settings.flag("use_bias", default=True):
        return name
    bias = cell.shared("recurrent_bias", lambda: cell.biases()[1:])
    return bias if name is None else call.emit("Add", (name, bias), "inner_bias")


def _sum(cell: Cell, projected: str, inner: str | None, number: int) -> str:
    part = cell.gate(projected, number)
    if inner is None:
        return part
    return cell.call.emit("Add", (part, cell.gate(inner, number)), "sum")


def _candidate(cell: Cell, projected: str, inner: str | None, reset: str, states: States) -> str:
    call = cell.call
    if cell.reset_after:
        if inner is None:
            return projected
        gated = call.emit("Mul", (reset, cell.gate(inner, 2)), "reset")
        return call.emit("Add", (projected, gated), "candidate")
    if not states:
        return projected
    kernel = cell.shared("candidate", lambda: cell.recurrent_kernel()[:, 2 * cell.units :])
    gated = call.emit("Mul", (reset, states[0]), "reset")
    product = call.emit("MatMul", (gated, kernel), "product")
    return call.emit("Add", (projected, product), "candidate")


def _plus_recurrent(cell: Cell, projected: str, states: States) -> str:
    if not states:
        return projected
    kernel = cell.shared("recurrent", cell.recurrent_kernel)
    product = cell.call.emit("MatMul", (states[0], kernel), "inner")
    return cell.call.emit("Add", (projected, product), "sum")


_SIMPLE = CellKind(op="RNN", order=(0,), states=1, step=simple_step)
_LSTM = CellKind(op="LSTM", order=(0, 3, 1, 2), states=2, step=lstm_step)
_GRU = CellKind(op="GRU", order=(0, 1, 2), states=1, step=gru_step)

CELL_KINDS: dict[str, CellKind] = {
    "SimpleRNN": _SIMPLE,
    "SimpleRNNCell": _SIMPLE,
    "LSTM": _LSTM,
    "LSTMCell": _LSTM,
    "CuDNNLSTM": _LSTM,
    "UnifiedLSTM": _LSTM,
    "GRU": _GRU,
    "GRUCell": _GRU,
    "CuDNNGRU": _GRU,
    "UnifiedGRU": _GRU,
}
"""By the class name of a layer or a cell. The unified ones are those of TensorFlow 1.13."""


def cell_slots(place: str) -> Callable[[Settings], tuple[Slot, ...]]:
    """The weights of a cell; ``place`` is the cell's group in the zip form."""

    def slots(settings: Settings) -> tuple[Slot, ...]:
        bias = (Slot("bias", place=place),) if settings.flag("use_bias", default=True) else ()
        return (Slot("kernel", place=place), Slot("recurrent_kernel", place=place), *bias)

    return slots
