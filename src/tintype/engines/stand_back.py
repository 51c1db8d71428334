"""Threads that compute stand back behind those that read and answer."""

from __future__ import annotations

import contextlib
import os
import sys
import threading


def stand_back(nice: int) -> None:
    """Give this thread, and those it starts, a lower priority. Only Linux has one a thread.

    An engine takes every core it gets. Whoever else needs one for a moment, above all the thread
    that reads and answers, would wait for its turn behind it, and hold Python's lock meanwhile.
    See setpriority(2), "C library/kernel differences". 0 changes nothing.
    """
    if nice and sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
