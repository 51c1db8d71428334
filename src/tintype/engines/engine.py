"""The contract of every engine. ``tests/contract`` holds each of them to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from tintype.errors import SettingsError
from tintype.types import Batch, Begun, Tensor, TensorSpec

MOST_THREADS: Final = 1024
"""Each is a real thread of the system, made at the start."""
MOST_NICE: Final = 19

PRECISIONS: Final = ("f32", "bf16", "tf32")
"""What an engine may be asked to compute in; ``int8`` is a matter of the graph."""

CPU: Final = "cpu"
CUDA: Final = "cuda"
DEVICES: Final = (CPU, CUDA)
"""What runs may run on: the processor, or an NVIDIA GPU."""

MOST_BATCH: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How an engine uses the machine. ``threads``: 0 lets the engine take every core.

    ``streams``: how many batches run side by side; they share the threads. 0 lets the engine
    choose. ``batch``: compile for so many pictures at once too, where the graph allows it.
    ``precision``: ``f32``, ``bf16`` where the processor has it, or ``tf32`` on a GPU; an engine
    without it computes in f32, and its ``precision`` says so. ``device``: what runs run on; on
    ``cuda``, ``threads`` are those for what the GPU leaves to the processor. ``tuned``: whether a
    card's table ``[tuned]`` goes before these. ``nice``: how far its threads stand back behind
    others (setpriority(2)). Raises SettingsError for values out of range.
    """

    threads: int = 0
    streams: int = 0
    batch: int = 1
    precision: str = "f32"
    device: str = CPU
    tuned: bool = True
    nice: int = 10
    max_activation_bytes: int = 8 << 30
    """Refuse a graph whose tensors for one picture declare more than this."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("threads", 0, MOST_THREADS),
            ("streams", 0, MOST_THREADS),
            ("batch", 1, MOST_BATCH),
            ("nice", 0, MOST_NICE),
            ("max_activation_bytes", 1, 1 << 62),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise SettingsError(f"engine.{name} is {value}, expected {least} to {most}")
        for name, known in (("precision", PRECISIONS), ("device", DEVICES)):
            if getattr(self, name) not in known:
                raise SettingsError(
                    f"engine.{name} is {getattr(self, name)!r}, expected one of {', '.join(known)}"
                )


class Engine(Protocol):
    """A loaded graph, ready to run. Made by ``catalog.load``."""

    @property
    def name(self) -> str:
        """For people: ``openvino``."""
        ...

    @property
    def precision(self) -> str:
        """What it computes in: ``f32``, ``bf16``, ``int8``."""
        ...

    @property
    def input(self) -> TensorSpec:
        """The input as ``run`` takes it."""
        ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs as ``run`` gives them."""
        ...

    @property
    def batch_size(self) -> int | None:
        """How many rows it computes at once, None where any number goes.

        ``run`` takes any number all the same: more rows run one part after another, the last
        part filled up.
        """
        ...

    @property
    def streams(self) -> int:
        """How many threads may gain by calling ``run`` side by side."""
        ...

    @property
    def reachable(self) -> bool:
        """Whether it can be asked now: False while a remote is down, True for all others."""
        ...

    def run(
        self, batch: Batch, *, deadline: float | None = None, begun: Begun | None = None
    ) -> tuple[Tensor, ...]:
        """Run ``batch`` (N x the input's other axes, C-contiguous, the input's dtype).

        It may be a function that makes it: called in this thread, before there is room to run. What
        that raises is raised. ``begun`` is called when the batch is made and has room to run.
        An input of dtype ``string`` takes N objects, each the bytes of an encoded picture.
        ``deadline``, in seconds of ``time.monotonic``, is when nobody waits any more: what cannot
        stop by itself may go on, a remote is told.

        Returns the outputs in the order of ``outputs``, each with N rows, owned by the caller:
        float32, dequantised, or bytes (numpy ``S``) for an output of names. Row i belongs to
        picture i and depends on it alone. May be called from several threads. Raises EngineFailed
        when the engine cannot, also after ``close``; a remote raises other ServingErrors as well.
        """
        ...

    def widen(self) -> None:
        """Make ready for company, where that takes an effort: more runs go side by side then.

        May take seconds, while runs go on; so a server does it once it answers. Where nothing
        can be gained, and when it is called again, it does nothing.
        """
        ...

    def close(self) -> None:
        """Give everything back. Calling it again does nothing."""
        ...
