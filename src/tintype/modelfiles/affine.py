"""Arithmetic a graph does on pixels before its first convolution, added up to one x * a + b."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tintype.modelfiles.description import InGraphAffine

Numbers = npt.NDArray[np.float64]

# The frameworks' names of the four operations, folded by ``class_output.plain_kind``.
_MULTIPLY = frozenset({"mul", "multiply"})
_ADD = frozenset({"add", "biasadd"})
_SUBTRACT = frozenset({"sub", "subtract"})
_DIVIDE = frozenset({"div", "divide", "realdiv", "truediv"})
ARITHMETIC = _MULTIPLY | _ADD | _SUBTRACT | _DIVIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine:
    """What happened to a pixel so far: ``x * scale + offset``, one number a channel."""

    scale: Numbers
    offset: Numbers
    where: tuple[str, ...] = ()

    @classmethod
    def nothing(cls, channels: int) -> Affine:
        """Start with pixels as they are."""
        return cls(scale=np.ones(channels), offset=np.zeros(channels))

    def then(self, kind: str, constant: Numbers, *, swapped: bool, name: str) -> Affine | None:
        """Add one operation with a constant; ``swapped``: the constant is the first operand.

        None when the constant is neither one finite number nor one a channel, or the operation
        is not linear in the pixel (constant / pixel).
        """
        value = _per_channel(constant, len(self.scale))
        if value is None or (kind in _DIVIDE and (swapped or not value.all())):
            return None
        with np.errstate(over="ignore", invalid="ignore"):  # a stranger's numbers; see evidence
            return self._with(kind, value, swapped=swapped, name=name)

    def _with(self, kind: str, value: Numbers, *, swapped: bool, name: str) -> Affine | None:
        scale, offset = self.scale, self.offset
        if kind in _MULTIPLY:
            scale, offset = scale * value, offset * value
        elif kind in _DIVIDE:
            scale, offset = scale / value, offset / value
        elif kind in _ADD:
            offset = offset + value
        elif kind in _SUBTRACT:
            scale, offset = (-scale, value - offset) if swapped else (scale, offset - value)
        else:
            return None
        return Affine(scale=scale, offset=offset, where=(*self.where, name))

    def evidence(self) -> InGraphAffine | None:
        """Hand it on, rounded to float32's precision; None where nothing was done to the pixels."""
        if not self.where or not (np.isfinite(self.scale).all() and np.isfinite(self.offset).all()):
            return None
        return InGraphAffine(
            scale=tuple(float(f"{value:.9g}") for value in self.scale),
            offset=tuple(float(f"{value:.9g}") for value in self.offset),
            where=", ".join(self.where),
        )


def _per_channel(constant: Numbers, channels: int) -> Numbers | None:
    if not np.isfinite(constant).all():
        return None
    if constant.size == 1:
        return np.full(channels, float(constant.reshape(-1)[0]))
    if constant.size == channels and max(constant.shape) == channels:
        return constant.reshape(-1).astype(np.float64)
    return None
