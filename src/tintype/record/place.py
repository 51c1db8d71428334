"""Where the record is: a SQLite file in the state folder, or an address.

What a start must look at before it is ready is done here with Python's own ``sqlite3``.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import quote

from tintype.errors import SettingsError

SCHEMA: Final = "0001"
"""The newest migration, which the tables are written for. Revisions are ordered as texts."""

FILE_NAME: Final = "record.db"

Place: TypeAlias = Path | str
"""A SQLite file, or the address of a database."""


def place_of(database: str, *, state: Path) -> Place:
    """The record's place, out of the setting ``record.database`` and the state folder."""
    return database or state / FILE_NAME


def check_place(place: Place) -> None:
    """What a start looks at before it is ready, without connecting to anything.

    Raises SettingsError for a SQLite file whose schema is newer, an address that is none, and a
    driver that is not installed.
    """
    if isinstance(place, Path):
        refuse_newer_file(place)
    else:
        # Who names an address waits for the library; the default does not.
        from tintype.record.database import make_engine  # noqa: PLC0415 - see above

        make_engine(place).dispose()


def refuse_newer(revision: str | None) -> None:
    """Raise SettingsError when a database's schema is newer than this version knows."""
    if revision is not None and revision > SCHEMA:
        raise SettingsError(
            f"the record's database has schema {revision}, written by a newer Tintype; "
            f"this one knows {SCHEMA}",
            hint="install the newer version again, or name another database: record.database",
        )


def refuse_newer_file(path: Path) -> None:
    """``refuse_newer`` for a SQLite file. One that cannot be read is left to the writer."""
    if not path.is_file():
        return
    revision = None
    with contextlib.suppress(sqlite3.Error):
        address = f"file:{quote(str(path))}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=0.2)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            revision = row[0] if row else None
    refuse_newer(revision)
