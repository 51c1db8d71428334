"""A record of a million predictions in SQLite: how large, how fast, and how its queries run.

    .venv/bin/python bench/million_predictions.py [--predictions 1000000] [--keep FILE]

Fills a fresh database through the record's own statements (two models, labels with scores, a word
of a person for every tenth), then times the queries that a server runs, warm, and prints SQLite's
EXPLAIN QUERY PLAN of each. With ``--keep`` the file stays, and is used again when it is there.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from msgspec import structs
from sqlalchemy import Connection, Engine, event, func, select

from tintype.record import store
from tintype.record.batch import KnownModels
from tintype.record.database import reading, writing
from tintype.record.fake import PETS, entry
from tintype.record.opening import open_database
from tintype.record.tables import feedback, predictions, results
from tintype.record.values import Entry, ModelFacts
from tintype.types import ImageFacts, LabelScore, Prediction, Result, Seconds, Task

BATCH = 2000
ROUNDS = 7
DAY_MS = 86_400_000
DAYS = 90
LABELS = tuple(f"label {number}" for number in range(40))
MODELS = (
    replace(PETS, name="many", labels=LABELS),
    replace(PETS, name="pets", labels=LABELS[:2]),
)

JUDGE = """
INSERT OR IGNORE INTO feedback
SELECT prediction_id, position, at_ms + 60000, at_ms, model_id, 'label', hit, label, score,
       CASE WHEN hit THEN label ELSE json_extract(labels, '$[1].label') END,
       CASE WHEN hit THEN 1 ELSE 2 END, json_array_length(labels), ''
FROM (SELECT *, abs(random()) % 10 < 8 AS hit FROM results WHERE abs(random()) % 10 = 0)
"""
"""A word of a person for every tenth result: four in five say that it was right."""


@dataclass(frozen=True)
class Query:
    """One query: what it is for, and how it is run."""

    name: str
    run: Callable[[Connection], object]


def main() -> None:
    """Fill, time, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.keep or Path(folder) / "record.db"
        engine = open_database(path)
        with reading(engine) as connection:
            there = store.count(connection, predictions)
        if there < options.predictions:
            fill(engine, options.predictions - there)
        print(f"size: {path.stat().st_size / (1 << 20):.0f} MiB")
        with reading(engine) as connection:
            for table in (predictions, results, feedback):
                print(f"{table.name}: {store.count(connection, table):,} rows")
        for query in queries(engine):
            show(engine, query)
        engine.dispose()


def fill(engine: Engine, count: int) -> None:
    """Write predictions of the last ninety days in batches, as the writer does."""
    chance = random.Random(count)  # noqa: S311 - made-up predictions, no secret
    known = KnownModels()
    begun = time.perf_counter()
    now = time.time_ns() // 1_000_000
    made = (made_up(chance, now - DAYS * DAY_MS * (count - n) // count) for n in range(count))
    for batch in iter(lambda: list(itertools.islice(made, BATCH)), []):
        with writing(engine) as connection:
            store.add_predictions(connection, batch, model_id=known.ids(connection))
    with writing(engine) as connection:
        connection.exec_driver_sql(JUDGE)
    took = time.perf_counter() - begun
    print(f"filled: {count:,} predictions in {took:.0f} s, {took / count * 1e6:.0f} us each")
    with engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


def made_up(chance: random.Random, at_ms: int) -> Entry:
    """One prediction of one of the models."""
    facts: ModelFacts = chance.choice(MODELS)
    top = chance.sample(facts.labels, min(5, len(facts.labels)))
    scores = sorted((chance.random() for _ in top), reverse=True)
    labels = tuple(
        LabelScore(index=facts.labels.index(label), label=label, score=score / sum(scores))
        for label, score in zip(top, scores, strict=True)
    )
    identity = uuid.UUID(int=chance.getrandbits(128)).hex
    prediction = Prediction(
        id=identity,
        image=ImageFacts(width=640, height=480, format="jpeg", sha256=identity * 2),
        results=(
            Result(model=facts.name, version=facts.version, task=Task.CLASSIFY, labels=labels),
        ),
        seconds=Seconds(total=chance.random() / 50),
    )
    one = entry(prediction, at_ms=at_ms)
    return structs.replace(one, models={(each.name, each.version): each for each in MODELS})


def queries(engine: Engine) -> Iterator[Query]:
    """What a server asks its record."""
    with reading(engine) as connection:
        some = connection.execute(
            select(predictions.c.id).order_by(predictions.c.at_ms.desc()).limit(1).offset(5000)
        ).scalar_one()
        newest = connection.execute(select(func.max(predictions.c.at_ms))).scalar_one()
    right = func.sum(feedback.c.correct)
    week = (feedback.c.predicted_ms // DAY_MS + 3) // 7
    yield Query("one prediction by its id", lambda c: store.find(c, some))
    yield Query(
        "the 50 newest", rows(select(predictions).order_by(predictions.c.at_ms.desc()).limit(50))
    )
    yield Query(
        "right and judged, by model",
        rows(select(feedback.c.model_id, func.count(), right).group_by(feedback.c.model_id)),
    )
    yield Query(
        "right and judged, by week, one model",
        rows(
            select(week, func.count(), right).where(feedback.c.model_id == 1).group_by(week),
        ),
    )
    yield Query(
        "confusion of one model",
        rows(
            select(feedback.c.right_label, feedback.c.predicted, func.count())
            .where(feedback.c.model_id == 1)
            .group_by(feedback.c.right_label, feedback.c.predicted)
        ),
    )
    yield Query(
        "labels of the last day, one model",
        rows(
            select(results.c.label, func.count())
            .where(results.c.model_id == 1, results.c.at_ms > newest - DAY_MS)
            .group_by(results.c.label)
        ),
    )
    yield Query(
        "500 older than any, to be swept", lambda c: store.forget_old(c, before_ms=0, most=500)
    )


def rows(statement: Any) -> Callable[[Connection], object]:
    """Run a statement and fetch all of it."""
    return lambda connection: connection.execute(statement).all()


def show(engine: Engine, query: Query) -> None:
    """The time, warm, and SQLite's plan of every statement the query runs."""
    seen: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        seen.append((statement, parameters))

    with writing(engine) as connection:
        event.listen(engine, "before_cursor_execute", note)
        query.run(connection)
        event.remove(engine, "before_cursor_execute", note)
        times = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            query.run(connection)
            times.append(time.perf_counter() - begun)
        print(f"\n{query.name}: {statistics.median(times) * 1000:.1f} ms")
        for statement, parameters in seen:
            if statement.startswith(("SELECT", "DELETE")):
                explain = f"EXPLAIN QUERY PLAN {statement}"
                for row in connection.exec_driver_sql(explain, parameters):
                    print(f"    {row[3]}")


if __name__ == "__main__":
    main()
