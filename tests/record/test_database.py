"""How the database is connected to."""

from __future__ import annotations

from tintype.record.database import make_engine


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
