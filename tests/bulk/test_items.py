"""Listings are cut into pieces while they stream."""

from __future__ import annotations

import itertools

import pytest

from tintype.bulk.items import Item, failing, in_pieces
from tintype.errors import ImageCorrupt


def item(name: str, size: int = 10) -> Item:
    return Item(name=name, size=size, read=name.encode)


def test_pieces_hold_every_item_once_in_order():
    """Whatever the number; each piece knows the place of its first."""
    pieces = [*in_pieces((item(str(number)) for number in range(100)), first=7)]
    assert [str(number) for number in range(100)] == [
        each.name for piece in pieces for each in piece.items
    ]
    assert [7, 23] == [piece.first for piece in pieces[:2]]


def test_large_items_make_small_pieces():
    """A piece is bounded by bytes."""
    pieces = [*in_pieces([item("a", 3 << 20), item("b", 3 << 20), item("c", 3 << 20)])]
    assert [2, 1] == [len(piece.items) for piece in pieces]


def test_a_listing_without_end_is_never_held():
    """The first piece comes when five are listed: the end, if it comes, is to be cut small."""
    listed = (item(str(number)) for number in itertools.count())
    assert 0 == next(in_pieces(listed)).first
    assert "80" == next(listed).name


def test_large_items_are_not_held_back():
    """Members of an archive bring their bytes."""
    listed = (item(str(number), 3 << 20) for number in itertools.count())
    assert 0 == next(in_pieces(listed)).first
    assert "4" == next(listed).name


def test_the_end_is_cut_small():
    """So that none who work on pieces wait long for the last."""
    sizes = [len(piece.items) for piece in in_pieces(item(str(number)) for number in range(200))]
    assert [16] * 9 == sizes[:9]
    assert [4] * 14 == sizes[9:]


def test_an_identity_is_name_and_size():
    """Both are in it, and neither can be taken for the other."""
    names = {item("a").identity, item("b").identity, item("a", 11).identity, item("a1", 0).identity}
    assert 4 == len(names)


def test_a_failing_item_tells_why():
    """When it is read, in whatever thread."""
    with pytest.raises(ImageCorrupt, match="torn"):
        failing("a", ImageCorrupt("torn")).read()
