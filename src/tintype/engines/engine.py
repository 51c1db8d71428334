"""The contract of every engine. ``tests/contract`` holds each of them to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tintype.types import Float32Array, Tensor, TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How an engine uses the machine. ``threads``: 0 lets the engine take every core.

    ``streams``: how many batches run side by side.
    """

    threads: int = 0
    streams: int = 1
    max_activation_bytes: int = 8 << 30
    """Refuse a graph whose tensors for one picture declare more than this."""


class Engine(Protocol):
    """A loaded graph, ready to run. Made by ``catalog.load``.

    ``name`` is for people (``openvino``). ``input`` and ``outputs`` are as the engine takes and
    gives them. ``batch_size`` is the only size it takes, or None where any goes. ``streams`` is
    how many threads may gain by calling ``run`` side by side.
    """

    @property
    def name(self) -> str: ...

    @property
    def precision(self) -> str: ...

    @property
    def input(self) -> TensorSpec: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def batch_size(self) -> int | None: ...

    @property
    def streams(self) -> int: ...

    def run(self, batch: Tensor) -> tuple[Float32Array, ...]:
        """Run ``batch`` (N x the input's other axes, C-contiguous, the input's dtype).

        Returns the outputs in the order of ``outputs``, each with N rows, float32, dequantised,
        owned by the caller. Row i belongs to picture i and depends on it alone. May be called
        from several threads. Raises EngineFailed when the engine cannot, also after ``close``.
        """
        ...

    def close(self) -> None:
        """Give everything back. Calling it again does nothing."""
        ...
