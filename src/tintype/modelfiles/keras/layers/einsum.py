"""EinsumDense: a dense layer over any axes (keras ``layers/core/einsum_dense.py``)."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from typing import Any

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.activation import activated
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.settings import Settings
from tintype.modelfiles.keras.weights import Slot
from tintype.types import Shape


@dataclass(frozen=True, slots=True)
class _Equation:
    """One letter an axis, of the input, the kernel and the answer."""

    given: str
    kernel: str
    answer: str


def _equation(call: LayerCall, rank: int) -> _Equation:
    text = call.settings.text("equation").replace(" ", "")
    match = re.fullmatch(r"([a-zA-Z.]+),([a-zA-Z]+)->([a-zA-Z.]+)", text)
    if match is None:
        raise ModelFileDamaged(f"layer {call.name!r} has the equation {text[:60]!r}")
    given, kernel, answer = match.groups()
    used = set(given + kernel + answer)
    spare = "".join(letter for letter in string.ascii_letters if letter not in used)
    dots = spare[: max(rank - len(given.replace("...", "")), 0)]
    given, answer = given.replace("...", dots), answer.replace("...", dots)
    apart = all(len(set(letters)) == len(letters) for letters in (given, kernel, answer))
    told = set(answer) <= set(given) | set(kernel)
    if "." in given + answer or len(given) != rank or not apart or not told:
        raise call.unsupported(f"the equation {text[:60]!r} on {rank} axes")
    if answer[:1] != given[:1]:
        raise call.unsupported(f"the equation {text[:60]!r}, which moves the batch axis")
    return _Equation(given, kernel, answer)


def _einsum_dense(call: LayerCall) -> Value:
    value = call.graph.as_keras(call.input)
    equation = _equation(call, value.rank)
    known = dict(zip(equation.given, value.shape, strict=True))
    lengths = _kernel_lengths(call, equation, known)
    kernel = call.weight_constant(
        "kernel", lengths, lambda weights: _as_matrix(weights, equation), form="matrix"
    )
    name = call.emit(*_product(equation, value.name, kernel), **_attributes(equation))
    known |= dict(zip(equation.kernel, lengths, strict=True))
    shape = tuple(known[letter] for letter in equation.answer)
    if _as_matmul(equation) and len(equation.kernel) > 2:
        name = _spread_out(call, name, shape)
    bias_axes = call.settings.raw("bias_axes")
    if bias_axes:
        name = _biased(call, name, equation, shape)
    return activated(call, call.result(name, shape))


def _kernel_lengths(
    call: LayerCall, equation: _Equation, known: dict[str, int | None]
) -> tuple[int, ...]:
    """The kernel's axes: those of the input are known, the others are told by output_shape."""
    told = call.settings.raw("output_shape")
    stored = call.weights.get("kernel")
    if stored is None or len(stored.shape) != len(equation.kernel):
        raise ModelFileDamaged(f"the kernel of layer {call.name!r} does not fit its equation")
    for letter, length in zip(equation.kernel, stored.shape, strict=True):
        if letter in known and known[letter] != length:
            raise ModelFileDamaged(
                f"the kernel of layer {call.name!r} has the shape {stored.shape}, output_shape is "
                f"{str(told)[:60]}"
            )
    return stored.shape


def _as_matmul(equation: _Equation) -> bool:
    """Whether it is one matrix product: the last axis goes, the kernel's others come."""
    last, rest = equation.given[-1], equation.given[:-1]
    return (
        equation.kernel[0] == last
        and equation.answer == rest + equation.kernel[1:]
        and not set(equation.kernel) & set(rest)
    )


def _as_matrix(weights: Any, equation: _Equation) -> Any:
    return weights.reshape(weights.shape[0], -1) if _as_matmul(equation) else weights


def _product(equation: _Equation, value: str, kernel: str) -> tuple[str, tuple[str, str]]:
    return ("MatMul" if _as_matmul(equation) else "Einsum"), (value, kernel)


def _attributes(equation: _Equation) -> dict[str, str]:
    if _as_matmul(equation):
        return {}
    return {"equation": f"{equation.given},{equation.kernel}->{equation.answer}"}


def _spread_out(call: LayerCall, name: str, shape: Shape) -> str:
    """The kernel's own axes apart again; one length besides the batch may be unknown."""
    if sum(length is None for length in shape[1:]) > 1:
        raise call.unsupported("several axes of unknown length")
    target = [0, *(-1 if length is None else length for length in shape[1:])]
    return call.emit("Reshape", (name, call.graph.shape_constant(target)), "axes")


def _biased(call: LayerCall, name: str, equation: _Equation, shape: Shape) -> str:
    axes = call.settings.text("bias_axes")
    places = [equation.answer.find(letter) for letter in axes]
    lengths = tuple(shape[place] for place in places)
    if -1 in places or None in lengths or 0 in places:
        raise call.unsupported(f"a bias over {axes[:20]!r}")
    # From the first of its axes on, with 1 for those it spreads over.
    stored = tuple(
        int(length or 0) if axis in places else 1
        for axis, length in enumerate(shape)
        if axis >= min(places)
    )
    bias = call.weight_constant("bias", stored)
    return call.emit("Add", (name, bias), "biased")


def _slots(settings: Settings) -> tuple[Slot, ...]:
    return (Slot("kernel"), Slot("bias")) if settings.raw("bias_axes") else (Slot("kernel"),)


EINSUM_LAYERS: dict[str, LayerKind] = {"EinsumDense": LayerKind(_einsum_dense, _slots)}
