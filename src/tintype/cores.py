"""How many processors this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Final

_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota: Path = _QUOTA) -> int:
    """The processors it is bound to, or those a container may use, whichever are fewer; 1 or more.

    A container with two processors of a machine of sixty-four sees all of them; more threads than
    it may use only wait for each other. ``quota``: Linux' ``cpu.max`` (cgroup v2), microseconds
    of processor time in each period, or ``max``.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(bound or 1, quota_cores(quota) or bound or 1))


def quota_cores(quota: Path = _QUOTA) -> int | None:
    """The processors a container may use, None where nothing says so."""
    try:
        most, period = map(int, quota.read_text().split())
        return math.ceil(most / period) if most > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
