"""The sum of what a graph's tensors declare."""

from __future__ import annotations

import pytest

from tintype.engines.memory import check_activations
from tintype.errors import ModelFileTooLarge


def test_the_sum_counts_and_free_axes_count_as_one():
    """4 x 10 x 10 bytes twice: 800 pass, 799 do not."""
    tensors = [("a", (None, 10, 10), 4), ("b", (1, 10, 10), 4)]

    check_activations(tensors, limit=800)
    with pytest.raises(ModelFileTooLarge, match="'b'") as refusal:
        check_activations(tensors, limit=799)

    assert {"limit": 799} == refusal.value.facts
    assert "max_activation_bytes" in str(refusal.value.hint)


def test_lengths_beyond_any_integer_are_no_trouble():
    """A file may declare what it likes."""
    with pytest.raises(ModelFileTooLarge):
        check_activations([("a", (2**62, 2**62), 4)], limit=8 << 30)
