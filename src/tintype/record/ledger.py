"""How many predictions a run has taken and settled, kept where a killed process leaves it.

Two numbers in a small file mapped into memory: counting costs no system call, and the operating
system keeps the page when the process is killed. The next start reads what was left.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_NUMBER: Final = struct.Struct("<Q")
_SIZE: Final = 2 * _NUMBER.size


class Ledger:
    """One run's numbers. ``taken`` is counted by one thread, ``settled`` by another.

    Enter it to make the file, leave it to delete it. Where no file can be made it counts for
    nobody, and nothing fails.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None
        # In a container every run is process 1: that alone would overwrite what one before left.
        self._path = folder / f"run-{os.getpid()}-{os.urandom(4).hex()}.count"
        self._page: mmap.mmap | bytearray = bytearray(_SIZE)

    def __enter__(self) -> Self:
        """Make the file, and lock it for as long as this process lives."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Under another name until it is locked: others that start now would take it for a
            # dead run's, and delete it.
            unlocked = self._path.with_suffix(".new")
            self._file = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unlocked.rename(self._path)
            # Written, not just made longer: on a full disk a page without a place would kill us.
            os.write(self._file, bytes(_SIZE))
            self._page = mmap.mmap(self._file, _SIZE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Delete the file if all is settled; else the next start will tell of the rest."""
        left = unsettled(bytes(self._page[:_SIZE]))
        if isinstance(self._page, mmap.mmap):
            self._page.close()
            self._page = bytearray(_SIZE)
        if self._file is not None:
            if left == 0:
                self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None

    def taken(self, count: int) -> None:
        """Set how many predictions were taken into the queue so far."""
        _NUMBER.pack_into(self._page, 0, count)

    def settled(self, count: int) -> None:
        """Set how many of them are written, or known to be dropped."""
        _NUMBER.pack_into(self._page, _NUMBER.size, count)

    def take_lost(self) -> int:
        """How many predictions other runs left unsettled when they ended. Tells it once."""
        lost = 0
        for path in self._folder.glob("run-*.count"):
            if path != self._path:
                lost += _take(path)
        return lost


def unsettled(page: bytes) -> int:
    """Predictions that were taken and not settled."""
    if len(page) < _SIZE:
        return 0
    taken, settled = (int(value) for (value,) in _NUMBER.iter_unpack(page[:_SIZE]))
    return max(0, taken - settled)


def _take(path: Path) -> int:
    """The rest of a run whose process has gone; 0 for one that still lives."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.fstat(file.fileno()).st_nlink:  # somebody else took it a moment ago
                return 0
            left = unsettled(file.read(_SIZE))
            path.unlink(missing_ok=True)
    except OSError:
        return 0
    return left
