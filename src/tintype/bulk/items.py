"""What is asked about, one by one and in pieces. A listing is a stream: nothing holds all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tintype.errors import TintypeError

_MOST_ITEMS: Final = 16
_MOST_BYTES: Final = 4 << 20


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


def failing(name: str, error: TintypeError, *, size: int = 0) -> Item:
    """An item that tells ``error`` when it is read."""

    def read() -> bytes:
        raise error

    return Item(name=name, size=size, read=read)


def in_pieces(items: Iterable[Item], *, first: int = 0, most: int = _MOST_ITEMS) -> Iterator[Piece]:
    """Cut a listing into pieces of ``most`` items, fewer where they are large."""
    held: list[Item] = []
    size = 0
    for item in items:
        held.append(item)
        size += item.size
        if len(held) >= most or size >= _MOST_BYTES:
            yield Piece(first=first, items=tuple(held))
            first += len(held)
            held, size = [], 0
    if held:
        yield Piece(first=first, items=tuple(held))
