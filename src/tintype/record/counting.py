"""What the database counts for reports. Every function takes a connection that reads.

Accuracy needs the table ``feedback`` alone, so it costs what was judged, not what was predicted.
What was answered lately is read from the end of the index ``results_mix``, so that it costs the
same whatever the record has.
``docs/reference/record.md`` has the plans and the times at a million predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    Integer,
    Row,
    Select,
    and_,
    case,
    cast,
    func,
    literal_column,
    select,
)

from tintype.record.drift import Sample
from tintype.record.outcomes import (
    FIRST_MONDAY_MS,
    SCORE_EDGES,
    WEEK_MS,
    Counts,
    Hits,
    score_bin,
    week_begins,
)
from tintype.record.tables import feedback, losses, models, pictures, predictions, results

TOPS: Final = (1, 3, 5)
_LOOK: Final = ("brightness", "contrast", "colour", "detail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which judged predictions are counted: those that fit all that is given.

    ``label`` is the right label; ``since_ms`` leaves out what was predicted before.
    """

    model: str | None = None
    version: str | None = None
    label: str | None = None
    since_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A name and version in the record, with the numbers of its rows in ``models``.

    One version has several rows when it was served with other files or recipes.
    """

    name: str
    version: str
    task: str
    ids: tuple[int, ...]
    first_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """An answer that somebody called wrong. ``picture`` tells whether it is kept."""

    prediction_id: str
    at_ms: int
    model: str
    version: str
    answered: str | None
    score: float | None
    right: str | None
    picture: bool


def known_models(connection: Connection) -> tuple[KnownModel, ...]:
    """Every model and version in the record, the latest first."""
    found: dict[tuple[str, str], list[Row[Any]]] = {}
    for row in connection.execute(select(models).order_by(models.c.first_ms.desc())):
        found.setdefault((row.name, row.version), []).append(row)
    return tuple(
        KnownModel(
            name=name,
            version=version,
            task=rows[0].task,
            ids=tuple(row.id for row in rows),
            first_ms=min(row.first_ms for row in rows),
        )
        for (name, version), rows in found.items()
    )


def count_judged(connection: Connection, asked: Asked) -> Counts:
    """Count what people said, as ``tintype.record.outcomes.count`` counts outcomes."""
    known = [
        each
        for each in known_models(connection)
        if asked.model in {None, each.name} and asked.version in {None, each.version}
    ]
    names = {number: (each.name, each.version) for each in known for number in each.ids}
    where = _where(asked, ids=[*names])
    rows = connection.execute(_hits(where)).all()
    return Counts(
        hits=_sum(rows),
        top={
            n: Hits(
                right=sum(getattr(row, f"right_{n}") or 0 for row in rows),
                judged=sum(getattr(row, f"judged_{n}") or 0 for row in rows),
            )
            for n in TOPS
        },
        confusion={
            (row.right_label, row.predicted): row.judged
            for row in connection.execute(_confusion(where))
        },
        bins=tuple(
            score_bin(row.bin, judged=row.judged, score_sum=row.score_sum, right=row.right)
            for row in connection.execute(_bins(where))
        ),
        weeks=_by_week(rows),
        versions={
            name: _sum([row for row in rows if names[row.model_id] == name])
            for name in dict.fromkeys(names[row.model_id] for row in rows)
        },
    )


def latest(connection: Connection, model: KnownModel, *, count: int) -> Sample:
    """What the last ``count`` answers of a model version were like."""
    return _sample(connection, model, count=count, newest=True)


def first(connection: Connection, model: KnownModel, *, count: int) -> Sample:
    """What its first ``count`` answers were like."""
    return _sample(connection, model, count=count, newest=False)


def disagreements(
    connection: Connection, *, model: str | None, count: int
) -> tuple[Disagreement, ...]:
    """The latest answers that somebody called wrong."""
    ids = [each.ids for each in known_models(connection) if model in {None, each.name}]
    statement = (
        select(
            feedback.c.prediction_id,
            feedback.c.predicted_ms,
            feedback.c.predicted,
            feedback.c.score,
            feedback.c.right_label,
            models.c.name,
            models.c.version,
            pictures.c.sha256,
        )
        .join(models, models.c.id == feedback.c.model_id)
        .join(predictions, predictions.c.id == feedback.c.prediction_id)
        .outerjoin(pictures, pictures.c.sha256 == predictions.c.image_sha256)
        .where(feedback.c.correct.is_(False))
        .order_by(feedback.c.at_ms.desc())
        .limit(count)
    )
    if model is not None:
        statement = statement.where(
            feedback.c.model_id.in_([number for numbers in ids for number in numbers])
        )
    return tuple(
        Disagreement(
            prediction_id=row.prediction_id,
            at_ms=row.predicted_ms,
            model=row.name,
            version=row.version,
            answered=row.predicted,
            score=row.score,
            right=row.right_label,
            picture=row.sha256 is not None,
        )
        for row in connection.execute(statement)
    )


def lost(connection: Connection) -> dict[str, int]:
    """Predictions that were answered and never recorded, by reason, since the record began."""
    statement = select(losses.c.reason, func.sum(losses.c.count).label("lost")).group_by(
        losses.c.reason
    )
    return {row.reason: int(row.lost) for row in connection.execute(statement)}


def _where(asked: Asked, *, ids: Sequence[int]) -> ColumnElement[bool]:
    parts: list[ColumnElement[bool]] = [feedback.c.model_id.in_(ids)]
    if asked.since_ms is not None:
        parts.append(feedback.c.predicted_ms >= asked.since_ms)
    if asked.label is not None:
        parts.append(feedback.c.right_label == asked.label)
    return and_(*parts)


_JUDGED: Final = func.count().label("judged")
_RIGHT: Final = func.sum(cast(feedback.c.correct, Integer)).label("right")
_WEEK: Final = (
    (feedback.c.predicted_ms - literal_column(str(FIRST_MONDAY_MS), BigInteger))
    // literal_column(str(WEEK_MS), BigInteger)
).label("week")


def _hits(where: ColumnElement[bool]) -> Select[Any]:
    """Hits, and hits among the first N, of each model and week."""
    known = feedback.c.right_label.is_not(None)
    tops: list[ColumnElement[Any]] = []
    for n in TOPS:
        listed = and_(known, feedback.c.listed >= n)
        tops += [
            func.sum(case((listed, 1), else_=0)).label(f"judged_{n}"),
            func.sum(case((and_(listed, feedback.c.rank <= n), 1), else_=0)).label(f"right_{n}"),
        ]
    return (
        select(feedback.c.model_id, _WEEK, _JUDGED, _RIGHT, *tops)
        .where(where)
        .group_by(feedback.c.model_id, _WEEK)
    )


def _confusion(where: ColumnElement[bool]) -> Select[Any]:
    return (
        select(feedback.c.right_label, feedback.c.predicted, _JUDGED)
        .where(where, feedback.c.right_label.is_not(None))
        .group_by(feedback.c.right_label, feedback.c.predicted)
    )


def _bins(where: ColumnElement[bool]) -> Executable:
    """A bin is told by comparing the score with the edges: the same in every database."""
    number = _bin(0, len(SCORE_EDGES)).label("bin")
    return (
        select(number, _JUDGED, _RIGHT, func.sum(feedback.c.score).label("score_sum"))
        .where(where, feedback.c.score.is_not(None))
        .group_by(number)
        .order_by(number)
    )


def _bin(low: int, high: int) -> ColumnElement[int]:
    """The number of the score's bin among ``low`` to ``high``, by halves."""
    if low == high:
        return literal_column(str(low), Integer)
    middle = (low + high) // 2
    edge: ColumnElement[float] = literal_column(repr(SCORE_EDGES[middle]))
    return case((feedback.c.score > edge, _bin(middle + 1, high)), else_=_bin(low, middle))


def _sum(rows: Sequence[Row[Any]]) -> Hits:
    return Hits(right=sum(row.right for row in rows), judged=sum(row.judged for row in rows))


def _by_week(rows: Sequence[Row[Any]]) -> dict[date, Hits]:
    weeks: dict[int, list[Row[Any]]] = {}
    for row in rows:
        weeks.setdefault(row.week, []).append(row)
    return {week_begins(number): _sum(found) for number, found in sorted(weeks.items())}


def _sample(connection: Connection, model: KnownModel, *, count: int, newest: bool) -> Sample:
    """The last or the first answers, by the index, then what their pictures looked like."""
    order = results.c.at_ms.desc() if newest else results.c.at_ms
    found = [
        row
        for number in model.ids
        for row in connection.execute(
            select(results.c.prediction_id, results.c.at_ms, results.c.label, results.c.score)
            .where(results.c.model_id == number, results.c.label.is_not(None))
            .order_by(order)
            .limit(count)
        )
    ]
    found = sorted(found, key=lambda row: row.at_ms, reverse=newest)[:count]
    labels: dict[str, int] = {}
    for row in found:
        labels[row.label] = labels.get(row.label, 0) + 1
    measures: dict[str, list[float]] = {"score": [row.score for row in found]}
    for look in _looks(connection, list(dict.fromkeys(row.prediction_id for row in found))):
        for name, value in look.items():
            measures.setdefault(name, []).append(value)
    return Sample(measures=measures, labels=labels)


_AT_ONCE: Final = 500


def _looks(connection: Connection, ids: Sequence[str]) -> list[dict[str, float]]:
    """What is known of the look of each prediction's picture."""
    found = []
    columns = [predictions.c[name] for name in _LOOK]
    size = (predictions.c.image_width * predictions.c.image_height).label("size")
    for begin in range(0, len(ids), _AT_ONCE):
        some = ids[begin : begin + _AT_ONCE]
        for row in connection.execute(select(size, *columns).where(predictions.c.id.in_(some))):
            look = {"size": row.size / 1e6}
            look |= {name: value for name in _LOOK if (value := getattr(row, name)) is not None}
            found.append(look)
    return found
