"""Attention: several heads, grouped heads, and the two older forms of Keras.

Formulas: keras ``layers/attention/``. Masks between tensors are refused, but for the causal one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value, show_shape
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.settings import Settings
from tintype.modelfiles.keras.weights import Slot
from tintype.types import Shape

_HIDDEN = -1e9
"""Added to the score of a place that may not be looked at."""

_MAX_MASK = 1 << 24
"""Most numbers of a mask: 4096 places that look at as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heads:
    """How many heads look, how many are looked at, and their lengths."""

    queries: int
    keys: int
    key_dim: int
    value_dim: int


@dataclass(frozen=True, slots=True)
class _Row:
    """A tensor as a series: axes that are not looked along are part of the batch.

    ``name`` has three axes; ``value`` is what it was, ``axes`` are those looked along.
    """

    name: str
    value: Value
    axes: tuple[int, ...]
    free: tuple[int, ...]

    @property
    def length(self) -> int | None:
        """How many places there are to look at."""
        return _product(self.value.shape, self.axes)

    @property
    def width(self) -> int:
        """The length of one place."""
        return self.value.shape[-1] or 0


def _product(shape: Shape, axes: tuple[int, ...]) -> int | None:
    lengths = [shape[axis] for axis in axes]
    known = [length for length in lengths if length is not None]
    return math.prod(known) if len(known) == len(lengths) else None


def _multi_head(call: LayerCall) -> tuple[Value, ...]:
    settings = call.settings
    count = settings.sizes("num_heads", 1)[0]
    key_dim = settings.sizes("key_dim", 1)[0]
    value_dim = settings.sizes("value_dim", 1, key_dim)[0]
    heads = _Heads(queries=count, keys=count, key_dim=key_dim, value_dim=value_dim)
    query, value, key = _triple(call)
    if query.rank != key.rank or query.rank != value.rank:
        raise call.unsupported("tensors of different rank")
    given = settings.raw("attention_axes")
    axes = tuple(range(1, query.rank - 1))
    if given is not None:
        axes = tuple(axis % query.rank for axis in settings.integer_list("attention_axes"))
    shape: Shape = (query.shape[-1],)
    if settings.raw("output_shape") is not None:
        shape = settings.integer_list("output_shape")
    return _attend(call, heads, [_row(call, item, axes) for item in (query, key, value)], shape)


def _grouped(call: LayerCall) -> tuple[Value, ...]:
    settings = call.settings
    length = settings.sizes("head_dim", 1)[0]
    heads = _Heads(
        queries=settings.sizes("num_query_heads", 1)[0],
        keys=settings.sizes("num_key_value_heads", 1)[0],
        key_dim=length,
        value_dim=length,
    )
    query, value, key = _triple(call)
    if query.rank != 3 or heads.queries % heads.keys:
        raise ModelFileDamaged(
            f"layer {call.name!r} shares {heads.keys} keys among {heads.queries} heads on "
            f"{show_shape(query.shape)}"
        )
    rows = [_row(call, item, (1,)) for item in (query, key, value)]
    return _attend(call, heads, rows, (query.shape[-1],))


def _triple(call: LayerCall) -> tuple[Value, Value, Value]:
    """Query, value and key: by place or by name; the key is the value where there is none."""
    for name in ("attention_mask", "query_mask", "value_mask", "key_mask", "mask"):
        if call.kwargs.get(name) is not None:
            raise call.unsupported(f"a mask ({name})")
    given = list(call.inputs)
    for name in ("query", "value", "key"):
        given.extend(item for item in (call.kwargs.get(name),) if isinstance(item, Value))
    if not 2 <= len(given) <= 3:
        raise ModelFileDamaged(f"layer {call.name!r} ({call.kind}) takes a query and a value")
    return given[0], given[1], given[-1]


def _row(call: LayerCall, value: Value, axes: tuple[int, ...]) -> _Row:
    last = value.rank - 1
    if value.shape[-1] is None or not axes or not set(axes) <= set(range(1, last)):
        raise call.unsupported(f"attention over {list(axes)} of {show_shape(value.shape)}")
    free = tuple(axis for axis in range(1, last) if axis not in axes)
    if value.rank == 3:
        return _Row(call.graph.as_keras(value).name, value, axes, free)
    length = _product(value.shape, axes)
    if length is None or _product(value.shape, free) is None:
        raise call.unsupported(f"attention on {show_shape(value.shape)}")
    moved = call.graph.reordered(value, (0, *free, *axes, last))
    target = call.graph.shape_constant((-1, length, value.shape[-1]))
    return _Row(call.emit("Reshape", (moved.name, target), "series"), value, axes, free)


def _attend(
    call: LayerCall, heads: _Heads, rows: list[_Row], out: tuple[int | None, ...]
) -> tuple[Value, ...]:
    """All of it on three axes: projections, scores, their mean of the values, projection."""
    query, key, value = rows
    count = heads.queries
    times = count // heads.keys
    q = _projected(call, query, "query", (count, heads.key_dim, 1))
    k = _projected(call, key, "key", (heads.keys, heads.key_dim, times))
    v = _projected(call, value, "value", (heads.keys, heads.value_dim, times))
    q, v = (call.emit("Transpose", (name,), "by_head", perm=(0, 2, 1, 3)) for name in (q, v))
    k = call.emit("Transpose", (k,), "keys", perm=(0, 2, 3, 1))
    scale = call.graph.scalar(1 / math.sqrt(heads.key_dim))
    scores = call.emit("MatMul", (call.emit("Mul", (q, scale), "scaled"), k), "scores")
    scores = _hidden(call, scores, query, key)
    weights = call.emit("Softmax", (scores,), "weights", axis=3)
    mixed = call.emit("MatMul", (weights, v), "mixed")
    mixed = call.emit("Transpose", (mixed,), "by_place", perm=(0, 2, 1, 3))
    if call.settings.flag("use_gate", default=False):
        gate = _projected(call, query, "gate", (count, heads.value_dim, 1))
        mixed = call.emit("Mul", (mixed, call.emit("Sigmoid", (gate,), "gate")), "gated")
    answer = _output(call, mixed, query, (count, heads.value_dim, *out))
    if not call.kwargs.get("return_attention_scores"):
        return (answer,)
    if query.free or len(query.axes) > 1:
        raise call.unsupported("return_attention_scores over several axes")
    shape = (query.value.shape[0], count, query.length, key.length)
    return answer, call.result(weights, shape)


def _projected(call: LayerCall, row: _Row, part: str, sizes: tuple[int, int, int]) -> str:
    """A row through the dense layer ``part``: (batch, places, heads, length).

    ``sizes``: heads of the kernel, their length, and how many heads each of them serves.
    """
    heads, length, times = sizes
    lengths = (heads, length)
    shape = (row.width, *lengths)
    flat = (row.width, -1)

    def kernel(weights: Any) -> Any:
        return np.repeat(weights, times, axis=1).reshape(flat)

    def bias(weights: Any) -> Any:
        return np.repeat(weights, times, axis=0).reshape(-1)

    name = call.emit(
        "MatMul", (row.name, call.weight_constant(f"{part}/kernel", shape, kernel)), part
    )
    if call.settings.flag("use_bias", default=True):
        constant = call.weight_constant(f"{part}/bias", lengths, bias)
        name = call.emit("Add", (name, constant), part)
    target = call.graph.shape_constant((0, 0, heads * times, length))
    return call.emit("Reshape", (name, target), f"{part}_heads")


def _output(call: LayerCall, mixed: str, query: _Row, shape: tuple[int | None, ...]) -> Value:
    """The heads joined by the last dense layer, and the axes put back where they were."""
    lengths = tuple(length or 0 for length in shape)
    inner, out = lengths[0] * lengths[1], lengths[2:]
    width = math.prod(out)
    joined = call.emit("Reshape", (mixed, call.graph.shape_constant((0, 0, inner))), "joined")
    kernel = call.weight_constant(
        "attention_output/kernel", lengths, lambda weights: weights.reshape(inner, width)
    )
    name = call.emit("MatMul", (joined, kernel), "output")
    if call.settings.flag("use_bias", default=True):
        bias = call.weight_constant("attention_output/bias", out, lambda row: row.reshape(width))
        name = call.emit("Add", (name, bias), "output_bias")
    value = query.value
    places = tuple(value.shape[axis] for axis in (*query.free, *query.axes))
    if value.rank > 3 or len(out) > 1:
        target = [-1 if length is None else length for length in (*places, *out)]
        front = 0 if value.rank == 3 else -1
        name = call.emit("Reshape", (name, call.graph.shape_constant((front, *target))), "places")
    rank = value.rank - 1 + len(out)
    order = (0, *query.free, *query.axes, *range(value.rank - 1, rank))
    return call.result(name, (*value.shape[:-1], *out), order)


def _hidden(call: LayerCall, scores: str, query: _Row, key: _Row) -> str:
    """The scores without the places that a causal mask or a sliding window hides."""
    window = call.settings.raw("sliding_window")
    causal = bool(call.kwargs.get("use_causal_mask")) or call.settings.flag("causal", default=False)
    if not causal and window is None:
        return scores
    rows, columns = query.length, key.length
    if rows is None or columns is None:
        raise call.unsupported("a mask over series of unknown length")
    if rows * columns > _MAX_MASK:
        raise call.unsupported(f"a mask of {rows} x {columns} places")
    far = np.arange(columns)[np.newaxis] - np.arange(rows)[:, np.newaxis]
    seen = far <= 0 if causal else np.ones_like(far, bool)
    if window is not None:
        seen &= np.abs(far) < call.settings.sizes("sliding_window", 1)[0]
    mask = call.constant(np.where(seen, 0, _HIDDEN), "mask")
    return call.emit("Add", (scores, mask), "masked")


def _attention(call: LayerCall) -> tuple[Value, ...]:
    """Keras' ``Attention``: scores by a product, or by a sum of tanh (``concat``)."""
    query, value, key = _plain_rows(call)
    if call.settings.choice("score_mode", ("dot", "concat"), "dot") == "dot":
        turned = call.emit("Transpose", (key.name,), "turned", perm=(0, 2, 1))
        scores = call.emit("MatMul", (query.name, turned), "scores")
        if call.settings.flag("use_scale", default=False):
            scores = call.emit("Mul", (scores, call.weight_constant("scale", ())), "scaled")
        return _answered(call, scores, query, value)
    sums = _sums(call, query, key)
    if call.settings.flag("use_scale", default=False):
        sums = call.emit("Mul", (sums, call.weight_constant("scale", ())), "scaled")
    scores = _summed(call, call.emit("Tanh", (sums,), "tanh"))
    weight = call.weight_constant("concat_score_weight", ())
    return _answered(call, call.emit("Mul", (scores, weight), "weighted"), query, value)


def _additive(call: LayerCall) -> tuple[Value, ...]:
    """Bahdanau's: a weighted sum of tanh(query + key)."""
    query, value, key = _plain_rows(call)
    tanh = call.emit("Tanh", (_sums(call, query, key),), "tanh")
    if call.settings.flag("use_scale", default=True):
        scale = call.weight_constant("scale", (query.width,))
        tanh = call.emit("Mul", (tanh, scale), "scaled")
    return _answered(call, _summed(call, tanh), query, value)


def _plain_rows(call: LayerCall) -> tuple[_Row, _Row, _Row]:
    items = _triple(call)
    if any(item.rank != 3 for item in items):
        raise call.unsupported(f"attention on {show_shape(items[0].shape)}")
    query, value, key = (_row(call, item, (1,)) for item in items)
    return query, value, key


def _sums(call: LayerCall, query: _Row, key: _Row) -> str:
    """Each query plus each key: four axes."""
    if query.length is not None and key.length is not None:
        call.result(query.name, (None, query.length, key.length, query.width))
    graph = call.graph
    rows = call.emit("Unsqueeze", (query.name, graph.shape_constant((2,))), "queries")
    columns = call.emit("Unsqueeze", (key.name, graph.shape_constant((1,))), "keys")
    return call.emit("Add", (rows, columns), "sums")


def _summed(call: LayerCall, name: str) -> str:
    axes = call.graph.shape_constant((3,))
    return call.emit("ReduceSum", (name, axes), "scores", keepdims=0)


def _answered(call: LayerCall, scores: str, query: _Row, value: _Row) -> tuple[Value, ...]:
    scores = _hidden(call, scores, query, value)
    weights = call.emit("Softmax", (scores,), "weights", axis=2)
    name = call.emit("MatMul", (weights, value.name))
    front = query.value.shape[:2]
    answer = call.result(name, (*front, value.width))
    if not call.kwargs.get("return_attention_scores"):
        return (answer,)
    return answer, call.result(weights, (*front, value.length))


def _parts_slots(settings: Settings) -> tuple[Slot, ...]:
    """Query, key, perhaps a gate, value, output: in the order in which Keras builds them."""
    gate = ("gate",) if settings.flag("use_gate", default=False) else ()
    found: list[Slot] = []
    for part in ("query", "key", *gate, "value", "attention_output"):
        place = f"{part.removeprefix('attention_')}_dense"
        found.append(Slot(f"{part}/kernel", place=place))
        if settings.flag("use_bias", default=True):
            found.append(Slot(f"{part}/bias", place=place))
    return tuple(found)


def _attention_slots(settings: Settings) -> tuple[Slot, ...]:
    scale = (Slot("scale"),) if settings.flag("use_scale", default=False) else ()
    concat = settings.raw("score_mode") == "concat"
    return (*scale, Slot("concat_score_weight")) if concat else scale


def _additive_slots(settings: Settings) -> tuple[Slot, ...]:
    return (Slot("scale"),) if settings.flag("use_scale", default=True) else ()


ATTENTION_LAYERS: dict[str, LayerKind] = {
    "MultiHeadAttention": LayerKind(lambda call: _multi_head(call)[0], _parts_slots, _multi_head),
    "GroupedQueryAttention": LayerKind(lambda call: _grouped(call)[0], _parts_slots, _grouped),
    "GroupQueryAttention": LayerKind(lambda call: _grouped(call)[0], _parts_slots, _grouped),
    "Attention": LayerKind(lambda call: _attention(call)[0], _attention_slots, _attention),
    "AdditiveAttention": LayerKind(lambda call: _additive(call)[0], _additive_slots, _additive),
}
