"""A private folder for the processes of one family, as long as they live."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tintype.errors import SettingsError

_LONGEST: Final = 60
"""Sockets lie in it, and their paths may have 103 bytes (unix(7); 107 on Linux)."""
_SHORT: Final = Path("/tmp")  # noqa: S108 - a private folder is made in it


@contextmanager
def family_folder() -> Iterator[Path]:
    """Make it, for its user alone (0700), and remove it at the end. Raises SettingsError.

    It is locked all the while: systemd's cleaning of temporary files passes over what is
    (tmpfiles.d(5)).
    """
    place = Path(tempfile.gettempdir())
    if len(os.fsencode(place)) > _LONGEST and _SHORT.is_dir():
        place = _SHORT
    try:
        folder = Path(tempfile.mkdtemp(prefix="tintype-", dir=place))
    except OSError as error:
        raise SettingsError(
            f"the processes need a folder in {place}, and it cannot be made: {error.strerror}",
            hint="the variable TMPDIR names another place; --processes 1 needs none",
        ) from error
    try:
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield folder
        finally:
            os.close(lock)
    finally:
        remove(folder)


def remove(folder: Path) -> None:
    """Remove it with all that is in it, as far as that can be done."""
    shutil.rmtree(folder, ignore_errors=True)
