"""Several processes take connections of one socket; here they are of one loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from tintype.cli.shared_listener import Seats, SharedListener, stand_back_seconds


class Guest(asyncio.Protocol):
    """A connection that tells when it has ended, as those of the server do."""

    def __init__(self, host: SharedListener, arrived: asyncio.Queue[Guest]) -> None:
        self.host = host
        self.arrived = arrived
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is here."""
        self.transport = transport
        self.arrived.put_nowait(self)

    def connection_lost(self, _: Exception | None) -> None:
        """It has gone."""
        self.host.gone()
        self.gone.set()


class Hosts:
    """Three that share a socket; each makes guests of what it takes."""

    def __init__(self, listener: socket.socket) -> None:
        self.address = listener.getsockname()
        self.seats = Seats(3)
        # a file of its own for each: they are in one loop here
        self.listeners = [listener.dup() for _ in range(3)]
        self.each = [
            SharedListener(each, seats=self.seats, number=number)
            for number, each in enumerate(self.listeners)
        ]
        self.arrived: asyncio.Queue[Guest] = asyncio.Queue()
        self.clients: list[socket.socket] = []

    def open(self, *numbers: int) -> None:
        """Have these take connections."""
        for number in numbers:
            host = self.each[number]
            host.open(lambda host=host: Guest(host, self.arrived))

    async def come(self, count: int) -> list[Guest]:
        """So many connect at once; their guests, once all are here."""
        self.clients += [socket.create_connection(self.address, 20) for _ in range(count)]
        async with asyncio.timeout(20):
            return [await self.arrived.get() for _ in range(count)]

    def taken(self) -> list[int | None]:
        """How many each has."""
        return [self.seats.taken(number) for number in range(3)]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
async def hosts(listener):
    hosts = Hosts(listener)
    yield hosts
    for host in hosts.each:
        host.close()
    for each in (*hosts.clients, *hosts.listeners):
        each.close()


async def test_connections_are_dealt_out_evenly(hosts):
    """Whoever has fewer takes the next; keep-alive connections stay where they are."""
    hosts.open(0, 1, 2)
    await hosts.come(9)
    assert [3, 3, 3] == hosts.taken()


async def test_one_that_comes_later_takes_what_is_new(hosts):
    """A process that was replaced has none: the next ones are for it."""
    hosts.open(0, 1)
    await hosts.come(4)
    hosts.open(2)
    await hosts.come(2)
    assert [2, 2, 2] == hosts.taken()


async def test_a_place_that_is_free_again_is_taken(hosts):
    """Connections that have ended do not count."""
    hosts.open(0, 1)
    guests = await hosts.come(4)
    for guest in guests:
        if guest.host is hosts.each[1]:
            guest.transport.abort()
            await guest.gone.wait()
    assert [2, 0, None] == hosts.taken()
    await hosts.come(2)
    assert [2, 2, None] == hosts.taken()


async def test_what_nobody_with_fewer_takes_is_taken_all_the_same(hosts):
    """The other one stands still: it has none, and takes none."""
    hosts.seats.take(1, 0)
    hosts.open(0)
    await hosts.come(3)
    assert [3, 0, None] == hosts.taken()


async def test_one_that_has_ended_is_not_waited_for(hosts):
    """The process that made it says so in its place."""
    hosts.seats.take(1, 0)
    hosts.seats.leave(1)
    assert 0 == hosts.seats.fewest()
    hosts.open(0)
    await hosts.come(2)
    assert 2 == hosts.seats.fewest()


async def test_closed_it_takes_no_more_and_those_it_has_go_on(hosts):
    """The others take what comes."""
    hosts.open(0, 1)
    first = await hosts.come(2)
    hosts.each[0].close()
    hosts.each[0].close()
    await hosts.come(2)
    assert [None, 3, None] == hosts.taken()
    assert not any(guest.transport.is_closing() for guest in first)


@pytest.mark.parametrize(("more", "seconds"), [(1, 0.002), (3, 0.006), (500, 0.01)])
def test_who_has_many_more_waits_longer_but_never_long(more, seconds):
    """The others may be busy; or they stand still, and then nobody else comes."""
    assert pytest.approx(seconds) == stand_back_seconds(more)
