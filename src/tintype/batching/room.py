"""The same as the gate, for threads that do nothing else: they wait for as long as it takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tintype.batching.gate import never_fits


class Room:
    """Lets threads in while their bytes sum to at most ``capacity``, one after the other."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held = 0
        self._turn = threading.Lock()
        self._left = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Wait until ``size`` bytes fit, and hold them. Raises ImageTooLarge if they never can."""
        if size > self._capacity:
            raise never_fits(size, capacity=self._capacity)
        with self._turn, self._left:  # whoever waits for much is not overtaken for ever
            self._left.wait_for(lambda: self._held + size <= self._capacity)
            self._held += size
        try:
            yield
        finally:
            with self._left:
                self._held -= size
                self._left.notify()
