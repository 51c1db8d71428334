"""Random ids, for requests and predictions."""

from __future__ import annotations

import os
from collections import deque
from typing import Final

_BYTES: Final = 16
_AT_ONCE: Final = 256

_ready: deque[str] = deque()


def new_id() -> str:
    """128 bits from the system's random source, as 32 hex digits: who knows one was told it.

    Many are made at once, because Python gives its lock away around the system call, and gets it
    back when another thread is done with it. May be called from any thread.
    """
    while True:
        try:
            return _ready.popleft()
        except IndexError:
            text = os.urandom(_BYTES * _AT_ONCE).hex()
            size = 2 * _BYTES
            _ready.extend(text[at : at + size] for at in range(0, len(text), size))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ready.clear)
