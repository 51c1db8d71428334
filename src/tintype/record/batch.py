"""One transaction's work: rows in, questions answered, in the order they came."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError

from tintype.errors import TintypeError
from tintype.record import store
from tintype.record.hashing import content_sha256
from tintype.record.items import Ask, Item
from tintype.record.values import Difference, Entry, ModelFacts, Refusal
from tintype.types import Result


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What to tell when the transaction is committed. An answer may be an exception."""

    answers: list[tuple[Ask, Any]] = field(default_factory=list)
    written: int = 0
    turned_down: int = 0


class KnownModels:
    """The numbers of models in the database, and the hashes of their files, each found once."""

    def __init__(self) -> None:
        self._ids: dict[ModelFacts, int] = {}
        self._hashes: dict[ModelFacts, str] = {}
        self._unnamed: dict[tuple[str, str], ModelFacts] = {}

    def hash_files(self, items: Iterable[Item]) -> None:
        """Hash the files of models that are new: it may take long, and needs no transaction."""
        served = {
            id(item.models): item.models for item in items if isinstance(item, Entry | Difference)
        }
        for models in served.values():
            for facts in models.values():
                if facts not in self._hashes:
                    self._hashes[facts] = content_sha256(facts.path)

    def ids(self, connection: Connection) -> Callable[[Entry | Difference, Result], int]:
        """Numbers for results; a model that is new in the database is added."""

        def model_id(entry: Entry | Difference, result: Result) -> int:
            facts = entry.models.get((result.model, result.version)) or self._bare(result)
            if facts not in self._ids:
                self._ids[facts] = store.add_model(
                    connection, facts, sha256=self._hashes.get(facts, ""), at_ms=entry.at_ms
                )
            return self._ids[facts]

        return model_id

    def forget_ids(self) -> None:
        """The transaction that added them did not last."""
        self._ids.clear()

    def _bare(self, result: Result) -> ModelFacts:
        """A model of which nothing is known but what it answered under."""
        return self._unnamed.setdefault(
            (result.model, result.version),
            ModelFacts(
                name=result.model,
                version=result.version,
                task=result.task,
                path=Path(),
                recipe="{}",
                labels=(),
            ),
        )


def write(connection: Connection, items: Iterable[Item], *, models: KnownModels) -> Outcome:
    """Do everything, rows in bulk. Raises what the database raises."""
    outcome = Outcome()
    for are_asks, group in groupby(items, key=lambda item: isinstance(item, Ask)):
        if are_asks:
            for item in group:
                _answer(connection, item, outcome)
        else:
            rows = list(group)
            entries = [row for row in rows if isinstance(row, Entry)]
            refused = [row for row in rows if isinstance(row, Refusal)]
            differing = [row for row in rows if isinstance(row, Difference)]
            store.add_predictions(connection, entries, model_id=models.ids(connection))
            store.add_refusals(connection, refused)
            store.add_differences(connection, differing, model_id=models.ids(connection))
            outcome.written += len(entries)
    return outcome


def write_each(connection: Connection, items: Iterable[Item], *, models: KnownModels) -> Outcome:
    """The same row by row: one that the database does not take is left out and counted."""
    outcome = Outcome()
    for item in items:
        try:
            with connection.begin_nested():
                one = write(connection, [item], models=models)
        except (IntegrityError, DataError, ValueError, TypeError, OverflowError, LookupError):
            models.forget_ids()
            outcome.turned_down += isinstance(item, Entry)
        else:
            outcome.answers += one.answers
            outcome.written += one.written
    return outcome


def _answer(connection: Connection, item: Item, outcome: Outcome) -> None:
    """Do what is asked, in a savepoint of its own: what fails there harms nothing else."""
    if not isinstance(item, Ask) or not item.begin():
        return
    answer: Any
    try:
        with connection.begin_nested():
            answer = item.work(connection)
    except DatabaseError as error:
        if not isinstance(error, IntegrityError | DataError):
            raise
        answer = error
    except (TintypeError, ValueError, TypeError, LookupError) as error:
        answer = error
    outcome.answers.append((item, answer))
