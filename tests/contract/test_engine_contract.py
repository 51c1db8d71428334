"""What every engine promises, asked of each with several graphs (see ``conftest``)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tintype.engines.engine import EngineOptions
from tintype.errors import EngineFailed


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_gives_one_float32_row_a_picture_for_every_output(case, engine, rows):
    """N pictures in, N rows out, whatever batch size the file was written for."""
    outputs = engine.run(case.sample(engine, rows))

    assert len(engine.outputs) == len(outputs)
    for spec, output in zip(engine.outputs, outputs, strict=True):
        assert np.float32 == output.dtype
        assert (rows, *spec.shape[1:]) == output.shape


def test_says_what_it_takes_and_gives(case, engine):
    """Input and outputs agree with the batch size; outputs are real numbers."""
    assert engine.batch_size == engine.input.shape[0]
    assert {"float32"} == {output.dtype for output in engine.outputs}
    assert {None} == {output.quantisation for output in engine.outputs}
    assert case.engine == engine.name
    assert 2 == engine.streams


def test_a_batch_answers_as_its_members_alone(case, engine):
    """Row i depends on picture i alone, within the tolerance."""
    batch = case.sample(engine, 5)

    together = engine.run(batch)

    for row in range(5):
        alone = engine.run(batch[row : row + 1])
        for whole, single in zip(together, alone, strict=True):
            np.testing.assert_allclose(whole[row], single[0], rtol=0, atol=case.tolerance)


def test_rows_keep_the_order_of_the_pictures(case, engine):
    """The same pictures the other way round get the same rows the other way round."""
    batch = case.sample(engine, 3)

    forwards, backwards = engine.run(batch), engine.run(batch[::-1].copy())

    assert not np.allclose(forwards[0], forwards[0][::-1])
    for one, other in zip(forwards, backwards, strict=True):
        np.testing.assert_allclose(one, other[::-1], rtol=0, atol=case.tolerance)


def test_outputs_belong_to_the_caller(case, engine):
    """A later run does not overwrite an earlier answer, and the answer may be written to."""
    first = engine.run(case.sample(engine, 1, seed=1))
    kept = [output.copy() for output in first]

    for seed in range(4):
        engine.run(case.sample(engine, 1, seed=seed))

    for output, copy in zip(first, kept, strict=True):
        np.testing.assert_array_equal(copy, output)
        assert output.flags.writeable


def test_leaves_the_pictures_alone(case, engine):
    """The batch is read, not written."""
    batch = case.sample(engine, 2)
    before = batch.copy()

    engine.run(batch)

    np.testing.assert_array_equal(before, batch)


def test_takes_pictures_that_may_only_be_read_or_lie_scattered(case, engine):
    """A view of another array, or one over bytes, is as good as any."""
    batch = case.sample(engine, 2)
    expected = engine.run(batch)
    scattered = np.repeat(batch, 2, axis=-1)[..., ::2]
    locked = np.frombuffer(batch.tobytes(), batch.dtype).reshape(batch.shape)

    for same in (scattered, locked, locked[:1]):
        for want, got in zip(expected, engine.run(same), strict=True):
            np.testing.assert_allclose(want[: len(same)], got, rtol=0, atol=case.tolerance)


def test_serves_eight_threads_each_with_its_own_answer(case, engine):
    """Threads side by side get what each would get alone."""
    batches = [case.sample(engine, 1 + seed % 2, seed=seed) for seed in range(8)]
    expected = [engine.run(batch) for batch in batches]

    def several(number: int) -> list[tuple[np.ndarray, ...]]:
        return [engine.run(batches[number]) for _ in range(4)]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(several, range(8)))

    for want, runs in zip(expected, answers, strict=True):
        for got in runs:
            for one, other in zip(want, got, strict=True):
                np.testing.assert_allclose(one, other, rtol=0, atol=case.tolerance)


def test_refuses_another_dtype(case, engine):
    """A wrong dtype is told with both names."""
    batch = case.sample(engine, 1).astype(np.float64)

    with pytest.raises(EngineFailed, match=rf"takes {engine.input.dtype}.*float64"):
        engine.run(batch)


def test_refuses_another_shape(case, engine):
    """A picture with a channel too many, or a batch without its axis, is told with the shape."""
    batch = case.sample(engine, 1)

    for wrong in (np.concatenate([batch, batch], axis=-1), np.concatenate([batch] * 2, axis=1)[0]):
        with pytest.raises(EngineFailed, match="takes rows of shape"):
            engine.run(np.ascontiguousarray(wrong))


def test_refuses_an_empty_batch(case, engine):
    """No picture, no answer."""
    with pytest.raises(EngineFailed, match="empty"):
        engine.run(case.sample(engine, 1)[:0])


def test_works_on_after_a_refusal(case, engine):
    """A bad batch does not spoil the next good one."""
    good = case.sample(engine, 1)
    expected = engine.run(good)

    with pytest.raises(EngineFailed):
        engine.run(good.astype(np.float64))

    np.testing.assert_allclose(expected[0], engine.run(good)[0], rtol=0, atol=case.tolerance)


def test_closes_twice_and_then_refuses_to_run(case, folder):
    """``close`` may be repeated; ``run`` after it fails in words."""
    engine = case.make(folder, EngineOptions())
    batch = case.sample(engine, 1)
    engine.run(batch)

    engine.close()
    engine.close()

    with pytest.raises(EngineFailed, match="closed"):
        engine.run(batch)


def test_takes_pictures_of_several_sizes_where_the_graph_does(any_size):
    """Free sides are free from one run to the next, and rows still stand alone."""
    rng = np.random.default_rng(0)
    for height, width in ((16, 16), (8, 30), (31, 5), (16, 16)):
        batch = rng.random((2, height, width, 3), dtype=np.float32)

        together, alone = any_size.run(batch), any_size.run(batch[1:])

        assert 2 == together[0].shape[0]
        np.testing.assert_allclose(together[0][1:], alone[0], rtol=0, atol=1e-6)
