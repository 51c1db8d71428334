"""Pieces are worked on side by side and given back in order."""

from __future__ import annotations

import threading

import pytest

from tintype.bulk.items import Item, failing, in_pieces
from tintype.bulk.reading import READERS
from tintype.bulk.road import in_order
from tintype.errors import ImageCorrupt


def items(count: int) -> list[Item]:
    return [Item(name=str(at), size=1, read=str(at).encode) for at in range(count)]


def test_answers_come_in_the_order_of_the_listing():
    """Whichever is ready first: here the first piece waits for a later one."""
    later = threading.Event()

    def work(piece, images):
        if piece.first == 0:
            later.wait(10)
        if piece.first == 32:
            later.set()
        return [data.decode() for data in images]

    found = [
        name for _, names in in_order(in_pieces(items(200)), work, threads=3) for name in names
    ]
    assert [str(at) for at in range(200)] == found


def test_what_cannot_be_read_is_handed_on_as_an_error():
    """For whoever answers to tell."""
    broken = failing("b", ImageCorrupt("torn"))
    listed = in_pieces([*items(1), broken])
    ((_, images),) = in_order(listed, lambda _, images: images, threads=1)
    assert [b"0", "torn"] == [images[0], str(images[1])]


def test_the_listing_runs_ahead_by_a_bounded_number_of_pieces():
    """However slow the work is, and however long the listing."""
    listed, gate = 0, threading.Event()

    def listing():
        nonlocal listed
        for item in items(10_000):
            listed += 1
            yield item

    def work(_, images):
        gate.wait(10)
        return len(images)

    road = in_order(in_pieces(listing()), work, threads=2)
    threading.Timer(0, gate.set).start()
    next(road)
    road.close()
    assert listed <= 16 * (READERS + 2 * 2 + 1 + 5)  # the last five are held back to be cut


@pytest.mark.parametrize("where", ["reading", "work", "listing"])
def test_a_fault_ends_it(where):
    """A store that is away, a model that is away, a fault of ours: nothing is made up for it."""

    def read() -> bytes:
        raise OSError("away")

    def listing():
        yield from items(20)
        if where == "reading":
            yield Item(name="x", size=1, read=read)
        if where == "listing":
            read()

    def work(_, images):
        return read() if where == "work" else images

    with pytest.raises(OSError, match="away"):
        list(in_order(in_pieces(listing()), work, threads=2))


def test_whoever_stops_listening_stops_the_work():
    """Threads are gone when it is closed."""
    road = in_order(in_pieces(items(1000)), lambda _, images: images, threads=2)
    next(road)
    road.close()
    assert [] == [
        thread.name for thread in threading.enumerate() if thread.name.startswith("answering")
    ]
