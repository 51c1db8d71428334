"""Memory that loading a model freed goes back to the system."""

from __future__ import annotations

import ctypes
import gc
import sys


def give_back_memory() -> None:
    """Hand freed memory back, where the C library is one that keeps it (glibc).

    Reading and compiling a model frees several times its size, in pieces that glibc holds on to:
    for MobileNetV2 a fifth of the process. See ``malloc_trim(3)``. Elsewhere nothing happens.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
