"""Batches of a size the graph was compiled for, and single pictures for what is left of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tintype.engines.pooled import Runner
from tintype.engines.tensors import Raw
from tintype.types import Tensor


class Several:
    """A ``Runner`` of any number of rows, made of one for single rows and one for ``size`` rows."""

    def __init__(self, one: Runner, many: Runner, *, size: int) -> None:
        self._one = one
        self._many = many
        self._size = size

    def run(self, batch: Tensor) -> Sequence[Raw]:
        """Run as many whole parts as there are, then what is left one by one."""
        rows = batch.shape[0]
        whole = rows - rows % self._size
        parts = [
            (self._many, batch[start : start + self._size]) for start in range(0, whole, self._size)
        ] + [(self._one, batch[row : row + 1]) for row in range(whole, rows)]
        if len(parts) == 1:
            runner, part = parts[0]
            return runner.run(part)
        # copied: a runner's arrays last until its next run
        done = [[np.array(raw) for raw in runner.run(part)] for runner, part in parts]
        return [np.concatenate(pieces) for pieces in zip(*done, strict=True)]
