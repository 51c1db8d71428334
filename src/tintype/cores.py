"""How many processors this process may use."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final


@dataclass(frozen=True, slots=True)
class Groups:
    """Where Linux tells which control group this process is in, and what each may use (cgroups(7)).

    ``mine``: a line ``0::/system.slice/tintype.service`` names it, as this process may see it: in
    a container, the container is ``/``. ``root``: a folder a group, each with a ``cpu.max`` where
    something may bound it: microseconds of processor time in each period, or ``max``.
    """

    mine: Path = Path("/proc/self/cgroup")
    root: Path = Path("/sys/fs/cgroup")

    def quotas(self) -> list[float]:
        """Processors that each group from its own up to the root may use, where it is bound."""
        return [quota for folder in self._folders() if (quota := _quota(folder / "cpu.max"))]

    def _folders(self) -> list[Path]:
        with suppress(OSError, ValueError):
            for line in self.mine.read_text().splitlines():
                if line.startswith("0::/"):
                    group = PurePosixPath(line.removeprefix("0::/"))
                    return [self.root / folder for folder in (group, *group.parents)]
        return [self.root]


@dataclass(slots=True)
class _Share:
    """Which of ``of`` processes that share the processors this one is, counted from 0."""

    number: int = 0
    of: int = 1


_GROUPS: Final = Groups()
_SHARE: Final = _Share()
"""A fact of this process, as its affinity is: nobody below could be handed it everywhere."""


def share_cores(number: int, of: int) -> None:
    """From now on this process counts only its share of what there is for ``of`` of them."""
    _SHARE.number, _SHARE.of = number, of


def share_of(total: int, *, number: int, of: int) -> int:
    """The part of one of ``of``: whole processors, what is left over to the first; 1 or more."""
    return max(1, total // of + (number < total % of))


def usable_cores(groups: Groups = _GROUPS) -> int:
    """The processors it is bound to, or those its groups may use, whichever are fewer; 1 or more.

    A container or service with two processors of a machine of sixty-four sees all of them; more
    threads than it may use only wait for each other. One of several processes has its share.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    total = max(1, min(bound or 1, _quota_of(groups) or bound or 1))
    return share_of(total, number=_SHARE.number, of=_SHARE.of)


def quota_cores(groups: Groups = _GROUPS) -> int | None:
    """The processors that a container, a service or one of several processes may use.

    None where nothing says so: a library may then look them up itself.
    """
    return _quota_of(groups) if _SHARE.of == 1 else usable_cores(groups)


def _quota_of(groups: Groups) -> int | None:
    return min((math.ceil(quota) for quota in groups.quotas()), default=None)


def _quota(told: Path) -> float | None:
    try:
        most, period = map(int, told.read_text().split())
        return most / period if most > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
