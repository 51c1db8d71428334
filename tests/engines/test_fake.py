"""The engine for tests, which users get as well."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tintype.engines.fake import FakeEngine, Gate, fake_engine_for
from tintype.errors import EngineFailed
from tintype.types import TensorSpec


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_scores_follow_the_mean_colour(dtype):
    """Red, green and blue pictures get classes 0, 1 and 2, and scores sum to 1."""
    full = 255 if dtype == "uint8" else 1
    batch = np.zeros((3, 8, 8, 3), dtype)
    for channel in range(3):
        batch[channel, :, :, channel] = full

    (scores,) = fake_engine_for((None, 8, 8, 3), dtype=dtype).run(batch)

    assert [0, 1, 2] == scores.argmax(axis=1).tolist()
    np.testing.assert_allclose(np.ones(3), scores.sum(axis=1), rtol=1e-6)


def test_takes_more_classes_than_channels():
    """Each class has its own score."""
    (scores,) = FakeEngine(classes=7).run(np.full((1, 8, 8, 3), 0.5, np.float32))

    assert (1, 7) == scores.shape
    assert scores[0, 0] > scores[0, 3] > scores[0, 6]


def test_computes_a_function_given():
    """For tests that need other numbers."""
    engine = FakeEngine(answer=lambda batch: batch[:, 0, 0, :1] * 2, classes=1)

    assert 6.0 == engine.run(np.full((1, 8, 8, 3), 3, np.float32))[0][0, 0]


def test_respects_a_fixed_batch_size_and_notes_every_run():
    """Five pictures through an engine for two at a time."""
    engine = FakeEngine(pictures=TensorSpec(name="pictures", shape=(2, 8, 8, 3)))

    (scores,) = engine.run(np.zeros((5, 8, 8, 3), np.float32))

    assert (5, 3) == scores.shape
    assert [5] == engine.batches


def test_fails_on_demand():
    """What is called before a run may raise."""

    def fail(_batch: object) -> None:
        raise EngineFailed("as asked")

    with pytest.raises(EngineFailed, match="as asked"):
        FakeEngine(before_run=fail).run(np.zeros((1, 8, 8, 3), np.float32))


def test_a_gate_holds_batches_until_let():
    """One pass, one batch; open, all."""
    gate, done = Gate(), threading.Semaphore(0)
    engine = FakeEngine(before_run=gate)

    def twice() -> None:
        for _ in range(3):
            engine.run(np.zeros((1, 8, 8, 3), np.float32))
            done.release()

    thread = threading.Thread(target=twice)
    thread.start()
    gate.wait_arrived()
    assert not done.acquire(blocking=False)
    gate.let()
    gate.wait_arrived()
    assert done.acquire(timeout=10)
    gate.open()
    thread.join(10)

    assert [1, 1, 1] == engine.batches


def test_a_gate_that_stays_shut_fails_instead_of_hanging():
    """A broken test ends."""
    with pytest.raises(EngineFailed, match="stayed shut"):
        FakeEngine(before_run=Gate(limit=0.01)).run(np.zeros((1, 8, 8, 3), np.float32))
    with pytest.raises(TimeoutError):
        Gate(limit=0.01).wait_arrived()
