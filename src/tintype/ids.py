"""Ids for requests and predictions: in the order of time, and not to be guessed.

UUIDs of version 7 (RFC 9562, section 5.7) as 32 hex digits. A record of a million predictions takes
a row whose key is larger than all others at half the price of one that belongs anywhere.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import Final

_DIGITS: Final = 19
"""Random ones of an id, of which one holds two bits and says the variant."""
_AT_ONCE: Final = 256
_NS_A_MS: Final = 1_000_000
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}

_ready: deque[str] = deque()


def new_id() -> str:
    """Milliseconds since 1970, then 74 random bits: who knows one was told it.

    The random bits of many are made at once, because Python gives its lock away around the system
    call, and gets it back when another thread is done with it. May be called from any thread.
    """
    while True:
        try:
            return f"{time.time_ns() // _NS_A_MS:012x}7{_ready.popleft()}"
        except IndexError:
            text = os.urandom(_DIGITS * _AT_ONCE // 2).hex()
            each = [text[at : at + _DIGITS] for at in range(0, len(text), _DIGITS)]
            _ready.extend([one[:3] + _VARIANT[one[3]] + one[4:] for one in each])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ready.clear)
