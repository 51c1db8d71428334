"""What is asked about, one by one and in pieces. A listing is a stream: nothing holds all of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tintype.errors import TintypeError

_MOST_ITEMS: Final = 16
_MOST_BYTES: Final = 4 << 20
_HELD_BYTES: Final = 10 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One picture to be asked about.

    ``name`` tells where it is, to people. ``size`` is what was listed, in bytes, 0 where nobody
    said. ``read`` gives the bytes, in any thread; it raises TintypeError for a picture that cannot
    be got, and OSError where its store is away. ``path``: it is a file of its own.
    """

    name: str
    size: int
    read: Callable[[], bytes]
    path: Path | None = None

    @property
    def identity(self) -> bytes:
        """What a listing must tell again for the item to be the same."""
        return f"{self.name}\0{self.size}\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Items that are worked on together; ``first`` is the place of the first in the listing."""

    first: int
    items: tuple[Item, ...]

    @property
    def size(self) -> int:
        """What its items are listed with, in bytes."""
        return sum(item.size for item in self.items)


def failing(name: str, error: TintypeError, *, size: int = 0) -> Item:
    """An item that tells ``error`` when it is read."""

    def read() -> bytes:
        raise error

    return Item(name=name, size=size, read=read)


def in_pieces(items: Iterable[Item], *, first: int = 0, most: int = _MOST_ITEMS) -> Iterator[Piece]:
    """Cut a listing into pieces of ``most`` items, fewer where they are large, and at the end.

    Towards the end pieces are small, so that all who work on them are done at about the same time.
    For that some items are held back: five pieces, or ten megabytes where they bring their bytes.
    """
    few, end = max(1, most // 4), 4 * most
    held: deque[Item] = deque()
    size = 0
    for item in items:
        held.append(item)
        size += item.size
        while len(held) >= end + most or size >= _HELD_BYTES:
            piece = _cut(held, first=first, most=most)
            yield piece
            first += len(piece.items)
            size -= piece.size
    while held:
        piece = _cut(held, first=first, most=few if len(held) <= end else most)
        yield piece
        first += len(piece.items)


def _cut(held: deque[Item], *, first: int, most: int) -> Piece:
    """The next ``most`` of those held, or fewer with as many bytes as may be read at once."""
    cut: list[Item] = []
    size = 0
    while held and len(cut) < most and size < _MOST_BYTES:
        cut.append(held.popleft())
        size += cut[-1].size
    return Piece(first=first, items=tuple(cut))
