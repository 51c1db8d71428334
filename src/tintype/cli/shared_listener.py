"""One address, several processes: each takes the connections that others have more of.

All of them listen on one socket, so that what waits there is lost with none of them. Who is woken
first would else take most: an idle process takes what comes while a busy one looks away, and
keep-alive connections stay where they are.
"""

from __future__ import annotations

import asyncio
import errno
import mmap
import select
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tintype.cli.connection import Connection

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

    Then it lets the other one come first for a moment, and takes what is still there: the other is
    busy, or stopped. Meanwhile it looks at whatever comes anew. Where the system cannot say that
    something came anew (epoll(7), edge-triggered), whoever is first takes it.

    In place of ``asyncio.Server`` for uvicorn, which closes it. Belongs to one loop.
    """

    def __init__(self, listener: socket.socket, *, seats: Seats, number: int) -> None:
        self._listener = listener
        self._seats = seats
        self._number = number
        self._taken = 0
        self._make: Callable[[], Connection] | None = None
        self._news: select.epoll | None = None
        self._later: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, make: Callable[[], Connection]) -> None:
        """Take connections from now on, each for a protocol of its own."""
        self._make = make
        self._listener.setblocking(False)  # noqa: FBT003 - as sockets want it
        self._seats.take(self._number, self._taken)
        if hasattr(select, "epoll"):
            self._news = select.epoll()
            self._news.register(self._listener, select.EPOLLIN | select.EPOLLET)
        asyncio.get_running_loop().add_reader(self._watched(), self._come)

    def gone(self) -> None:
        """A connection has ended."""
        self._taken -= 1
        if self._make is None:
            return
        self._seats.take(self._number, self._taken)
        if self._later is not None:
            self._look()

    def close(self) -> None:
        """Take no more."""
        if self._make is None:
            return
        self._make = None
        self._seats.leave(self._number)
        self._wait_no_more()
        asyncio.get_running_loop().remove_reader(self._watched())
        if self._news is not None:
            self._news.close()

    async def wait_closed(self) -> None:
        """Nothing is left to wait for: uvicorn has seen to the connections."""

    def _watched(self) -> int:
        return self._listener.fileno() if self._news is None else self._news.fileno()

    def _come(self) -> None:
        """Something came, or many at once."""
        if self._news is None:
            self._take()
            return
        self._news.poll(0)  # it is told once
        self._look()

    def _look(self) -> None:
        """Take one, if it is this one's turn."""
        if self._make is None:
            return
        more = self._taken - self._seats.fewest()
        if more <= 0:
            self._wait_no_more()
            self._take_and_look()
        elif self._later is None:
            self._wait(stand_back_seconds(more))

    def _wait(self, seconds: float) -> None:
        self._later = asyncio.get_running_loop().call_later(seconds, self._waited)

    def _waited(self) -> None:
        self._later = None
        self._take_and_look()

    def _wait_no_more(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _take_and_look(self) -> None:
        """Take one, and look for the next in another turn of the loop: others have theirs first."""
        if self._take():
            asyncio.get_running_loop().call_soon(self._look)

    def _take(self) -> bool:
        """Take one; tell whether there was one."""
        make = self._make
        if make is None:
            return False
        try:
            connection, _ = self._listener.accept()
        except OSError as error:  # another was quicker; or no file may be opened any more
            if error.errno in _FULL and self._later is None:
                self._wait(_FULL_SECONDS)
            return False
        connection.setblocking(False)  # noqa: FBT003 - as sockets want it
        self._taken += 1
        self._seats.take(self._number, self._taken)
        task = asyncio.get_running_loop().create_task(self._seat(connection, make))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _seat(self, connection: socket.socket, make: Callable[[], Connection]) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, protocol = await loop.connect_accepted_socket(make, connection)
        except OSError:  # it has gone already
            connection.close()
            self.gone()
            return
        if self._make is None:  # closed meanwhile: whoever told all to leave did not know this one
            protocol.shutdown()
