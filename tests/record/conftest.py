"""Databases to record into: SQLite, and a PostgreSQL that really runs."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tintype.record.database import make_engine, writing
from tintype.record.opening import open_database
from tintype.record.place import FILE_NAME, Place

_DEBIAN = Path("/usr/lib/postgresql")


@pytest.fixture(autouse=True)
def logs() -> Iterator[list]:
    """What was logged, instead of writing it."""
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server: TINTYPE_TEST_POSTGRESQL, or one started here."""
    given = os.environ.get("TINTYPE_TEST_POSTGRESQL")
    if given:
        yield given
        return
    programs = sorted(_DEBIAN.glob("*/bin/initdb"))
    if not programs:
        pytest.skip("no PostgreSQL: install postgresql, or set TINTYPE_TEST_POSTGRESQL")
    with _own_cluster(programs[-1].parent) as address:
        yield address


class _own_cluster:  # noqa: N801 - a context manager
    """A cluster in a temporary folder, reached through a socket in it; as root run by nobody."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="tintype-pg-"))
        self._user = {"user": "nobody", "group": "nogroup"} if os.getuid() == 0 else {}

    def __enter__(self) -> str:
        if self._user:
            shutil.chown(self._folder, **self._user)
        data = str(self._folder / "data")
        self._run("initdb", "-D", data, "-U", "tintype", "-A", "trust", "-N", "-E", "UTF8")
        options = f"-c listen_addresses='' -c fsync=off -k {self._folder}"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "-t", "60", "start")
        return f"postgresql://tintype@/postgres?host={self._folder}"

    def __exit__(self, *_: object) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [self._programs / program, *words],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **self._user,
        )


@pytest.fixture
def new_database(postgresql: str) -> Iterator[str]:
    """The address of an empty PostgreSQL database."""
    name = f"record_{secrets.token_hex(6)}"
    server = make_engine(postgresql).execution_options(isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield postgresql.replace("/postgres?", f"/{name}?")
    with server.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    server.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where to record: each test runs on both databases."""
    if request.param == "sqlite":
        return tmp_path / "state" / FILE_NAME
    return request.getfixturevalue("new_database")


@pytest.fixture
def engine(place: Place):
    """An engine for a database with the schema."""
    engine = open_database(place)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine):
    """A connection in a transaction that writes."""
    with writing(engine) as connection:
        yield connection
