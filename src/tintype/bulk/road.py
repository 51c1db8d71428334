"""Pieces of a listing are read, worked on and given back in order, by threads.

What is read ahead and not given back yet is bounded by pieces, and a piece by bytes.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeAlias, TypeVar

from tintype.bulk.items import Item, Piece, in_pieces
from tintype.bulk.job import Road
from tintype.bulk.reading import READERS, Images, Reading
from tintype.bulk.rows import Done
from tintype.predict import Given

T = TypeVar("T")
Work: TypeAlias = Callable[[Piece, Sequence[Given]], T]
"""What is done with a piece and the bytes of its pictures, in some thread."""

_SWITCH_SECONDS: Final = 0.0002
"""Whoever lists or reads asks the system about each file, and waits for Python's lock afterwards.
At Python's own 5 ms a turn the listing would be slower than the engine."""


def in_order(pieces: Iterable[Piece], work: Work[T], *, threads: int) -> Generator[tuple[Piece, T]]:
    """Each piece with what ``work`` made of it, in the order of ``pieces``.

    ``threads`` work side by side. What ``work`` or the listing raises ends it; pieces that are at
    work are waited for, the others are dropped.
    """
    ahead = READERS + 2 * threads
    waiting: deque[tuple[Piece, Future[T]]] = deque()
    switch = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    reading = Reading()
    workers = ThreadPoolExecutor(threads, "answering")
    try:
        for piece in pieces:
            images = reading.images(piece)
            waiting.append((piece, workers.submit(_then, work, piece, images)))
            if len(waiting) > ahead:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
    finally:
        sys.setswitchinterval(switch)
        reading.close()
        workers.shutdown(cancel_futures=True)


def local_road(asker: Work[Done], *, threads: int) -> Road:
    """Answers on this machine."""

    def road(items: Iterator[Item], first: int) -> Generator[Done]:
        for _, done in in_order(in_pieces(items, first=first), asker, threads=threads):
            yield done

    return road


def _then(work: Work[T], piece: Piece, images: Images) -> T:
    return work(piece, images())
