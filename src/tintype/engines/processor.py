"""What processor this is, as far as engines care.

Linux tells it in ``/proc/cpuinfo`` (proc(5)): ``model name`` and ``flags`` on x86, ``Features``
on ARM.
"""

from __future__ import annotations

import functools
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tintype.cores import usable_cores

_CPUINFO: Final = Path("/proc/cpuinfo")
_BF16: Final = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """Its name, the cores this process may use, and its flags; None where they are not told."""

    name: str
    cores: int
    flags: frozenset[str] | None = None

    @property
    def words(self) -> str:
        """For people: ``AMD EPYC, 2 cores``."""
        return f"{self.name}, {self.cores} core{'' if self.cores == 1 else 's'}"

    @property
    def has_bf16(self) -> bool:
        """Whether it computes in bfloat16 itself; believed where its flags are not told."""
        return self.flags is None or bool(self.flags & _BF16)


@functools.cache
def processor() -> Processor:
    """This machine's."""
    try:
        return told_by(_CPUINFO.read_text("ascii", "replace"), cores=usable_cores())
    except OSError:
        return told_by("", cores=usable_cores())


def told_by(cpuinfo: str, *, cores: int) -> Processor:
    """The processor of a ``/proc/cpuinfo``; of an empty one, what Python knows."""
    told: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            told.setdefault(key.strip().lower(), value.strip())
    flags = told.get("flags") or told.get("features")
    name = told.get("model name") or platform.processor() or platform.machine() or "unknown"
    return Processor(
        name=name, cores=cores, flags=None if flags is None else frozenset(flags.split())
    )
