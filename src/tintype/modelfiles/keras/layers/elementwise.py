"""Operations number by number: arithmetic, comparisons, choices, rounding.

Every tensor of the graph is float32, as Keras computes. Truth values are kept as 0 and 1, whole
numbers as float32, exact up to 2^24. What is compared is turned back at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.activation import clip
from tintype.modelfiles.keras.layers.arguments import (
    argument,
    constant_operand,
    first_of,
    operands,
    real,
    subject,
)
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.merge import aligned, spread_shape
from tintype.modelfiles.keras.layers.preprocessing import spread_last

FLOAT, INT32, INT64, BOOL = 1, 6, 7, 9
"""TensorProto.DataType of ONNX."""

_LARGEST = 3.4028234663852886e38
"""The largest float32."""

_Pair: TypeAlias = Callable[[LayerCall, str, str], str]
_Single: TypeAlias = Callable[[LayerCall, str], str]


def spread_all(call: LayerCall, given: list[Any]) -> tuple[list[str], Value]:
    """Several operands by their names in the graph, laid out to be spread over each other.

    The second answer tells shape and order of what comes of them; its name means nothing.
    """
    tensors = [item for item in given if isinstance(item, Value)]
    if not tensors:
        raise ModelFileDamaged(f"operation {call.name!r} ({call.kind}) has no tensor")
    if len({tensor.rank for tensor in tensors}) > 1:
        # By numpy's rule the missing axes come in front, so the batch axis would move.
        ranks = sorted({tensor.rank for tensor in tensors})
        raise call.unsupported(f"tensors of {ranks[0]} and {ranks[-1]} axes together")
    lined = list(aligned(call, tuple(tensors)))
    whole = lined[0]
    for tensor in lined[1:]:
        whole = Value(whole.name, spread_shape(call, whole, tensor), whole.order)
    names = []
    for item in given:
        if isinstance(item, Value):
            names.append(lined.pop(0).name)
        else:
            names.append(spread_last(call, whole, constant_operand(call, item), "constant"))
    return names, whole


def pair(write: str | _Pair) -> LayerKind:
    """An operation on two operands, one of which may be numbers in the file."""

    def emit(call: LayerCall) -> Value:
        names, like = spread_all(call, list(operands(call)))
        name = (
            call.emit(write, names) if isinstance(write, str) else write(call, names[0], names[1])
        )
        return call.result(name, like.shape, like.order)

    return LayerKind(emit)


def single(write: str | _Single) -> LayerKind:
    """An operation on one tensor that keeps its shape."""

    def emit(call: LayerCall) -> Value:
        value = subject(call)
        one = write if callable(write) else None
        name = one(call, value.name) if one else call.emit(str(write), (value.name,))
        return call.like(name, value)

    return LayerKind(emit)


def as_bool(call: LayerCall, name: str) -> str:
    """0 is false, all else true."""
    return call.emit("Cast", (name,), "bool", to=BOOL)


def as_number(call: LayerCall, name: str) -> str:
    """Truth values and whole numbers back to float32."""
    return call.emit("Cast", (name,), "number", to=FLOAT)


def comparison(op: str, *, negated: bool = False) -> LayerKind:
    """A comparison: 1 where it holds, 0 elsewhere."""

    def write(call: LayerCall, left: str, right: str) -> str:
        name = call.emit(op, (left, right), "compared")
        return as_number(call, call.emit("Not", (name,), "not") if negated else name)

    return pair(write)


def logical(op: str) -> LayerKind:
    """And, or, exclusive or: 1 where it holds, 0 elsewhere."""

    def write(call: LayerCall, left: str, right: str) -> str:
        both = (as_bool(call, left), as_bool(call, right))
        return as_number(call, call.emit(op, both, "both"))

    return pair(write)


def asked(op: str, *, negated: bool = False) -> LayerKind:
    """A question to each number (IsNaN, IsInf): 1 where the answer is yes."""

    def write(call: LayerCall, name: str) -> str:
        answer = call.emit(op, (name,), "asked")
        return as_number(call, call.emit("Not", (answer,), "not") if negated else answer)

    return single(write)


def floor_divide(call: LayerCall, left: str, right: str) -> str:
    """The quotient rounded down."""
    return call.emit("Floor", (call.emit("Div", (left, right), "quotient"),))


def modulo(call: LayerCall, left: str, right: str) -> str:
    """What is left of a division, with the divisor's sign."""
    quotient = call.emit("Div", (left, right), "quotient")
    whole = call.emit("Floor", (quotient,), "whole")
    return call.emit("Sub", (left, call.emit("Mul", (whole, right), "taken")))


def squared_difference(call: LayerCall, left: str, right: str) -> str:
    """(x - y)^2."""
    difference = call.emit("Sub", (left, right), "difference")
    return call.emit("Mul", (difference, difference))


def divide_no_nan(call: LayerCall, left: str, right: str) -> str:
    """The quotient, 0 where the divisor is 0."""
    zero = call.graph.scalar(0.0)
    none = call.emit("Equal", (right, zero), "none")
    safe = call.emit("Where", (none, call.graph.scalar(1.0), right), "safe")
    return call.emit("Where", (none, zero, call.emit("Div", (left, safe), "quotient")))


def hypotenuse(call: LayerCall, left: str, right: str) -> str:
    """sqrt(x^2 + y^2)."""
    squares = [call.emit("Mul", (name, name), "square") for name in (left, right)]
    return call.emit("Sqrt", (call.emit("Add", squares, "sum"),))


def log_add_exp(call: LayerCall, left: str, right: str) -> str:
    """log(exp x + exp y) as max + log1p(exp(-|x - y|))."""
    largest = call.emit("Max", (left, right), "largest")
    apart = call.emit("Abs", (call.emit("Sub", (left, right), "difference"),), "apart")
    powers = call.emit("Exp", (call.emit("Neg", (apart,), "minus"),), "powers")
    more = call.emit("Log", (call.emit("Add", (powers, call.graph.scalar(1.0)), "plus"),), "more")
    return call.emit("Add", (largest, more))


def scaled(factor: float) -> _Single:
    """A multiple."""

    def write(call: LayerCall, name: str) -> str:
        return call.emit("Mul", (name, call.graph.scalar(factor)))

    return write


def filled(number: float) -> _Single:
    """The same number everywhere; of a shape that only the run knows, so x * 0 + number."""

    def write(call: LayerCall, name: str) -> str:
        shape = call.emit("Shape", (name,), "shape")
        return call.emit("Expand", (call.graph.scalar(number), shape))

    return write


def square(call: LayerCall, name: str) -> str:
    """x^2."""
    return call.emit("Mul", (name, name))


def rsqrt(call: LayerCall, name: str) -> str:
    """1 / sqrt x."""
    return call.emit("Reciprocal", (call.emit("Sqrt", (name,), "root"),))


def log1p(call: LayerCall, name: str) -> str:
    """Log of 1 + x."""
    return call.emit("Log", (call.emit("Add", (name, call.graph.scalar(1.0)), "plus"),))


def expm1(call: LayerCall, name: str) -> str:
    """Exp x, less 1."""
    return call.emit("Sub", (call.emit("Exp", (name,), "power"), call.graph.scalar(1.0)))


def exp2(call: LayerCall, name: str) -> str:
    """2^x."""
    return call.emit("Pow", (call.graph.scalar(2.0), name))


def log_to(base: float) -> _Single:
    """The logarithm to another base."""

    def write(call: LayerCall, name: str) -> str:
        natural = call.emit("Log", (name,), "natural")
        return call.emit("Mul", (natural, call.graph.scalar(1 / math.log(base))))

    return write


def erfc(call: LayerCall, name: str) -> str:
    """1 - erf x."""
    return call.emit("Sub", (call.graph.scalar(1.0), call.emit("Erf", (name,), "erf")))


def trunc(call: LayerCall, name: str) -> str:
    """Rounded towards zero."""
    size = call.emit("Floor", (call.emit("Abs", (name,), "size"),), "whole")
    return call.emit("Mul", (call.emit("Sign", (name,), "sign"), size))


def logical_not(call: LayerCall, name: str) -> str:
    """1 where x is 0."""
    return as_number(call, call.emit("Not", (as_bool(call, name),), "not"))


def is_finite(call: LayerCall, name: str) -> str:
    """1 where x is neither infinite nor NaN: x - x is NaN there."""
    nothing = call.emit("Sub", (name, name), "nothing")
    return as_number(call, call.emit("Equal", (nothing, call.graph.scalar(0.0)), "finite"))


def is_infinite(call: LayerCall, name: str) -> str:
    """1 where x is infinite; OpenVINO's IsInf does not find it."""
    size = call.emit("Abs", (name,), "size")
    largest = call.graph.scalar(_LARGEST)
    return as_number(call, call.emit("Greater", (size, largest), "infinite"))


def rounded(call: LayerCall) -> Value:
    """To the nearest whole number, halves to even."""
    value = subject(call)
    if argument(call, "decimals", place=1, default=0) != 0:
        raise call.unsupported("rounding to decimals")
    return call.like(call.emit("Round", (value.name,)), value)


def clipped(call: LayerCall) -> Value:
    """Numbers held between two bounds."""
    value = subject(call)
    low = argument(call, "x_min", "clip_value_min", "min", place=1)
    high = argument(call, "x_max", "clip_value_max", "max", place=2)
    if isinstance(low, Value) or isinstance(high, Value):
        raise call.unsupported("bounds that are computed")
    bounds = [
        None if bound is None else float(constant_operand(call, bound).reshape(-1)[0])
        for bound in (low, high)
    ]
    return call.like(clip(call, value.name, bounds[0], bounds[1]), value)


_WHOLE_TYPES = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})


def cast(call: LayerCall) -> Value:
    """Everything stays float32: a cast to whole numbers cuts off, one to truth asks for 0."""
    value = subject(call)
    dtype = argument(call, "dtype", "DstT", place=1, default="float32")
    if isinstance(dtype, dict):
        dtype = (dtype.get("config") or {}).get("name", dtype)
    dtype = str(dtype).rpartition(".")[2]
    if "float" in dtype:
        return value
    if dtype in _WHOLE_TYPES:
        return call.like(trunc(call, value.name), value)
    if dtype == "bool":
        return call.like(as_number(call, as_bool(call, value.name)), value)
    raise call.unsupported(f"a cast to {dtype!r:.40}")


def where(call: LayerCall) -> Value:
    """One of two numbers at each place."""
    named = [first_of(call, keys) for keys in (("condition",), ("x", "x1"), ("y", "x2"))]
    given = [
        call.args[place] if len(call.args) > place else item for place, item in enumerate(named)
    ]
    if any(item is None for item in given):
        raise call.unsupported("where without two tensors to choose from")
    names, like = spread_all(call, given)
    name = call.emit("Where", (as_bool(call, names[0]), names[1], names[2]))
    return call.result(name, like.shape, like.order)


def nan_to_num(call: LayerCall) -> Value:
    """NaN and infinities replaced."""
    value = subject(call)
    nan = real(call, "nan", place=1, default=0.0)
    top = real(call, "posinf", place=2, default=_LARGEST)
    low = real(call, "neginf", place=3, default=-_LARGEST)
    asked = call.emit("IsNaN", (value.name,), "asked")
    clean = call.emit("Where", (asked, call.graph.scalar(nan), value.name), "clean")
    for bound, op, replacement in ((_LARGEST, "Greater", top), (-_LARGEST, "Less", low)):
        beyond = call.emit(op, (clean, call.graph.scalar(bound)), "beyond")
        clean = call.emit("Where", (beyond, call.graph.scalar(replacement), clean), "finite")
    return call.like(clean, value)


def alike(number: float | None) -> LayerKind:
    """zeros_like, ones_like, full_like."""

    def emit(call: LayerCall) -> Value:
        value = subject(call)
        wanted = real(call, "fill_value", place=1, default=0.0) if number is None else number
        return call.like(filled(wanted)(call, value.name), value)

    return LayerKind(emit)
