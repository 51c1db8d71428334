"""The queries behind the accuracy report and the dashboard, at a million recorded predictions.

    python bench/record_queries.py [PLACE] [--predictions N] [--judged SHARE]

PLACE is a SQLite file (made and filled if it is not there; default: a temporary one) or the
address of an empty PostgreSQL database. Prints each statement's plan, its median time, and the
processor time in it: on a busy machine, only the latter tells.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, event, insert, text

from tintype.record import counting, store
from tintype.record.database import reading, writing
from tintype.record.opening import open_database
from tintype.record.place import Place
from tintype.record.reports import Asked, KnownModel
from tintype.record.tables import feedback, models, predictions, results

LABELS = tuple(f"label {number}" for number in range(20))
DAYS = 180
NOW_MS = 1_760_000_000_000
AT_ONCE = 20_000
TIMES = 7


def fill(engine: Engine, *, count: int, judged: float) -> None:
    """Two versions of one model and another model, over half a year, a share of them judged."""
    chance = random.Random(1)  # noqa: S311 - made-up predictions
    with writing(engine) as connection:
        for number, (name, version) in enumerate((("pets", "1"), ("pets", "2"), ("birds", "1"))):
            connection.execute(
                insert(models),
                {
                    "id": number + 1,
                    "fingerprint": str(number),
                    "name": name,
                    "version": version,
                    "task": "classify",
                    "file": "model.keras",
                    "sha256": "0" * 64,
                    "recipe": "{}",
                    "labels": msgspec.json.encode(LABELS).decode(),
                    "first_ms": NOW_MS - DAYS * 86_400_000,
                },
            )
    for begin in range(0, count, AT_ONCE):
        rows = [
            _rows(chance, number / count, judged=judged)
            for number in range(begin, min(count, begin + AT_ONCE))
        ]
        with writing(engine) as connection:
            connection.execute(insert(predictions), [row[0] for row in rows])
            connection.execute(insert(results), [row[1] for row in rows])
            said = [row[2] for row in rows if row[2] is not None]
            if said:
                connection.execute(insert(feedback), said)
    with writing(engine) as connection:
        connection.execute(text("ANALYZE"))


def _rows(
    chance: random.Random, when: float, *, judged: float
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any] | None]:
    name, at_ms = (
        uuid.UUID(int=chance.getrandbits(128)).hex,
        NOW_MS - int((1 - when) * DAYS * 864e5),
    )
    order = chance.sample(LABELS, 5)
    scores = sorted((chance.random() for _ in order), reverse=True)
    model_id = chance.choice((1, 2, 2, 3))
    prediction = {
        "id": name,
        "at_ms": at_ms,
        "request_id": name,
        "key_name": "",
        "image_sha256": name * 2,
        "image_bytes": 50_000,
        "image_width": 640,
        "image_height": 480,
        "image_format": "jpeg",
        "image_orientation": 1,
        "decode_s": 0.001,
        "prepare_s": 0.001,
        "queue_s": 0.0,
        "run_s": 0.002,
        "total_s": 0.004,
        "brightness": chance.random(),
        "contrast": chance.random(),
        "colour": chance.random(),
        "detail": chance.random(),
    }
    labels = [
        {"index": LABELS.index(label), "label": label, "score": score}
        for label, score in zip(order, scores, strict=True)
    ]
    result = {
        "prediction_id": name,
        "position": 0,
        "at_ms": at_ms,
        "model_id": model_id,
        "label": order[0],
        "score": scores[0],
        "labels": msgspec.json.encode(labels).decode(),
        "seconds": 0.002,
    }
    if chance.random() >= judged:
        return prediction, result, None
    right = order[0] if chance.random() < 0.85 else chance.choice(LABELS)
    return (
        prediction,
        result,
        {
            "prediction_id": name,
            "position": 0,
            "at_ms": at_ms + 1000,
            "predicted_ms": at_ms,
            "model_id": model_id,
            "kind": "label",
            "correct": right == order[0],
            "predicted": order[0],
            "score": scores[0],
            "right_label": right,
            "rank": order.index(right) + 1 if right in order else None,
            "listed": 5,
            "key_name": "",
        },
    )


def questions() -> Iterator[tuple[str, Callable[[Connection], object]]]:
    """What the report and the dashboard ask."""
    pets = Asked(model="pets", version="2")
    month = Asked(since_ms=NOW_MS - 30 * 86_400_000)
    yield "accuracy of everything", lambda c: counting.count_judged(c, Asked())
    yield "accuracy of a version", lambda c: counting.count_judged(c, pets)
    yield "accuracy since a month ago", lambda c: counting.count_judged(c, month)
    yield "accuracy of a label", lambda c: counting.count_judged(c, Asked(label=LABELS[3]))
    for name, newest in (("the last 500 answers", True), ("the first 500 answers", False)):
        yield name, partial(_sample, newest=newest)
    yield (
        "the latest disagreements",
        lambda c: counting.disagreements(c, model="pets", count=12),
    )
    yield "what was lost", counting.lost


def _sample(connection: Connection, *, newest: bool) -> object:
    return counting.sample(connection, _pets(connection), count=500, newest=newest)


def _pets(connection: Connection) -> KnownModel:
    known = {(each.name, each.version): each for each in counting.known_models(connection)}
    return known["pets", "2"]


class Statements:
    """Every statement that is run: its values, milliseconds, and milliseconds of processor time.

    SQLite works while rows are fetched, too; so a statement ends when the next one begins.
    """

    def __init__(self, engine: Engine) -> None:
        self.seen: dict[str, tuple[Any, list[tuple[float, float]]]] = {}
        self._running: tuple[str, Any, float, float] | None = None
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "commit", self.end)

    def _before(self, _: object, __: object, statement: str, values: Any, *___: object) -> None:
        self.end()
        if statement.startswith("SELECT"):
            self._running = (statement, values, time.perf_counter(), time.process_time())

    def end(self, *_: object) -> None:
        """The last statement is done."""
        if self._running is not None:
            statement, values, wall, processor = self._running
            spent = (time.perf_counter() - wall) * 1000, (time.process_time() - processor) * 1000
            self.seen.setdefault(statement, (values, []))[1].append(spent)
            self._running = None


def ask(engine: Engine) -> None:
    """Run each question several times; print its time, and each statement's time and plan."""
    for name, work in questions():
        statements, spent = Statements(engine), []
        for _ in range(TIMES):
            begun, processor = time.perf_counter(), time.process_time()
            with reading(engine) as connection:
                work(connection)
            statements.end()
            spent.append(
                ((time.perf_counter() - begun) * 1000, (time.process_time() - processor) * 1000)
            )
        print(f"\n{name}: {_median(spent)}")
        for statement, (values, times) in list(statements.seen.items()):
            print(f"  {_median(times)}  {' '.join(statement.split())[:100]}")
            for line in _plan(engine, statement, values):
                print(f"      {line}")


def _median(times: list[tuple[float, float]]) -> str:
    wall, processor = (statistics.median(each) for each in zip(*times, strict=True))
    return f"{wall:.1f} ms ({processor:.1f} ms of processor time)"


def _plan(engine: Engine, statement: str, values: Any) -> list[str]:
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    with reading(engine) as connection:
        rows = connection.exec_driver_sql(explain + statement, values).all()
    return [str(row[-1]) for row in rows]


def main() -> None:
    """Fill what is empty, ask everything."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("place", nargs="?", default="")
    reader.add_argument("--predictions", type=int, default=1_000_000)
    reader.add_argument("--judged", type=float, default=0.05)
    given = reader.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place: Place = Path(folder) / "record.db"
        if given.place:
            place = given.place if "://" in given.place else Path(given.place)
        engine = open_database(place)
        with reading(engine) as connection:
            empty = store.count(connection, models) == 0
        if empty:
            begun = time.perf_counter()
            fill(engine, count=given.predictions, judged=given.judged)
            print(f"filled in {time.perf_counter() - begun:.0f} s")
        with reading(engine) as connection:
            for table in (predictions, feedback):
                print(f"{table.name}: {store.count(connection, table)} rows")
        ask(engine)


if __name__ == "__main__":
    main()
