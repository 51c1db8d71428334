"""ONNX Runtime on an NVIDIA GPU: its CUDA provider, or why it cannot be had. Never the processor.

Names of options and what they do: ONNX Runtime's documentation, "CUDA Execution Provider".
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from tintype.engines.engine import EngineOptions
from tintype.engines.pooled import Company, Facts, PooledEngine, Runner
from tintype.engines.tensors import Raw, parts, sample_rows
from tintype.errors import EngineFailed, SettingsError, UnsupportedModel
from tintype.types import Tensor

Provider: TypeAlias = tuple[str, dict[str, str]]
"""The name of an execution provider, and its options."""

PROVIDER: Final = "CUDAExecutionProvider"
STREAMS: Final = 2
"""Batches in flight if not set: one is computed while the next is stacked and copied."""

SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Batches are filled up to one of these, each with a session of its own: one that meets another
size than before plans all its convolutions anew, which takes up to a second, every time."""

_OR_ELSE: Final = 'or engine.device = "cpu" (in a card: device = "cpu")'


def cuda_provider(library: Any, options: EngineOptions) -> Provider:
    """The provider as ONNX Runtime takes it, with NVIDIA's libraries loaded.

    Sums are in float32; matrix units round factors to 10 bits only where ``tf32`` was asked for.
    Convolutions are chosen by a rule and not by timing all ways of doing each: that takes twice
    the time for each size of batch, and gains nothing (docs/decisions/0027). Raises SettingsError
    for a library without it.
    """
    known = library.get_available_providers()
    if PROVIDER not in known:
        raise SettingsError(
            "the device cuda was asked for (engine.device), and this ONNX Runtime has no "
            f"{PROVIDER}; it has {', '.join(known)}",
            hint="pip uninstall onnxruntime, then pip install 'tintype[cuda]' (onnxruntime-gpu), "
            + _OR_ELSE,
        )
    with contextlib.redirect_stdout(sys.stderr):  # it prints what it cannot load
        library.preload_dlls()
    return PROVIDER, {
        "use_tf32": "1" if options.precision == "tf32" else "0",
        "cudnn_conv_algo_search": "HEURISTIC",
    }


def require_cuda(session: Any) -> None:
    """Refuse a session that ONNX Runtime quietly put on the processor. Raises SettingsError."""
    if PROVIDER not in session.get_providers():
        raise SettingsError(
            "the device cuda was asked for (engine.device), and ONNX Runtime cannot use a GPU "
            "here; its own words about it stand above",
            hint="nvidia-smi must show a GPU, and onnxruntime-gpu needs the CUDA and cuDNN it was "
            "built for: pip install 'onnxruntime-gpu[cuda,cudnn]' brings them, " + _OR_ELSE,
        )
    session.disable_fallback()


class Filled:
    """A runner whose batches are filled up to a size that is ready; larger ones run in parts.

    ``ready`` are those sizes with their runners, in ascending order; what is added counts from the
    next run on.
    """

    def __init__(self, ready: Sequence[tuple[int, Runner]]) -> None:
        self._ready = ready

    def run(self, batch: Tensor) -> Sequence[Raw]:
        """The outputs of a batch of any number of rows. Raises EngineFailed."""
        rows, ready = batch.shape[0], tuple(self._ready)
        size, runner = next((each for each in ready if each[0] >= rows), ready[-1])
        if size == rows:
            return runner.run(batch)
        done = [runner.run(part) for part in parts(batch, size)]
        return [np.concatenate(pieces)[:rows] for pieces in zip(*done, strict=True)]


def filled_engine(
    facts: Facts, make: Callable[[], Runner], *, options: EngineOptions
) -> PooledEngine:
    """An engine that runs pictures one by one until it is widened, then in batches of ``SIZES``.

    Widening makes a runner for each size up to ``options.batch``, and runs it once. A size that
    does not fit into the GPU's memory is left, with all above it.
    """
    ready = [(1, make())]
    streams = options.streams or STREAMS

    def together() -> list[Runner]:
        with contextlib.suppress(EngineFailed, UnsupportedModel):
            for size in _sizes(options.batch):
                runner = make()
                runner.run(sample_rows(facts.input, rows=size))
                ready.append((size, runner))
        return [Filled(ready) for _ in range(streams)]

    return PooledEngine(facts, [Filled(ready)], company=Company(streams=streams, make=together))


def _sizes(most: int) -> list[int]:
    return sorted({*(size for size in SIZES if 1 < size < most), most} - {1})
