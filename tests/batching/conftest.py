"""An engine that gives each picture's own number back, and ways to wait without sleeping."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest

from tintype.batching.batcher import Batcher
from tintype.batching.running import Answer, Make
from tintype.engines.fake import BeforeRun, FakeEngine, Gate
from tintype.types import Float32Array, Tensor, TensorSpec


def _first_number(batch: Tensor) -> Float32Array:
    return batch.reshape(batch.shape[0], -1)[:, :1].astype(np.float32)


@pytest.fixture
def echo() -> Callable[..., FakeEngine]:
    """Make an engine for pictures of any size whose only output is their first number."""

    def make(
        *, before_run: BeforeRun | None = None, streams: int = 1, batch: int | None = None
    ) -> FakeEngine:
        pictures = TensorSpec(name="pictures", shape=(batch, None, None, 3))
        return FakeEngine(
            pictures=pictures,
            answer=_first_number,
            classes=1,
            before_run=before_run,
            streams=streams,
        )

    return make


@pytest.fixture
def picture() -> Callable[..., Tensor]:
    """Make a picture full of one number."""

    def make(number: float, *, side: int = 2) -> Tensor:
        return np.full((side, side, 3), number, np.float32)

    return make


@pytest.fixture
def ask() -> Callable[..., list[asyncio.Task[Answer]]]:
    """Ask about pictures: a task for each, in order."""

    def submit(batcher: Batcher, *pictures: Tensor | Make) -> list[asyncio.Task[Answer]]:
        return [asyncio.create_task(batcher.submit(row, deadline=None)) for row in pictures]

    return submit


@pytest.fixture
def engine_threads() -> Callable[[], list[str]]:
    """Tell the names of the threads that an ``echo`` has now."""
    return lambda: [t.name for t in threading.enumerate() if t.name.startswith("engine-fake-")]


@pytest.fixture
def queued() -> Callable[[Batcher, int], object]:
    """Wait until so many pictures are in the queue."""

    async def wait(batcher: Batcher, count: int) -> None:
        async with asyncio.timeout(10):
            while batcher.waiting() != count:  # noqa: ASYNC110 - the batcher has no event for it
                await asyncio.sleep(0)  # a turn of the loop

    return wait


@pytest.fixture
def arrived() -> Callable[..., object]:
    """Wait until so many more batches stand at the gate."""

    async def wait(gate: Gate, batches: int = 1) -> None:
        await asyncio.to_thread(gate.wait_arrived, batches)

    return wait
