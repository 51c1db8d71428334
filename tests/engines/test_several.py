"""Batches of a fixed size and single pictures for what is left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tintype.engines.several import Several


class Doubler:
    """A runner that overwrites its arrays with every run, as libraries do."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._out = np.zeros((size, 2), np.float32)
        self.runs = 0

    def run(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        """Twice the rows."""
        assert self._size == batch.shape[0]
        self.runs += 1
        self._out[:] = 2 * batch
        return [self._out, self._out[:, :1]]


@pytest.mark.parametrize(
    ("rows", "many", "one"), [(1, 0, 1), (3, 0, 3), (4, 1, 0), (9, 2, 1), (11, 2, 3)]
)
def test_whole_parts_go_together_and_the_rest_alone(rows: int, many: int, one: int):
    """In order, whatever the number, every output."""
    alone, together = Doubler(1), Doubler(4)
    batch = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)
    first, second = Several(alone, together, size=4).run(batch)
    np.testing.assert_array_equal(2 * batch, first)
    np.testing.assert_array_equal(2 * batch[:, :1], second)
    assert (many, one) == (together.runs, alone.runs)
