"""The same as the gate, for threads that do nothing else: they wait for as long as it takes."""

from __future__ import annotations

import threading
from types import TracebackType

from tintype.batching.gate import never_fits


class Room:
    """Lets threads in while their bytes sum to at most ``capacity``, one after the other."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held = 0
        self._turn = threading.Lock()
        self._left = threading.Condition(threading.Lock())

    def hold(self, size: int) -> Share:
        """Hold ``size`` bytes inside ``with``. Raises ImageTooLarge if they never can fit."""
        if size > self._capacity:
            raise never_fits(size, capacity=self._capacity)
        return Share(self, size)

    def _enter(self, size: int) -> None:
        with self._turn, self._left:  # whoever waits for much is not overtaken for ever
            while self._held + size > self._capacity:
                self._left.wait()
            self._held += size

    def _leave(self, size: int) -> None:
        with self._left:
            self._held -= size
            self._left.notify()


class Share:
    """What ``Room.hold`` gives. Entering waits until it fits."""

    __slots__ = ("_room", "_size")

    def __init__(self, room: Room, size: int) -> None:
        self._room = room
        self._size = size

    def __enter__(self) -> None:
        self._room._enter(self._size)  # noqa: SLF001 - the room's own handle

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._room._leave(self._size)  # noqa: SLF001 - the room's own handle
