"""Who may run where: the two layouts of a measurement on one machine.

``pinned``: the server, and the bare loop beside it, on the first core alone; the load generator on
the last one. Nobody takes processor time from anybody, which makes ratios steady. ``shared``: all
cores for everybody, as a server is used; what the generator takes, the server lacks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

_ALLOWED: Final = sorted(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Cores of the server (and of the bare loop), and of the generator; empty means all."""

    name: str
    server: tuple[int, ...] = ()
    generator: tuple[int, ...] = ()


PINNED: Final = Layout(name="pinned", server=(_ALLOWED[0],), generator=(_ALLOWED[-1],))
SHARED: Final = Layout(name="shared")
LAYOUTS: Final = {each.name: each for each in (PINNED, SHARED)}


def on(cores: tuple[int, ...], words: list[str]) -> list[str]:
    """The command, kept to those cores."""
    return ["taskset", "-c", ",".join(map(str, cores)), *words] if cores else words
