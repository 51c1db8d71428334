"""What engines do to arrays on both sides of a run. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tintype.errors import EngineFailed
from tintype.types import Float32Array, Quantisation, Shape, Tensor, TensorSpec

Raw = npt.NDArray[np.generic]
"""An output as the engine's library holds it."""


def with_batch(shape: Shape, batch: int | None) -> Shape:
    """``shape`` with its first axis replaced."""
    return (batch, *shape[1:])


def check_batch(batch: Tensor, spec: TensorSpec) -> None:
    """Raise EngineFailed unless ``batch`` is one or more rows of what ``spec`` takes."""
    dtype = "string" if batch.dtype.kind == "O" else batch.dtype.name  # encoded pictures
    if dtype != spec.dtype:
        raise EngineFailed(f"the input {spec.name!r} takes {spec.dtype}, the batch is {dtype}")
    row, wanted = batch.shape[1:], spec.shape[1:]
    fits = len(row) == len(wanted) and all(
        want is None or want == have for have, want in zip(row, wanted, strict=True)
    )
    if batch.ndim == 0 or not fits:
        raise EngineFailed(
            f"the input {spec.name!r} takes rows of shape {_words(wanted)}, "
            f"the batch is {_words(batch.shape)}"
        )
    if batch.shape[0] == 0:
        raise EngineFailed("the batch is empty: at least one row is needed")


def parts(batch: Tensor, size: int) -> Iterator[Tensor]:
    """Cut ``batch`` into parts of exactly ``size`` rows, the last filled up with its last row."""
    for start in range(0, batch.shape[0], size):
        part = batch[start : start + size]
        missing = size - part.shape[0]
        yield np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part


def real_numbers(raw: Raw, quantisation: Quantisation | None) -> Float32Array:
    """Copy ``raw`` into new float32 numbers: ``(raw - zero_point) * scale`` where quantised."""
    numbers = np.array(raw, dtype=np.float32, order="C")
    if quantisation is not None:
        numbers -= np.float32(quantisation.zero_point)
        numbers *= np.float32(quantisation.scale)
    return numbers


def sample_rows(spec: TensorSpec, *, rows: int, free_side: int = 224) -> Tensor:
    """Noise of different mean and spread in each row; free axes take ``free_side``.

    Integers cover the whole range of their type up to 0..255, floats lie around 0..1.
    """
    shape = (rows, *(free_side if side is None else side for side in spec.shape[1:]))
    noise = np.random.default_rng(0).random(shape, dtype=np.float32)
    for row in range(rows):
        noise[row] *= np.float32(1.0 - row / (rows + 1))
    dtype = np.dtype(spec.dtype)
    if dtype.kind in "iu":
        low = max(np.iinfo(dtype).min, -128)
        return (noise * 255 + low).astype(dtype)
    return noise.astype(dtype)


def _words(shape: Shape) -> str:
    return " x ".join("any" if side is None else str(side) for side in shape) or "a single number"
