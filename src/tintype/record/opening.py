"""The first connection: file and schema are made, or brought up to date, where they have to be."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import Engine, inspect, text

from tintype.record.database import make_engine, reading
from tintype.record.place import SCHEMA, Place, refuse_newer

_TABLE = "alembic_version"


def open_database(place: Place) -> Engine:
    """An engine for a database that has the schema of this version.

    Raises SettingsError for an address that is none and a schema that is newer, OSError and
    SQLAlchemy's errors where the database cannot be reached.
    """
    if isinstance(place, Path):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(place, os.O_RDWR | os.O_CREAT, 0o600))  # what people sent is private
    engine = make_engine(place)
    bring_up_to_date(engine)
    return engine


def bring_up_to_date(engine: Engine) -> None:
    """Run the migrations that are missing. Raises SettingsError when the schema is newer."""
    present = schema_of(engine)
    refuse_newer(present)
    if present != SCHEMA:
        # Alembic is only imported where there is something to do.
        from tintype.record.migrate import upgrade  # noqa: PLC0415 - see above

        upgrade(engine)


def schema_of(engine: Engine) -> str | None:
    """The database's revision, None for an empty database."""
    with reading(engine) as connection:
        if not inspect(connection).has_table(_TABLE):
            return None
        return connection.execute(text(f"SELECT version_num FROM {_TABLE}")).scalar()  # noqa: S608 - a constant
