"""Quick pictures are read by who works on them, slow ones ahead of that."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tintype.bulk.items import Item, Piece, failing
from tintype.bulk.reading import Reading
from tintype.errors import ImageCorrupt


class Disk:
    """Pictures that take ``seconds`` each by a clock that nothing else moves."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = 0.0
        self.readers: list[str] = []

    def read(self) -> bytes:
        """One picture, by whoever asks."""
        self.now += self.seconds
        self.readers.append(threading.current_thread().name)
        return b"a"

    def piece(self) -> Piece:
        """Four pictures."""
        return Piece(first=0, items=(Item(name="a", size=1, read=self.read),) * 4)


@pytest.fixture
def disk() -> Disk:
    """One that is quick."""
    return Disk(0.00001)


@pytest.fixture
def reading(disk: Disk) -> Iterator[Reading]:
    """By the clock of the disk."""
    made = Reading(clock=lambda: disk.now)
    yield made
    made.close()


def rounds(reading: Reading, disk: Disk, count: int = 30) -> None:
    for _ in range(count):
        reading.images(disk.piece())()


def test_at_first_pictures_are_read_ahead(reading, disk):
    """A store is slow from its first picture on."""
    assert [b"a"] * 4 == reading.images(disk.piece())()
    assert all(name.startswith("reading") for name in disk.readers)


def test_quick_pictures_are_read_where_they_are_asked_for(reading, disk):
    """And not before."""
    rounds(reading, disk)
    disk.readers.clear()
    images = reading.images(disk.piece())
    assert [] == disk.readers
    assert [b"a"] * 4 == images()
    assert [threading.current_thread().name] * 4 == disk.readers


def test_pictures_that_become_slow_are_read_ahead_again(reading, disk):
    """Where files are no longer in memory, say; nobody need ask for them."""
    rounds(reading, disk)
    disk.seconds = 0.05
    rounds(reading, disk, 1)
    assert reading.is_slow
    disk.readers.clear()
    begun = threading.Event()
    told = Piece(first=0, items=(Item(name="a", size=1, read=lambda: begun.set() or b"a"),))
    reading.images(told)
    assert begun.wait(10)


def test_what_cannot_be_read_is_handed_on_as_an_error(reading, disk):
    """Read ahead or not."""
    torn = Piece(first=0, items=(failing("a", ImageCorrupt("torn")), *disk.piece().items))
    ahead = reading.images(torn)()
    rounds(reading, disk)
    for images in (ahead, reading.images(torn)()):
        assert ["torn", *[b"a"] * 4] == [str(images[0]), *images[1:]]
