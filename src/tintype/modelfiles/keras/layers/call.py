"""One use of a layer while the graph is built: what every layer function gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tintype.errors import ModelFileDamaged, UnsupportedModel
from tintype.modelfiles.keras.graph import (
    GraphBuilder,
    Order,
    Value,
    check_shape,
    keras_order,
    show_shape,
)
from tintype.modelfiles.keras.hdf5 import Stored
from tintype.modelfiles.keras.onnx_wire import Attribute
from tintype.modelfiles.keras.safety import ALLOW_CODE, WAY_OUT_HINT
from tintype.modelfiles.keras.settings import Settings
from tintype.modelfiles.keras.weights import Slot
from tintype.types import Float32Array, Shape

Change: TypeAlias = Callable[[Float32Array], npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCall:
    """A layer, the tensors it is called with, its weights, and the graph to write to.

    ``args`` and ``kwargs`` hold ``Value`` where Keras has tensors. ``generation`` is the Keras
    (2 or 3) whose meaning of defaults and activations holds. ``parts`` are the layers that this
    one wraps.
    """

    kind: str
    path: tuple[str, ...]
    settings: Settings
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    weights: Mapping[str, Stored]
    graph: GraphBuilder
    generation: int
    parts: Mapping[str, Part] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The layer's name in the file."""
        return self.path[-1]

    @property
    def inputs(self) -> tuple[Value, ...]:
        """Every tensor among the positional arguments, lists opened."""
        found: list[Value] = []
        for arg in self.args:
            items = arg if isinstance(arg, list) else [arg]
            found.extend(item for item in items if isinstance(item, Value))
        return tuple(found)

    @property
    def input(self) -> Value:
        """The one tensor of a layer that takes one."""
        inputs = self.inputs
        if len(inputs) != 1:
            raise ModelFileDamaged(f"layer {self.name!r} takes one tensor, not {len(inputs)}")
        return inputs[0]

    def input_of_rank(self, rank: int) -> Value:
        """The one tensor, which must have ``rank`` axes, batch included."""
        value = self.input
        if value.rank != rank:
            raise ModelFileDamaged(
                f"layer {self.name!r} ({self.kind}) takes {rank} axes, not the shape "
                f"{show_shape(value.shape)}"
            )
        return value

    def length(self, axis: int) -> int:
        """The length of an axis of the one tensor that must be known."""
        length = self.input.shape[axis]
        if length is None:
            raise UnsupportedModel(
                f"layer {self.name!r} ({self.kind}) needs a fixed length of axis {axis}, but its "
                f"input has the shape {show_shape(self.input.shape)}"
            )
        return length

    def has_weight(self, name: str) -> bool:
        """Whether the file has this weight of the layer."""
        return name in self.weights

    def weight(self, name: str, shape: Sequence[int]) -> Float32Array:
        """A weight as float32. Raises ModelFileDamaged where it is missing or of another shape."""
        stored = self.weights.get(name)
        if stored is None:
            raise ModelFileDamaged(f"the file lacks the weight {name!r} of layer {self.name!r}")
        if stored.shape != tuple(shape):
            raise ModelFileDamaged(
                f"the weight {name!r} of layer {self.name!r} has the shape {stored.shape}; its "
                f"configuration asks for {tuple(shape)}"
            )
        values = np.asarray(stored.read(), dtype=np.float32)
        self.graph.allowance += values.nbytes
        return values

    def weight_constant(
        self, name: str, shape: Sequence[int], change: Change | None = None, *, form: str = ""
    ) -> str:
        """A weight as a constant of the graph, written once however often the layer is called.

        ``change`` rearranges it; ``form`` names the rearrangement where a layer has several.
        """
        key = ("/".join(self.path), name, form)
        known = self.graph.shared(key)
        if known is not None:
            return known
        array = self.weight(name, shape)
        return self.graph.share(
            key, self.constant(change(array) if change is not None else array, name)
        )

    def constant(self, array: npt.ArrayLike, suffix: str, *, dtype: str = "float32") -> str:
        """A constant named after the layer."""
        return self.graph.constant(array, f"{self.name}/{suffix}", dtype=dtype)

    def emit(
        self,
        op: str,
        inputs: Sequence[str],
        suffix: str = "",
        **attributes: Attribute,
    ) -> str:
        """Write one operation named after the layer, return the name of its output."""
        name = f"{self.name}/{suffix}" if suffix else self.name
        return self.graph.add(op, inputs, name, attributes)

    def result(self, name: str, shape: Shape, order: Order | None = None) -> Value:
        """The layer's answer. Raises where no tensor can have this shape."""
        return Value(
            name, check_shape(shape, self.name), keras_order(len(shape)) if order is None else order
        )

    def like(self, name: str, value: Value) -> Value:
        """An answer of the same shape and order as ``value``."""
        return Value(name, value.shape, value.order)

    def reshaped(self, value: Value, shape: Shape, suffix: str = "") -> Value:
        """``value`` with its numbers, in Keras' order, put into ``shape`` (batch axis kept)."""
        plain = self.graph.as_keras(value)
        free = [axis for axis, length in enumerate(shape) if length is None and axis > 0]
        if len(free) > 1:
            raise UnsupportedModel(
                f"layer {self.name!r} reshapes to {show_shape(shape)}: two lengths are unknown"
            )
        target = [0, *(-1 if length is None else length for length in shape[1:])]
        constant = self.graph.shape_constant(target)
        return self.result(self.emit("Reshape", (plain.name, constant), suffix), shape)

    def unsupported(self, what: str) -> UnsupportedModel:
        """The error for a setting that is not known here."""
        return UnsupportedModel(
            f"layer {self.name!r} ({self.kind}) uses {what}, which is not supported",
            hint="export the model as ONNX or as a SavedModel instead" + WAY_OUT_HINT,
            way_out=ALLOW_CODE,
        )


@dataclass(frozen=True, slots=True)
class Part:
    """A layer or model inside of a wrapper: ``run`` writes it for one tensor.

    ``call`` has its settings and weights, and no tensors; None where the part is a model.
    """

    call: LayerCall | None
    run: Callable[[Value], Value]


Emit: TypeAlias = Callable[[LayerCall], Value]
EmitAll: TypeAlias = Callable[[LayerCall], tuple[Value, ...]]
SlotRule: TypeAlias = Callable[[Settings], tuple[Slot, ...]]


def no_slots(_settings: Settings) -> tuple[Slot, ...]:
    """A layer without weights."""
    return ()


@dataclass(frozen=True, slots=True)
class LayerKind:
    """A row of the layer table: how the layer is written, and which weights it has.

    ``outputs`` is for a layer that may answer with several tensors; ``emit`` gives the first.
    """

    emit: Emit
    slots: SlotRule = no_slots
    outputs: EmitAll | None = None
