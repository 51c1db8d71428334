"""Where kept pictures lie: a folder, or a bucket. Names are made of hashes of what was sent."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, Protocol

from tintype.errors import SettingsError
from tintype.record.policy import PicturePolicy

_NAME: Final = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}\.[a-z]{3,4}")
_ENDINGS: Final = {"jpeg": "jpg", "mpo": "jpg"}


class PicturePlace(Protocol):
    """Puts, gets and deletes whole files by name. Raises OSError."""

    def put(self, name: str, data: bytes) -> None:
        """Write a file; one of that name is replaced as a whole."""
        ...

    def get(self, name: str) -> bytes:
        """Read a file."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file; one that is not there is no error."""
        ...


def picture_name(sha256: str, kind: str) -> str:
    """The name of a picture, by the hash of what was sent and its format."""
    return f"{sha256[:2]}/{sha256}.{_ENDINGS.get(kind, kind)}"


def picture_place(policy: PicturePolicy, *, state: Path) -> PicturePlace:
    """The place of kept pictures, as set. Raises SettingsError for an address that is none."""
    if policy.place.startswith("s3://"):
        # Few keep pictures in a bucket, and its client is an extra.
        from tintype.record.picture_bucket import bucket  # noqa: PLC0415 - see above

        return bucket(policy.place, endpoint=policy.endpoint)
    if "://" in policy.place:
        raise SettingsError(
            "pictures.place is no place for pictures",
            hint="a folder, s3://BUCKET/PREFIX, or empty for the state folder",
        )
    return PictureFolder(Path(policy.place) if policy.place else state / "pictures")


class PictureFolder:
    """Files in a folder, spread over 256 folders in it; for their owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, data: bytes) -> None:
        """Written beside its place and moved there: nobody ever reads half of it."""
        path = self._path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_suffix(".part")
        try:
            with open(beside, "wb", opener=_private) as file:
                file.write(data)
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise

    def get(self, name: str) -> bytes:
        """Read a file."""
        return self._path(name).read_bytes()

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise FileNotFoundError(f"{name!r} is no name of a kept picture")
        return self._folder / name


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
