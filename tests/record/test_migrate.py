"""The schema: made, brought back, and never one that is newer."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from tintype.errors import SettingsError
from tintype.record.database import make_engine, reading, writing
from tintype.record.migrate import downgrade, head, upgrade
from tintype.record.opening import bring_up_to_date, open_database, schema_of
from tintype.record.place import SCHEMA, Place, check_place, refuse_newer_file
from tintype.record.tables import METADATA

PAGE = Path(__file__).parents[2] / "docs/reference/record.md"


def test_the_newest_migration_is_the_one_the_code_names():
    """The start compares with a constant, because importing Alembic takes long."""
    assert head() == SCHEMA


def test_the_migrations_make_the_tables(engine):
    """Nothing differs between the migrated database and the tables in the code."""
    with reading(engine) as connection:
        assert [] == compare_metadata(MigrationContext.configure(connection), METADATA)


def test_there_and_back_and_there_again(engine):
    """Down to nothing, and up to the same schema."""
    downgrade(engine, "base")
    with reading(engine) as connection:
        assert ["alembic_version"] == inspect(connection).get_table_names()
    upgrade(engine)
    assert SCHEMA == schema_of(engine)
    with reading(engine) as connection:
        assert {*METADATA.tables} < {*inspect(connection).get_table_names()}


def test_the_way_back_that_the_page_tells_works(place: Place):
    """The very line, for an operator who has to go back."""
    line = re.search(r'^python -c "(.*)"$', PAGE.read_text(), re.MULTILINE)[1]
    address = f"sqlite:///{place}" if isinstance(place, Path) else place
    open_database(place).dispose()
    code = line.replace("ADDRESS", address).replace("REVISION", "base")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    engine = make_engine(place)
    with reading(engine) as connection:
        assert ["alembic_version"] == inspect(connection).get_table_names()
    engine.dispose()


def test_every_column_is_explained():
    """docs/reference/record.md has a section a table and names each of its columns."""
    page = PAGE.read_text()
    for table in METADATA.tables.values():
        section = page.partition(f"### `{table.name}`")[2].partition("\n### ")[0]
        assert [] == [c.name for c in table.columns if f"`{c.name}`" not in section]


def test_a_newer_schema_is_refused_in_words(engine, place: Place):
    """An older Tintype leaves a newer one's database alone."""
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match="schema 9999, written by a newer Tintype"):
        bring_up_to_date(engine)
    with pytest.raises(SettingsError, match="newer Tintype"):
        upgrade(engine)
    if isinstance(place, Path):
        with pytest.raises(SettingsError, match="newer Tintype"):
            refuse_newer_file(place)


def test_several_servers_may_start_at_once(place: Place):
    """One makes the schema, the others wait for it; none fails."""
    failures = []

    def start():
        try:
            open_database(place).dispose()
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == failures


def test_the_file_is_for_its_owner_only(tmp_path: Path):
    """What people sent is private."""
    place = tmp_path / "new" / "record.db"
    open_database(place).dispose()
    assert (0o700, 0o600) == (place.parent.stat().st_mode & 0o777, place.stat().st_mode & 0o777)


@pytest.mark.parametrize("address", ["mysql://h/d", "nonsense", "sqlite://", "postgresql://h:x/d"])
def test_an_address_of_no_such_database_is_told_without_its_secrets(address: str):
    """An address may hold a password: it is not repeated."""
    with pytest.raises(SettingsError) as told:
        check_place(address)
    assert address not in told.value.message
    assert "postgresql://USER:PASSWORD@HOST/NAME" in (told.value.hint or "")


def test_a_file_that_is_no_database_is_left_to_the_writer(tmp_path: Path):
    """The check at the start looks for a newer schema, nothing else."""
    path = tmp_path / "record.db"
    refuse_newer_file(path)
    path.write_bytes(b"hello" * 1000)
    refuse_newer_file(path)
