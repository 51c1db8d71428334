"""An engine without a model, for tests: ours and those of anyone who builds on Tintype.

Scores follow the mean colour: a red picture gets class 0, green 1, blue 2. Nothing sleeps; a test
that needs an engine at work hands in a ``Gate``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tintype.engines.tensors import check_batch, parts
from tintype.errors import EngineFailed
from tintype.types import Batch, Begun, Float32Array, Tensor, TensorSpec

Answer = Callable[[Tensor], Float32Array]
"""N rows of input to N rows of scores. Must treat each row alone."""

BeforeRun = Callable[[Tensor], None]
"""Called in the engine's thread with the batch; may wait, may raise EngineFailed."""

PICTURES = TensorSpec(name="pictures", shape=(None, 8, 8, 3))
"""The default input: float32, 8 x 8, three channels last."""


class Gate:
    """A ``BeforeRun`` at which batches wait until the test lets them pass.

    ``arrived`` is released once for every batch that comes, ``limit`` seconds guard a test
    against waiting for ever.
    """

    def __init__(self, *, limit: float = 10.0) -> None:
        self.arrived = threading.Semaphore(0)
        self._passes = threading.Semaphore(0)
        self._open = threading.Event()
        self._limit = limit

    def __call__(self, batch: Tensor) -> None:
        """Wait for a pass. Raises EngineFailed when none comes within ``limit`` seconds."""
        del batch
        self.arrived.release()
        if not self._passes.acquire(timeout=self._limit):
            raise EngineFailed(f"the gate stayed shut for {self._limit} s")
        if self._open.is_set():
            self._passes.release()

    def let(self, batches: int = 1) -> None:
        """Let so many batches pass."""
        self._passes.release(batches)

    def open(self) -> None:
        """Let every batch pass from now on."""
        self._open.set()
        self._passes.release()

    def wait_arrived(self, batches: int = 1) -> None:
        """Block until so many more batches have come. Raises TimeoutError after ``limit``."""
        for _ in range(batches):
            if not self.arrived.acquire(timeout=self._limit):
                raise TimeoutError(f"no batch came within {self._limit} s")


def colour_scores(classes: int) -> Answer:
    """Scores from the mean of each channel (last axis): class k likes channel k % channels.

    Softmax over ``8 * mean / (1 + k // channels)``, integers taken as 0..255, so that the scores
    of a row sum to 1 and a row's answer is the same in every batch.
    """

    def answer(batch: Tensor) -> Float32Array:
        scale = 1.0 / 255.0 if batch.dtype.kind in "iu" else 1.0
        rows = batch.reshape(batch.shape[0], -1, batch.shape[-1] if batch.ndim > 2 else 1)
        means = rows.mean(axis=1, dtype=np.float64) * scale
        channels = means.shape[1]
        which = np.arange(classes)
        logits = 8.0 * means[:, which % channels] / (1 + which // channels)
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores: Float32Array = exponents / exponents.sum(axis=1, keepdims=True)
        return scores.astype(np.float32)

    return answer


class FakeEngine:
    """An ``Engine`` that computes ``answer``.

    ``batches`` lists the number of rows of every run, in order, also of those that failed, and
    ``deadlines`` the deadline each was given.
    """

    def __init__(
        self,
        *,
        pictures: TensorSpec = PICTURES,
        classes: int = 3,
        answer: Answer | None = None,
        before_run: BeforeRun | None = None,
        streams: int = 1,
    ) -> None:
        self._input = pictures
        self._outputs = (TensorSpec(name="scores", shape=(pictures.shape[0], classes)),)
        self._answer = answer or colour_scores(classes)
        self._before_run = before_run
        self._streams = streams
        self._closed = False
        self.widened = threading.Event()
        self.batches: list[int] = []
        self.deadlines: list[float | None] = []

    @property
    def name(self) -> str:
        """``fake``."""
        return "fake"

    @property
    def precision(self) -> str:
        """``f32``."""
        return "f32"

    @property
    def input(self) -> TensorSpec:
        """The input given."""
        return self._input

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """One row of scores a picture."""
        return self._outputs

    @property
    def batch_size(self) -> int | None:
        """The length of the input's first axis."""
        return self._input.shape[0]

    @property
    def streams(self) -> int:
        """As given."""
        return self._streams

    @property
    def reachable(self) -> bool:
        """Always."""
        return True

    def run(
        self, batch: Batch, *, deadline: float | None = None, begun: Begun | None = None
    ) -> tuple[Float32Array, ...]:
        """Compute the answer, see ``Engine.run``."""
        batch = batch() if callable(batch) else batch
        if begun is not None:
            begun()
        self.deadlines.append(deadline)
        if self._closed:
            raise EngineFailed("the engine is closed: it can run nothing more")
        check_batch(batch, self._input)
        self.batches.append(batch.shape[0])
        if self._before_run is not None:
            self._before_run(batch)
        if self.batch_size is None:
            return (self._answer(batch),)
        done = [self._answer(part) for part in parts(batch, self.batch_size)]
        return (np.concatenate(done)[: batch.shape[0]],)

    def widen(self) -> None:
        """Note it."""
        self.widened.set()

    def close(self) -> None:
        """Refuse further runs. Calling it again does nothing."""
        self._closed = True


def fake_engine_for(shape: tuple[int | None, ...], *, dtype: str = "float32") -> FakeEngine:
    """A fake engine whose input has ``shape`` (batch axis included) and ``dtype``."""
    return FakeEngine(pictures=replace(PICTURES, shape=shape, dtype=dtype))
