"""The hash of a model file, or of a folder of files, by content."""

from __future__ import annotations

import hashlib
from pathlib import Path


def content_sha256(path: Path) -> str:
    """The SHA-256 of a file; of a folder, that of its files' names and hashes in order.

    Empty where it cannot be read: the file may have gone since it was loaded.
    """
    try:
        if not path.is_dir():
            return _file(path)
        whole = hashlib.sha256()
        for each in sorted(child for child in path.rglob("*") if child.is_file()):
            name = each.relative_to(path).as_posix()
            whole.update(f"{_file(each)}  {name}\n".encode("utf-8", "surrogateescape"))
        return whole.hexdigest()
    except OSError:
        return ""


def _file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
