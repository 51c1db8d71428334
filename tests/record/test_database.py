"""How the database is connected to."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from tintype.record.database import at_most, make_engine, reading
from tintype.record.opening import open_database


def test_a_postgresql_that_vanishes_is_given_up_after_seconds(new_database: str):
    """Its machine or the network is gone: nothing is refused, nothing is answered any more."""
    engine = make_engine(new_database)
    with engine.connect() as connection:
        used = connection.connection.dbapi_connection.info.get_parameters()
    engine.dispose()
    silence = int(used["keepalives_idle"]) + int(used["keepalives_interval"]) * int(
        used["keepalives_count"]
    )
    assert (11, "10000") == (silence, used["tcp_user_timeout"])


ENDLESS = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000000)
SELECT count(*) FROM numbers
"""
LONG = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)
SELECT count(*) FROM numbers
"""


def test_what_takes_too_long_is_given_up(engine):
    """A minute's work ends after a moment, and the connection is as good as before."""
    begun = time.monotonic()
    with (
        pytest.raises(DBAPIError),
        reading(engine) as connection,
        at_most(connection, 0.05),
    ):
        connection.exec_driver_sql(ENDLESS).all()
    assert 5 > time.monotonic() - begun
    with reading(engine) as connection:
        assert 100_000 == connection.exec_driver_sql(LONG).scalar_one()
        with at_most(connection, 60):
            assert 100_000 == connection.exec_driver_sql(LONG).scalar_one()


def test_several_may_open_a_new_file_at_once(tmp_path: Path):
    """SQLite refuses those that switch it to writing ahead at the same moment: they try again."""
    barrier = threading.Barrier(3)

    def open_it(number: int) -> str:
        barrier.wait(10)
        engine = open_database(tmp_path / f"{number}.db")
        with reading(engine) as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        engine.dispose()
        return str(mode)

    with ThreadPoolExecutor(3) as threads:
        for number in range(15):
            assert ["wal"] * 3 == list(threads.map(open_it, [number] * 3))
