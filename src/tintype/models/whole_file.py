"""Files written whole: no reader ever meets half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tintype.errors import ModelFileError


def write_whole(out: Path, content: bytes, *, check: Callable[[], None] = lambda: None) -> None:
    """Write beside ``out`` first, then move it there; ``check`` may refuse that at the last moment.

    Raises ModelFileError where it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.chmod(_mode_of(out))
            check()
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ModelFileError(f"{out} cannot be written: {error.strerror or error}") from error


def _mode_of(out: Path) -> int:
    """The permissions of the file that is written over, else those of a new one."""
    if out.exists():
        return out.stat().st_mode & 0o777
    mask = os.umask(0o077)  # the process's own mask can only be read by setting it
    os.umask(mask)
    return 0o666 & ~mask
