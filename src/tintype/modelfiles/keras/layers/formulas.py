"""Activations that take settings, or change the shape: glu, sparsemax, threshold and others.

Formulas: keras ``backend/tensorflow/nn.py`` and ``activations/activations.py``.
"""

from __future__ import annotations

import math

from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.call import LayerCall


def gelu_tanh(call: LayerCall, value: Value) -> str:
    """The approximate one: x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2."""
    graph = call.graph
    cube = call.emit("Mul", (call.emit("Mul", (value.name, value.name), "square"), value.name))
    inner = call.emit("Mul", (cube, graph.scalar(0.044715)), "cubic")
    inner = call.emit("Add", (value.name, inner), "inner")
    inner = call.emit("Mul", (inner, graph.scalar(math.sqrt(2 / math.pi))), "scaled")
    gate = call.emit("Add", (call.emit("Tanh", (inner,), "tanh"), graph.scalar(1.0)), "tanh1")
    return call.emit("Mul", (call.emit("Mul", (value.name, graph.scalar(0.5)), "half"), gate))


def squareplus(call: LayerCall, value: Value, b: float = 4.0) -> str:
    """(x + sqrt(x^2 + b)) / 2."""
    square = call.emit("Mul", (value.name, value.name), "square")
    root = call.emit("Sqrt", (call.emit("Add", (square, call.graph.scalar(b)), "plus"),), "root")
    both = call.emit("Add", (value.name, root), "sum")
    return call.emit("Mul", (both, call.graph.scalar(0.5)), "squareplus")


def hard_shrink(call: LayerCall, value: Value, threshold: float = 0.5) -> str:
    """X where |x| > threshold, else 0."""
    size = call.emit("Abs", (value.name,), "size")
    large = call.emit("Greater", (size, call.graph.scalar(threshold)), "large")
    return call.emit("Where", (large, value.name, call.graph.scalar(0.0)), "hardshrink")


def soft_shrink(call: LayerCall, value: Value, threshold: float = 0.5) -> str:
    """X moved towards 0 by the threshold, 0 where it would pass it."""
    size = call.emit("Abs", (value.name,), "size")
    less = call.emit("Sub", (size, call.graph.scalar(threshold)), "less")
    kept = call.emit("Relu", (less,), "kept")
    return call.emit("Mul", (call.emit("Sign", (value.name,), "sign"), kept), "softshrink")


def threshold_at(call: LayerCall, value: Value, threshold: float, default: float) -> str:
    """X where x > threshold, else the default."""
    above = call.emit("Greater", (value.name, call.graph.scalar(threshold)), "above")
    return call.emit("Where", (above, value.name, call.graph.scalar(default)), "threshold")


def sparse_sigmoid(call: LayerCall, value: Value) -> str:
    """0 up to -1, 1 from 1 on, (x + 1) / 2 between."""
    return call.emit("HardSigmoid", (value.name,), "sparsesigmoid", alpha=0.5, beta=0.5)


def sparse_plus(call: LayerCall, value: Value) -> str:
    """0 up to -1, x from 1 on, (x + 1)^2 / 4 between."""
    bent = call.emit("HardSigmoid", (value.name,), "bend", alpha=0.5, beta=0.5)
    square = call.emit("Mul", (bent, bent), "square")
    large = call.emit("GreaterOrEqual", (value.name, call.graph.scalar(1.0)), "large")
    return call.emit("Where", (large, value.name, square), "sparseplus")


def glu(call: LayerCall, value: Value, axis: int = -1) -> Value:
    """The first half along an axis times the sigmoid of the second."""
    if not -value.rank <= axis < value.rank or axis % value.rank == 0:
        raise call.unsupported(f"glu along axis {axis}")
    axis %= value.rank
    length = value.shape[axis]
    if length is None or length % 2:
        raise call.unsupported(f"glu over {length} numbers")
    position = call.graph.shape_constant((value.position(axis),))
    halves = [
        call.emit(
            "Slice",
            (
                value.name,
                call.graph.shape_constant((start,)),
                call.graph.shape_constant((start + length // 2,)),
                position,
            ),
            "half",
        )
        for start in (0, length // 2)
    ]
    gate = call.emit("Sigmoid", (halves[1],), "gate")
    shape = (*value.shape[:axis], length // 2, *value.shape[axis + 1 :])
    return call.result(call.emit("Mul", (halves[0], gate), "glu"), shape, value.order)


def sparsemax(call: LayerCall, value: Value, axis: int = -1) -> str:
    """Martins and Astudillo, From softmax to sparsemax, 2016, as Keras 3 computes it.

    Keras adds up all running sums of the support where the paper takes the last one; what a model
    was trained with is what is done here.
    """
    graph = call.graph
    if not -value.rank <= axis < value.rank:
        raise call.unsupported(f"sparsemax along axis {axis}")
    length = value.shape[axis % value.rank]
    if length is None or length > 1 << 16:
        raise call.unsupported(f"sparsemax over {length} numbers")
    position = value.position(axis)
    ordered, _ = graph.add_outputs(
        "TopK",
        (value.name, graph.shape_constant((length,))),
        (f"{call.name}/sorted", f"{call.name}/places"),
        {"axis": position},
    )
    place = call.constant(position, "axis", dtype="int64")
    sums = call.emit("CumSum", (ordered, place), "sums")
    spread = [1] * value.rank
    spread[position] = length
    counts = call.constant([[number] for number in range(1, length + 1)], "counts")
    counts = call.emit("Reshape", (counts, graph.shape_constant(spread)), "spread")
    excess = call.emit("Sub", (sums, graph.scalar(1.0)), "excess")
    means = call.emit("Div", (excess, counts), "means")
    inside = call.emit("Greater", (ordered, means), "inside")
    numbers = call.emit("Cast", (inside,), "number", to=1)
    axes = graph.shape_constant((position,))
    many = call.emit("ReduceSum", (numbers, axes), "many", keepdims=1)
    kept = call.emit("ReduceSum", (call.emit("Mul", (numbers, sums), "kept"), axes), "total")
    tau = call.emit("Div", (call.emit("Sub", (kept, graph.scalar(1.0)), "over"), many), "tau")
    return call.emit("Relu", (call.emit("Sub", (value.name, tau), "less"),), "sparsemax")
