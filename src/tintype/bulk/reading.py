"""Pictures are read where they are worked on, or ahead of that where reading takes long.

Reading ahead keeps slow disks and stores from holding up the work. Of files that the system has in
memory it would cost more than it gains: one thread more that takes turns with the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeAlias

from tintype.bulk.items import Piece
from tintype.errors import TintypeError
from tintype.predict import Given

Images: TypeAlias = Callable[[], list[Given]]
"""The bytes of a piece's pictures, for whoever works on them."""

READERS: Final = 16
_SLOW_SECONDS: Final = 0.001
"""A picture. In memory it takes 0.02 ms, with many threads taking turns some tenths."""
_MEMORY: Final = 8


class Reading:
    """Reads pieces, ahead of the work until it has shown to be quick. Close it in the end."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._readers = ThreadPoolExecutor(READERS, "reading")
        self._seconds = 2 * _SLOW_SECONDS

    @property
    def is_slow(self) -> bool:
        """Whether the pictures read lately took long, each on the average."""
        return self._seconds > _SLOW_SECONDS

    def images(self, piece: Piece) -> Images:
        """Begin to read ``piece``, or leave it to who asks for the bytes.

        A picture that cannot be got is the error that says so. Raises OSError to who asks where a
        store is away.
        """
        if self.is_slow:
            return self._readers.submit(self._read, piece).result
        return partial(self._read, piece)

    def close(self) -> None:
        """End what is being read; what has not begun is dropped."""
        self._readers.shutdown(cancel_futures=True)

    def _read(self, piece: Piece) -> list[Given]:
        begun = self._clock()
        found: list[Given] = []
        for item in piece.items:
            try:
                found.append(item.read())
            except TintypeError as error:
                found.append(error)
        each = (self._clock() - begun) / len(piece.items)
        self._seconds += (each - self._seconds) / _MEMORY  # between threads one may be lost
        return found
