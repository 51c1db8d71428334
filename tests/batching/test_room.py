"""Threads wait for the memory that pictures need."""

from __future__ import annotations

import threading

import pytest

from tintype.batching.room import Room
from tintype.errors import ImageTooLarge


def test_what_fits_goes_side_by_side_and_the_rest_waits():
    """Until somebody leaves."""
    room, inside, leave = Room(10), threading.Event(), threading.Event()
    with room.hold(4), room.hold(6):

        def late() -> None:
            with room.hold(5):
                inside.set()
                leave.wait(10)

        thread = threading.Thread(target=late)
        thread.start()
        assert not inside.wait(0.05)
    assert inside.wait(10)
    leave.set()
    thread.join()
    with room.hold(10):
        pass


def test_a_large_one_is_not_overtaken_for_ever():
    """Whoever comes after it waits behind it."""
    room, order, leave = Room(10), [], threading.Event()
    first = room.hold(5)
    first.__enter__()

    def hold(size: int) -> None:
        with room.hold(size):
            order.append(size)

    large = threading.Thread(target=hold, args=(10,))
    large.start()
    while not room._turn.locked():
        leave.wait(0.001)
    small = threading.Thread(target=hold, args=(1,))
    small.start()
    first.__exit__(None, None, None)
    large.join(10)
    small.join(10)
    assert [10, 1] == order


def test_what_never_fits_is_told_at_once():
    """With the setting that moves the limit."""
    with pytest.raises(ImageTooLarge) as told, Room(10).hold(11):
        pass
    assert "memory.pictures_mib" in told.value.hint


def test_an_error_inside_gives_the_room_back():
    """A broken picture holds nothing."""
    room = Room(10)
    with pytest.raises(ZeroDivisionError), room.hold(10):
        raise ZeroDivisionError
    with room.hold(10):
        pass
