"""Freed pictures leave the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

HOLES = """
import sys
import numpy as np
if sys.argv[1] == "told":
    from tintype.cli.allocator import map_large_blocks
    map_large_blocks()
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
np.ones(30 << 20, np.uint8)  # by itself malloc now takes this for a usual size
before = resident()
kept = []
for _ in range(8):
    picture = np.ones(24 << 20, np.uint8)
    kept.append(np.ones(100 << 10, np.uint8))  # something small that stays above it
    del picture
    larger = np.ones(28 << 20, np.uint8)
    kept.append(np.ones(100 << 10, np.uint8))
    del larger
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
def test_what_pictures_took_is_given_back():
    """What stays between freed pictures does not keep their memory."""
    grown = {
        how: int(
            subprocess.run(
                [sys.executable, "-c", HOLES, how], capture_output=True, check=True
            ).stdout
        )
        for how in ("told", "untold")
    }
    assert grown["told"] < 8 << 20 < grown["untold"]
