"""How much memory a graph's tensors declare. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tintype.errors import ModelFileTooLarge
from tintype.types import Shape


def check_activations(tensors: Iterable[tuple[str, Shape, int]], *, limit: int) -> None:
    """Raise ModelFileTooLarge when the tensors for one picture declare more than ``limit`` bytes.

    ``tensors``: name, shape and bytes an element. The first axis of a shape is taken as the batch
    only where it is free; every free axis counts as 1, so the sum is a lower bound.
    """
    total = 0
    for name, shape, size in tensors:
        total += size * math.prod(1 if side is None else side for side in shape)
        if total > limit:
            raise ModelFileTooLarge(
                f"the graph declares tensors of more than {limit} bytes for one picture "
                f"(the sum passes it at {name!r}, shape {shape}); expected at most that",
                hint="the setting engine.max_activation_bytes moves the limit",
                limit=limit,
            )
