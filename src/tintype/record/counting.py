"""What the database counts for reports. Every function takes a connection that reads.

Accuracy needs the table ``feedback`` alone, so it costs what was judged, not what was predicted.
What was answered lately is read from the end of the index ``results_mix``, so that it costs the
same whatever the record has.
``docs/reference/record.md`` has the plans and the times at a million predictions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
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
    ScoreBin,
    score_bin,
    week_begins,
)
from tintype.record.reports import Asked, Differed, Disagreement, KnownModel
from tintype.record.tables import differences as differed
from tintype.record.tables import feedback, losses, models, pictures, predictions, results

TOPS: Final = (1, 3, 5)
_LOOK: Final = ("brightness", "contrast", "colour", "detail")


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
    """Count what people said, as ``tintype.record.outcomes.count`` counts outcomes.

    Each model is asked for by itself, so that its rows are read in the order of an index.
    """
    known = [
        each
        for each in known_models(connection)
        if asked.model in {None, each.name} and asked.version in {None, each.version}
    ]
    numbers = [number for each in known for number in each.ids]
    weeks = _weeks(connection, asked, numbers)
    hits = {
        (each.name, each.version): _hits([row for row in weeks if row.model_id in each.ids])
        for each in known
    }
    confusion, top = _labels(connection, asked, numbers)
    return Counts(
        hits=_hits(weeks),
        top=top,
        confusion=confusion,
        bins=_bins(connection, asked, numbers),
        weeks={
            week_begins(number): _hits([row for row in weeks if row.week == number])
            for number in sorted({row.week for row in weeks})
        },
        versions={name: found for name, found in hits.items() if found.judged},
    )


def hits(
    connection: Connection, versions: Collection[tuple[str, str]]
) -> dict[tuple[str, str], Hits]:
    """What people said in all of each of these names and versions; none, of one nobody judged."""
    names = {
        number: (each.name, each.version)
        for each in known_models(connection)
        if (each.name, each.version) in versions
        for number in each.ids
    }
    statement = (
        select(feedback.c.model_id, _JUDGED, _RIGHT)
        .where(feedback.c.model_id.in_(names))
        .group_by(feedback.c.model_id)
    )
    found = connection.execute(statement).all()
    return {
        version: _hits([row for row in found if names[row.model_id] == version])
        for version in versions
    }


def answers(connection: Connection, model: KnownModel, *, most: int) -> int:
    """How many answers with a label a version has; no more than ``most`` are counted."""
    some = (
        select(results.c.at_ms)
        .where(results.c.model_id.in_(model.ids), results.c.label.is_not(None))
        .limit(most)
        .subquery()
    )
    return connection.execute(select(func.count()).select_from(some)).scalar_one()


def sample(
    connection: Connection,
    model: KnownModel,
    *,
    count: int,
    newest: bool,
    after_ms: int | None = None,
) -> tuple[Sample, int | None]:
    """What the last (or the first) ``count`` answers of a version were like.

    ``after_ms`` leaves out those until then. Also tells the time of the last one looked at, None
    where there is none.
    """
    found = [
        row
        for number in model.ids
        for row in connection.execute(
            _answers(number, newest=newest, after_ms=after_ms).limit(count)
        )
    ]
    found = sorted(found, key=lambda row: row.at_ms, reverse=newest)[:count]
    labels = Counter(row.label for row in found)
    measures: dict[str, list[float]] = {"score": [row.score for row in found]}
    for look in _looks(connection, list(dict.fromkeys(row.prediction_id for row in found))):
        for name, value in look.items():
            measures.setdefault(name, []).append(value)
    return Sample(measures=measures, labels=labels), max((row.at_ms for row in found), default=None)


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
            pictures.c.name.label("kept_as"),
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
            picture=row.kept_as,
        )
        for row in connection.execute(statement)
    )


def differences(connection: Connection, *, model: str, count: int) -> tuple[Differed, ...]:
    """The latest answers of a model that its canary in the shadow would not have given."""
    canaries = models.alias()
    statement = (
        select(
            differed.c.prediction_id,
            results.c.at_ms,
            results.c.label,
            results.c.score,
            models.c.version,
            canaries.c.version.label("canary"),
            differed.c.label.label("said"),
            differed.c.score.label("said_score"),
            pictures.c.name.label("kept_as"),
        )
        .join(
            results,
            (results.c.prediction_id == differed.c.prediction_id)
            & (results.c.position == differed.c.position),
        )
        .join(models, models.c.id == results.c.model_id)
        .join(canaries, canaries.c.id == differed.c.model_id)
        .join(predictions, predictions.c.id == differed.c.prediction_id)
        .outerjoin(pictures, pictures.c.sha256 == predictions.c.image_sha256)
        .where(canaries.c.name == model)
        .order_by(differed.c.at_ms.desc())
        .limit(count)
    )
    return tuple(
        Differed(
            prediction_id=row.prediction_id,
            at_ms=row.at_ms,
            version=row.version,
            answered=row.label,
            score=row.score,
            canary=row.canary,
            said=row.said,
            said_score=row.said_score,
            picture=row.kept_as,
        )
        for row in connection.execute(statement)
    )


def lost(connection: Connection) -> dict[str, int]:
    """Predictions that were answered and never recorded, by reason, since the record began."""
    statement = select(losses.c.reason, func.sum(losses.c.count).label("lost")).group_by(
        losses.c.reason
    )
    return {row.reason: int(row.lost) for row in connection.execute(statement)}


_JUDGED: Final = func.count().label("judged")
_RIGHT: Final = func.sum(cast(feedback.c.correct, Integer)).label("right")
_WEEK: Final = (
    (feedback.c.predicted_ms - literal_column(str(FIRST_MONDAY_MS), BigInteger))
    // literal_column(str(WEEK_MS), BigInteger)
).label("week")


def _where(asked: Asked, model_id: int) -> ColumnElement[bool]:
    parts: list[ColumnElement[bool]] = [feedback.c.model_id == model_id]
    if asked.since_ms is not None:
        parts.append(feedback.c.predicted_ms >= asked.since_ms)
    if asked.label is not None:
        parts.append(feedback.c.right_label == asked.label)
    return and_(*parts)


def _weeks(connection: Connection, asked: Asked, numbers: Sequence[int]) -> list[Row[Any]]:
    """Hits of each model and week."""
    return [
        row
        for number in numbers
        for row in connection.execute(
            select(literal_column(str(number)).label("model_id"), _WEEK, _JUDGED, _RIGHT)
            .where(_where(asked, number))
            .group_by(_WEEK)
        )
    ]


def _labels(
    connection: Connection, asked: Asked, numbers: Sequence[int]
) -> tuple[Counter[tuple[str, str | None]], dict[int, Hits]]:
    """The confusion, and the hits among the first N; only where the right label is known."""
    columns = (feedback.c.right_label, feedback.c.predicted, feedback.c.rank, feedback.c.listed)
    confusion: Counter[tuple[str, str | None]] = Counter()
    right: Counter[int] = Counter()
    judged: Counter[int] = Counter()
    for number in numbers:
        statement = select(*columns, _JUDGED).where(_where(asked, number)).group_by(*columns)
        for label, predicted, rank, listed, count in connection.execute(statement):
            if label is None:
                continue
            confusion[label, predicted] += count
            for n in TOPS:
                if listed >= n:
                    judged[n] += count
                    right[n] += count if rank is not None and rank <= n else 0
    return confusion, {n: Hits(right=right[n], judged=judged[n]) for n in TOPS}


def _bins(connection: Connection, asked: Asked, numbers: Sequence[int]) -> tuple[ScoreBin, ...]:
    """A bin is told by comparing the score with the edges: the same in every database."""
    number = _bin(0, len(SCORE_EDGES)).label("bin")
    found: dict[int, list[Row[Any]]] = {}
    for model_id in numbers:
        statement = (
            select(number, _JUDGED, _RIGHT, func.sum(feedback.c.score).label("score_sum"))
            .where(_where(asked, model_id), feedback.c.score.is_not(None))
            .group_by(number)
        )
        for row in connection.execute(statement):
            found.setdefault(row.bin, []).append(row)
    return tuple(
        score_bin(
            bin_number,
            judged=sum(row.judged for row in rows),
            score_sum=sum(row.score_sum for row in rows),
            right=sum(row.right for row in rows),
        )
        for bin_number, rows in sorted(found.items())
    )


def _bin(low: int, high: int) -> ColumnElement[int]:
    """The number of the score's bin among ``low`` to ``high``, by halves."""
    if low == high:
        return literal_column(str(low), Integer)
    middle = (low + high) // 2
    edge: ColumnElement[float] = literal_column(repr(SCORE_EDGES[middle]))
    return case((feedback.c.score > edge, _bin(middle + 1, high)), else_=_bin(low, middle))


def _hits(rows: Sequence[Row[Any]]) -> Hits:
    return Hits(right=sum(row.right for row in rows), judged=sum(row.judged for row in rows))


def _answers(model_id: int, *, newest: bool, after_ms: int | None) -> Select[Any]:
    """The answers of one model that have a label, in order of time, by the index alone."""
    statement = select(
        results.c.prediction_id, results.c.at_ms, results.c.label, results.c.score
    ).where(results.c.model_id == model_id, results.c.label.is_not(None))
    if after_ms is not None:
        statement = statement.where(results.c.at_ms > after_ms)
    return statement.order_by(results.c.at_ms.desc() if newest else results.c.at_ms)


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
