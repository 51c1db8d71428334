"""Bringing a database to this version's schema, and back: Alembic's steps under a lock."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from tintype.record.database import writing
from tintype.record.place import refuse_newer

_LOCK = 0x74696E74  # any number that all servers of one database share: "tint"


def upgrade(engine: Engine) -> None:
    """Bring the database to the newest schema known here, as one transaction.

    Several servers may start at once: one does the work, the others wait for it. Raises
    SettingsError when the schema is newer than this version knows.
    """
    with writing(engine) as connection:
        _lock(connection)
        refuse_newer(MigrationContext.configure(connection).get_current_revision())
        command.upgrade(_config(connection), "head")


def downgrade(engine: Engine, revision: str) -> None:
    """Bring the database back to an older schema; ``base`` drops everything."""
    with writing(engine) as connection:
        _lock(connection)
        command.downgrade(_config(connection), revision)


def head() -> str:
    """The newest schema known here."""
    return str(_scripts().get_current_head())


def _lock(connection: Connection) -> None:
    """Keep other servers from migrating at the same time. SQLite's transaction locks already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(None))


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", "tintype.record:migrations")
    config.attributes["connection"] = connection
    return config
