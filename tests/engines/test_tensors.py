"""Arrays on both sides of a run."""

from __future__ import annotations

import numpy as np
import pytest

from tintype.engines.tensors import parts, real_numbers, sample_rows
from tintype.types import Quantisation, TensorSpec


def test_quantised_numbers_follow_the_specification():
    """The rule is real = (stored - zero_point) * scale, also where the difference is negative."""
    stored = np.array([[0, 128, 255]], np.uint8)

    real = real_numbers(stored, Quantisation(scale=0.5, zero_point=128))

    np.testing.assert_array_equal(np.array([[-64.0, 0.0, 63.5]], np.float32), real)
    assert np.float32 == real.dtype


def test_real_numbers_are_always_a_copy():
    """Also of float32, which the library may overwrite."""
    raw = np.ones((2, 3), np.float32)

    assert not np.shares_memory(raw, real_numbers(raw, None))


@pytest.mark.parametrize(
    ("rows", "size", "expected"),
    [(4, 4, [[0, 1, 2, 3]]), (3, 2, [[0, 1], [2, 2]]), (1, 3, [[0, 0, 0]])],
)
def test_a_batch_is_cut_and_the_last_part_filled_with_its_last_row(rows, size, expected):
    """A row of zeros might make a graph divide by zero; a real row cannot."""
    batch = np.arange(rows).reshape(rows, 1)

    assert expected == [part[:, 0].tolist() for part in parts(batch, size)]


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int8", "int32"])
def test_sample_rows_differ_and_have_what_the_input_takes(dtype):
    """Free sides are filled in, and no two rows have the same mean."""
    spec = TensorSpec(name="x", shape=(None, None, 5, 3), dtype=dtype)

    rows = sample_rows(spec, rows=3, free_side=7)

    assert (3, 7, 5, 3) == rows.shape
    assert dtype == rows.dtype.name
    means = rows.astype(np.float64).mean(axis=(1, 2, 3))
    assert 3 == len({round(mean, 2) for mean in means})
