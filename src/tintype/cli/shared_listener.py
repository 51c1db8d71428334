"""One address, several processes: each takes the connections that others have more of.

All of them listen on one socket, so that what waits there is lost with none of them. Who is woken
first would else take most: an idle process takes what comes while a busy one looks away, and
keep-alive connections stay where they are.
"""

from __future__ import annotations

import asyncio
import errno
import mmap
import socket
from collections.abc import Callable
from typing import Final

_NUMBER_BYTES: Final = 8
_ABSENT: Final = -1
_STAND_BACK_SECONDS: Final = 0.002
_LONGEST_STAND_BACK: Final = 0.01
_FULL_SECONDS: Final = 0.5
_FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def stand_back_seconds(more: int) -> float:
    """How long a process lets others come first that has so many connections more."""
    return min(more * _STAND_BACK_SECONDS, _LONGEST_STAND_BACK)


class Seats:
    """How many connections each of ``of`` processes has, in memory that all of them share.

    Make it before they are forked. A number is written by its process alone, and by the one that
    forked it when it has ended.
    """

    def __init__(self, of: int) -> None:
        self._taken = memoryview(mmap.mmap(-1, of * _NUMBER_BYTES)).cast("q")
        for number in range(of):
            self.leave(number)

    def take(self, number: int, count: int) -> None:
        """The process has ``count`` connections."""
        self._taken[number] = count

    def leave(self, number: int) -> None:
        """The process takes no connections."""
        self._taken[number] = _ABSENT

    def taken(self, number: int) -> int | None:
        """How many it has, None where it takes none."""
        count = self._taken[number]
        return None if count == _ABSENT else count

    def fewest(self) -> int:
        """The fewest that any process has that takes connections; 0 where there is none."""
        return min((count for count in self._taken if count != _ABSENT), default=0)


class SharedListener:
    """Takes connections from ``listener``, unless another process has fewer.

    Then it stands back for a moment, and takes what is still there: the other is busy, or stopped.
    In place of ``asyncio.Server`` for uvicorn, which closes it. Belongs to one loop.
    """

    def __init__(self, listener: socket.socket, *, seats: Seats, number: int) -> None:
        self._listener = listener
        self._seats = seats
        self._number = number
        self._taken = 0
        self._make: Callable[[], asyncio.Protocol] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None

    def open(self, make: Callable[[], asyncio.Protocol]) -> None:
        """Take connections from now on, each for a protocol of its own."""
        self._make = make
        self._listener.setblocking(False)  # noqa: FBT003 - as sockets want it
        self._seats.take(self._number, self._taken)
        self._watch()

    def gone(self) -> None:
        """A connection has ended."""
        self._taken -= 1
        if self._make is not None:
            self._seats.take(self._number, self._taken)

    def close(self) -> None:
        """Take no more."""
        if self._make is None:
            return
        self._make = None
        self._seats.leave(self._number)
        if self._again is None:
            asyncio.get_running_loop().remove_reader(self._listener)
        else:
            self._again.cancel()

    async def wait_closed(self) -> None:
        """Nothing is left to wait for: uvicorn has seen to the connections."""

    def _watch(self) -> None:
        self._again = None
        asyncio.get_running_loop().add_reader(self._listener, self._knocked)

    def _rest(self, seconds: float, then: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        self._again = loop.call_later(seconds, then)

    def _knocked(self) -> None:
        more = self._taken - self._seats.fewest()
        if more > 0:
            self._rest(stand_back_seconds(more), self._take_and_watch)
        else:
            self._take()

    def _take_and_watch(self) -> None:
        self._watch()
        self._take()

    def _take(self) -> None:
        """Take one: the loop comes back for the next, and others have had their turn then."""
        try:
            connection, _ = self._listener.accept()
        except OSError as error:  # another was quicker; or no file may be opened any more
            if error.errno in _FULL:
                self._rest(_FULL_SECONDS, self._watch)
            return
        connection.setblocking(False)  # noqa: FBT003 - as sockets want it
        self._taken += 1
        self._seats.take(self._number, self._taken)
        task = asyncio.get_running_loop().create_task(self._seat(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _seat(self, connection: socket.socket) -> None:
        make = self._make
        try:
            if make is None:  # closed meanwhile
                raise ConnectionAbortedError
            await asyncio.get_running_loop().connect_accepted_socket(make, connection)
        except OSError:  # it has gone already
            connection.close()
            self.gone()
