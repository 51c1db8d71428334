"""The thread that writes, while requests go on."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs
from sqlalchemy import select, text

from tintype.errors import ImageCorrupt, RecordUnavailable, UnknownPrediction
from tintype.record import store
from tintype.record.database import make_engine, reading
from tintype.record.fake import (
    PETS,
    THINGS,
    FakeCaller,
    FakeRequest,
    classified,
    detected,
    predicted,
)
from tintype.record.place import Place
from tintype.record.policy import RecordPolicy
from tintype.record.recorder import MOST_LABELS, Recorder
from tintype.record.tables import differences, losses, models, predictions, refusals
from tintype.record.values import Said
from tintype.types import SeenInput

ASKED = FakeRequest(image=b"123", caller=FakeCaller(request_id="r1", key="ann"))


@contextmanager
def recorder(place: Place, state: Path, **policy):
    """A running recorder that knows the fake's models."""
    one = Recorder(place, state=state, policy=RecordPolicy(**policy))
    one.know([PETS, THINGS])
    with one:
        yield one


async def until(condition) -> None:
    """Wait for the writer, which tells nobody when it has caught up."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


def recorded(place: Place, query):
    """What the database holds, read from outside."""
    engine = make_engine(place)
    with reading(engine) as connection:
        rows = [tuple(row) for row in connection.execute(query)]
    engine.dispose()
    return rows


async def test_feedback_finds_what_was_answered_just_now(place: Place, tmp_path: Path):
    """It goes through the same queue, behind the prediction."""
    with recorder(place, tmp_path) as record:
        for _ in range(20):
            prediction = predicted()
            record.answered(ASKED, prediction)
            _, judged = await record.ask(
                lambda connection, of=prediction.id: store.put_feedback(
                    connection, of, Said(label="cat"), key="bob", at_ms=1
                )
            )
            assert 2 == judged.rank
        found = await record.ask(lambda connection: store.find(connection, prediction.id))
        assert "cat" == found.results[0].feedback.right_label
    rows = recorded(place, select(predictions.c.request_id, predictions.c.key_name).limit(1))
    assert [("r1", "ann")] == rows


async def test_what_a_canary_says_otherwise_is_written_behind_its_prediction(
    place: Place, tmp_path: Path
):
    """Long lists are cut as those of answers are."""
    labels = [("cat", 0.5), *((f"label {number}", 0.001) for number in range(MOST_LABELS))]
    with recorder(place, tmp_path) as record:
        prediction = predicted()
        record.answered(ASKED, prediction)
        record.differs(prediction.id, 0, structs.replace(classified(*labels), version="2"))
        (result,) = (await record.find(prediction.id)).results
    assert ("2", "cat", MOST_LABELS) == (
        result.canary.version,
        result.canary.labels[0].label,
        len(result.canary.labels),
    )


async def test_a_canary_s_answer_that_no_longer_fits_is_not_recorded(tmp_path: Path):
    """The queue is bounded for these too."""
    place = tmp_path / "record.db"
    with recorder(place, tmp_path, queue=0) as record:
        record.differs("0" * 32, 0, classified(("cat", 1.0)))
    assert [] == recorded(place, select(differences.c.label))


async def test_leaving_writes_what_waits(place: Place, tmp_path: Path):
    """Nothing that was taken is lost by stopping."""
    with recorder(place, tmp_path) as record:
        for _ in range(3000):
            record.answered(ASKED, predicted())
        record.refused(ASKED, ImageCorrupt("no"), seconds=0.5)
    assert (0, 3000, 0) == (
        record.counts().waiting,
        record.counts().written,
        record.counts().dropped,
    )
    assert 3000 == len(recorded(place, select(predictions.c.id)))
    assert [("image-corrupt", 3)] == recorded(
        place, select(refusals.c.error, refusals.c.image_bytes)
    )


async def test_a_full_queue_drops_counts_and_notes(tmp_path: Path):
    """Requests never wait; the database tells how many are missing."""
    place = tmp_path / "record.db"
    record = Recorder(place, state=tmp_path, policy=RecordPolicy(queue=5))
    record.know([PETS])
    for _ in range(8):  # before the thread runs
        record.answered(ASKED, predicted())
    assert (5, 3) == (record.counts().waiting, record.counts().dropped)
    with record:
        await record.ask(lambda connection: store.count(connection, predictions))
    assert 5 == len(recorded(place, select(predictions.c.id)))
    assert [("dropped", 3)] == recorded(place, select(losses.c.reason, losses.c.count))


async def test_a_database_that_cannot_be_reached_stops_nobody(tmp_path: Path, logs: list):
    """Predictions are kept for later, questions refused at once; told once, and when it is over."""
    blocked = tmp_path / "state"
    blocked.write_text("a file where the folder should be")
    with recorder(blocked / "record.db", tmp_path) as record:
        record.answered(ASKED, first := predicted())
        with pytest.raises(RecordUnavailable, match="cannot be used now"):
            await record.ask(lambda connection: store.find(connection, first.id))
        record.answered(ASKED, predicted())
        with pytest.raises(RecordUnavailable):
            await record.ask(lambda connection: store.find(connection, first.id))
        assert record.counts().problem
        blocked.unlink()
        await until(lambda: not record.counts().problem)
        assert first.id == (await record.ask(lambda c: store.find(c, first.id))).id
    assert 2 == len(recorded(blocked / "record.db", select(predictions.c.id)))
    events = [entry["event"] for entry in logs]
    assert [
        "the record cannot be written; predictions go on",
        "the record is written again",
    ] == events


async def test_a_locked_database_stops_nobody(tmp_path: Path):
    """Somebody else holds the lock: what came meanwhile is written when it is free."""
    place = tmp_path / "record.db"
    with recorder(place, tmp_path) as record:
        await record.ask(lambda connection: store.count(connection, predictions))
        with closing(sqlite3.connect(place, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            record.answered(ASKED, predicted())
            with pytest.raises(RecordUnavailable, match="locked"):
                await record.ask(lambda connection: store.count(connection, predictions))
            other.execute("ROLLBACK")
        await until(lambda: not record.counts().waiting)
    assert 1 == len(recorded(place, select(predictions.c.id)))


async def test_a_lost_connection_is_made_again(new_database: str, tmp_path: Path):
    """PostgreSQL was restarted, say."""
    with recorder(new_database, tmp_path) as record:
        record.answered(ASKED, predicted())
        await record.ask(lambda connection: store.count(connection, predictions))
        engine = make_engine(new_database)
        with engine.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        engine.dispose()
        record.answered(ASKED, predicted())
        assert 2 == await record.ask(lambda connection: store.count(connection, predictions))


async def test_a_row_that_the_database_does_not_take_harms_no_other(place: Place, tmp_path: Path):
    """It is left out and counted; its neighbours are written."""
    sound = predicted()
    odd = structs.replace(sound, id="odd", image=structs.replace(sound.image, width=1 << 70))
    with recorder(place, tmp_path) as record:
        for prediction in (sound, odd, predicted()):
            record.answered(ASKED, prediction)
        assert 2 == await record.ask(lambda connection: store.count(connection, predictions))
        record.answered(ASKED, predicted())
    assert (3, 1, 0) == (
        record.counts().written,
        record.counts().dropped,
        record.counts().waiting,
    )
    assert [("refused", 1)] == recorded(place, select(losses.c.reason, losses.c.count))


async def test_what_is_asked_wrongly_harms_no_neighbour(place: Place, tmp_path: Path):
    """A question that fails is rolled back alone."""
    with recorder(place, tmp_path) as record:
        record.answered(ASKED, prediction := predicted())
        answers = await asyncio.gather(
            record.ask(lambda connection: store.find(connection, "nix")),
            record.ask(lambda connection: store.find(connection, prediction.id)),
            record.ask(lambda connection: connection.execute(text("SELECT 1/0")).scalar()),
            record.ask(lambda _: {}["nix"]),
            record.ask(lambda connection: store.count(connection, predictions)),
            return_exceptions=True,
        )
    assert isinstance(answers[0], UnknownPrediction)
    assert (prediction.id, 1) == (answers[1].id, answers[4])
    assert isinstance(answers[3], KeyError)


async def test_a_caller_who_has_gone_harms_nobody(place: Place, tmp_path: Path):
    """Its question is not asked."""
    with recorder(place, tmp_path) as record:
        tasks = [
            asyncio.create_task(record.ask(lambda c: store.count(c, predictions)))
            for _ in range(20)
        ]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [0] * 10 == answers[1::2]


async def test_reports_read_on_connections_of_their_own(place: Place, tmp_path: Path):
    """They see what was just answered, and cannot hold the writer up."""
    with recorder(place, tmp_path) as record:
        record.answered(ASKED, predicted())

        def report(connection):
            before = store.count(connection, predictions)
            written = asyncio.run_coroutine_threadsafe(
                record.ask(lambda writer: store.count(writer, predictions)), loop
            ).result(10)
            return before, written

        loop = asyncio.get_running_loop()
        assert (1, 1) == await record.read(report)


async def test_what_the_model_saw_and_long_lists_are_not_kept(tmp_path: Path):
    """A long queue stays small."""
    many = classified(*[(f"label {number}", 0.001) for number in range(1000)])
    seen = SeenInput(png="x" * 9999, shape=(1,), dtype="", sha256="", channels=(), recipe={})
    prediction = predicted(structs.replace(many, input=seen), detected())
    with recorder(tmp_path / "record.db", tmp_path) as record:
        record.answered(ASKED, prediction)
        found = await record.ask(lambda connection: store.find(connection, prediction.id))
    assert prediction.results[0].labels[:MOST_LABELS] == found.results[0].labels
    assert prediction.results[1].boxes == found.results[1].boxes
    assert 1000 == len(prediction.results[0].labels)


async def test_the_model_file_is_known_by_its_content(tmp_path: Path):
    """A new file under the same name is a new row; a folder is hashed with its names."""
    file, folder = tmp_path / "m.h5", tmp_path / "saved"
    file.write_bytes(b"one")
    (folder / "variables").mkdir(parents=True)
    (folder / "variables/a").write_bytes(b"a")
    with recorder(tmp_path / "record.db", tmp_path) as record:
        for path in (file, folder, tmp_path / "gone"):
            record.know([replace(PETS, path=path)])
            record.answered(ASKED, predicted())
        await record.ask(lambda connection: store.count(connection, models))
        file.write_bytes(b"two")
        record.know([replace(PETS, path=file)])
        record.answered(ASKED, predicted())
    rows = recorded(tmp_path / "record.db", select(models.c.file, models.c.sha256))
    assert 4 == len({sha256 for _, sha256 in rows})
    assert [("gone", "")] == [row for row in rows if row[0] == "gone"]


async def test_what_is_too_old_is_swept(place: Place, tmp_path: Path):
    """record.keep_days; what was just answered stays."""
    with recorder(place, tmp_path) as record:
        record.answered(ASKED, predicted())
        await record.ask(lambda c: c.execute(predictions.update().values(at_ms=1)))
    with recorder(place, tmp_path, keep_days=1) as record:
        record.answered(ASKED, predicted())
    assert 1 == len(recorded(place, select(predictions.c.id)))


def test_nothing_of_the_database_is_imported_before_it_is_used():
    """SQLAlchemy takes longer to import than the rest of a start."""
    code = (
        "import sys, tintype.wiring.running; "
        "print([m for m in ('sqlalchemy', 'alembic', 'psycopg') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout


def test_taking_a_prediction_costs_nearly_nothing(tmp_path: Path):
    """Less than encoding its answer: the hot path hands over and goes on."""
    import timeit

    import msgspec

    from tintype.web.schemas import prediction_body

    record = Recorder(tmp_path / "r.db", state=tmp_path, policy=RecordPolicy(queue=10**9))
    prediction = predicted(classified(*[(f"label {number}", 0.1) for number in range(5)]))
    took = min(timeit.repeat(lambda: record.answered(ASKED, prediction), number=2000, repeat=5))

    def encode() -> bytes:
        return msgspec.json.encode(prediction_body(prediction))

    encoded = min(timeit.repeat(encode, number=2000, repeat=5))
    assert took < 2 * encoded
