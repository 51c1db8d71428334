"""The questions behind the accuracy report and the dashboard: their plans and their times.

    python bench/million_predictions.py --keep record.db
    python bench/record_queries.py record.db

Prints each statement's plan, its median time, and the processor time in it: on a busy machine,
only the latter tells.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event, func, select

from tintype.record import counting, store
from tintype.record.database import reading
from tintype.record.opening import open_database
from tintype.record.reports import Asked, KnownModel
from tintype.record.tables import feedback, predictions

TIMES = 7
DAY_MS = 86_400_000


def questions(connection: Connection) -> Iterator[tuple[str, Callable[[Connection], object]]]:
    """What the report and the dashboard ask; of the model that was judged most."""
    judged = [
        (counting.count_judged(connection, Asked(model=each.name)).hits.judged, each)
        for each in counting.known_models(connection)
    ]
    model = max(judged, key=lambda pair: pair[0])[1]
    label = connection.execute(select(func.max(feedback.c.right_label))).scalar_one()
    newest = connection.execute(select(func.max(feedback.c.predicted_ms))).scalar_one()
    one = Asked(model=model.name, version=model.version)
    for name, asked in (
        ("accuracy of everything", Asked()),
        ("accuracy of a version", one),
        ("accuracy since a month ago", Asked(since_ms=newest - 30 * DAY_MS)),
        ("accuracy of a label", Asked(label=label)),
    ):
        yield name, partial(counting.count_judged, asked=asked)
    for name, newest_first in (("the last 500 answers", True), ("the first 500 answers", False)):
        yield name, partial(_sample, model=model, newest=newest_first)
    yield (
        "the latest disagreements",
        partial(counting.disagreements, model=model.name, count=12),
    )
    yield "what was lost", counting.lost
    versions = [(each.name, each.version) for _, each in judged]
    yield "hits of every version, for /metrics", partial(counting.hits, versions=versions)


def _sample(connection: Connection, *, model: KnownModel, newest: bool) -> object:
    return counting.sample(connection, model, count=500, newest=newest)


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
    with reading(engine) as connection:
        asked = [*questions(connection)]
    for name, work in asked:
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
    with reading(engine) as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    return [str(row[-1]) for row in rows]


def main() -> None:
    """Ask everything of the record in the file that is named."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        raise SystemExit(__doc__)
    engine = open_database(Path(sys.argv[1]))
    with reading(engine) as connection:
        for table in (predictions, feedback):
            print(f"{table.name}: {store.count(connection, table):,} rows")
    ask(engine)


if __name__ == "__main__":
    main()
