"""Opening the database: the address, SQLite's own settings, and how transactions begin.

This module imports SQLAlchemy, which takes longer than the rest of a server's start. It is
imported by the threads that use it, never on the way to ready.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from tintype.errors import SettingsError
from tintype.record.place import Place

BUSY_SECONDS = 2.0
"""How long a statement waits for another writer's lock before it fails."""

_STEPS = 10_000
"""So many of SQLite's instructions lie between two looks at the clock: less than a millisecond."""

_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_POSTGRESQL = {
    "connect_timeout": int(BUSY_SECONDS),
    "options": "-c lock_timeout=2s",
    # A machine that vanishes says nothing more. The system's own patience is two hours.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_SQLITE_PRAGMAS = (
    f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}",
    "PRAGMA synchronous=FULL",  # what is acknowledged survives a power cut, too
    "PRAGMA foreign_keys=ON",
)
_TRY_AGAIN_SECONDS = 0.01


def make_engine(place: Place) -> Engine:
    """An engine for a SQLite file or an address; nothing is connected to yet.

    Raises SettingsError for an address that is neither SQLite's nor PostgreSQL's, and where
    PostgreSQL's driver is not installed.
    """
    url = _url(place)
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        return create_engine(url, pool_pre_ping=True, connect_args=_POSTGRESQL)
    except ModuleNotFoundError as error:
        raise SettingsError(
            "the driver of PostgreSQL is not installed", hint="pip install 'tintype[postgresql]'"
        ) from error


def _url(place: Place) -> URL:
    if isinstance(place, Path):
        return URL.create("sqlite", database=str(place))
    try:
        url = make_url(place)
        url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
        known = url.get_backend_name() in {"sqlite", "postgresql"}
    except (ArgumentError, ValueError) as error:
        raise _not_an_address() from error
    if not known or (url.get_backend_name() == "sqlite" and not url.database):
        raise _not_an_address()
    return url


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that may write, committed at the end.

    On SQLite the lock is taken at once, so that the transaction cannot fail half-way for want of
    it.
    """
    with engine.connect().execution_options(tintype_writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one state of the database throughout, and waits for no writer."""
    options: dict[str, Any] = (
        {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    )
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def at_most(connection: Connection, seconds: float) -> Iterator[None]:
    """Have what is read inside given up after ``seconds``: of each statement, on SQLite of all.

    It fails with a DBAPIError then. ``connection`` must be in a transaction.
    """
    if connection.dialect.name != "sqlite":
        # until the transaction ends
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {math.ceil(seconds * 1000)}")
        yield
        return
    database: Any = connection.connection.driver_connection
    ends = time.monotonic() + seconds
    database.set_progress_handler(lambda: time.monotonic() > ends, _STEPS)
    try:
        yield
    finally:
        database.set_progress_handler(None, 0)


def _not_an_address() -> SettingsError:
    return SettingsError(  # without the address: it may hold a password
        "record.database is no address of a database",
        hint="postgresql://USER:PASSWORD@HOST/NAME, sqlite:////PATH, or empty for the default",
    )


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions begin where we say: see _begin_sqlite
    for pragma in _SQLITE_PRAGMAS:
        connection.execute(pragma)
    _log_ahead(connection)


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Have SQLite write ahead (WAL). A new file is switched by one of those who open it.

    The others are refused meanwhile, at once: SQLite does not wait here, where two that waited for
    each other would wait for ever.
    """
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_TRY_AGAIN_SECONDS)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("tintype_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
