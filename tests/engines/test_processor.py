"""What is made of /proc/cpuinfo."""

from __future__ import annotations

import pytest

from tintype.engines.processor import processor, told_by

X86 = """processor\t: 0
model name\t: Testium 9000 @ 2.00GHz
flags\t\t: fpu avx2 amx_bf16

processor\t: 1
model name\t: Testium 9000 @ 2.00GHz
flags\t\t: fpu
"""


def test_x86():
    """Name and flags of the first core."""
    told = told_by(X86, cores=2)
    assert "Testium 9000 @ 2.00GHz, 2 cores" == told.words
    assert told.has_bf16


@pytest.mark.parametrize(
    ("cpuinfo", "bf16"),
    [
        ("flags\t: fpu avx2 avx512f", False),
        ("flags\t: fpu avx512_bf16", True),
        ("Features\t: fp asimd bf16", True),
        ("", True),
    ],
)
def test_bf16_by_the_flags(cpuinfo: str, bf16):
    """Where none are told, the engine will say."""
    assert bf16 is told_by(cpuinfo, cores=1).has_bf16


def test_a_system_that_tells_nothing_has_a_name():
    """And one core is one core."""
    told = told_by("", cores=1)
    assert told.name
    assert told.words.endswith(", 1 core")


def test_this_machine():
    """It has a core at least."""
    assert processor().cores >= 1
