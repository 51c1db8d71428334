"""The statements on the tables. Every function takes a connection whose transaction is open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import Connection, Dialect, Row, Table, delete, exists, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from tintype.errors import UnknownModel, UnknownPrediction
from tintype.record import rows
from tintype.record.judging import judge, meant
from tintype.record.tables import (
    differences,
    feedback,
    losses,
    models,
    pictures,
    predictions,
    refusals,
    results,
)
from tintype.record.values import (
    CanaryAnswer,
    Difference,
    Entry,
    Judged,
    KeptPicture,
    Kind,
    ModelFacts,
    RecordedImage,
    RecordedPrediction,
    RecordedResult,
    Refusal,
    Said,
)
from tintype.types import Box, LabelScore, Point, Result, ResultError, Seconds

_GONE = 0
"""The time of a kept picture that is to go."""

_SECONDS = ("decode", "prepare", "queue", "run", "total")


def add_model(connection: Connection, facts: ModelFacts, *, sha256: str, at_ms: int) -> int:
    """The number of a model in the record; a new one is added."""
    row = rows.model_row(facts, sha256=sha256, at_ms=at_ms)
    connection.execute(_insert_new(connection, models), row)
    found = select(models.c.id).where(models.c.fingerprint == row["fingerprint"])
    return int(connection.execute(found).scalar_one())


def add_predictions(
    connection: Connection, entries: Sequence[Entry], *, model_id: Callable[[Entry, Result], int]
) -> None:
    """Add predictions with their results. One that is there already is left as it is.

    A result for a model that is not served is left out: its name is a stranger's text, of which
    there is no end.
    """
    if not entries:
        return
    _add(connection, predictions, [rows.prediction_row(entry) for entry in entries])
    answered = [
        rows.result_row(entry, position, result, model_id=model_id(entry, result))
        for entry in entries
        for position, result in enumerate(entry.prediction.results)
        if result.error is None or result.error.type != UnknownModel.type
    ]
    if answered:
        _add(connection, results, answered)


def add_differences(
    connection: Connection,
    found: Iterable[Difference],
    *,
    model_id: Callable[[Difference, Result], int],
) -> None:
    """Add what canaries said otherwise. Where the result is not in the record, nothing is."""
    for each in found:
        row = rows.difference_row(each, model_id=model_id(each, each.canary))
        there = select(results.c.position).where(
            results.c.prediction_id == each.prediction_id, results.c.position == each.position
        )
        if connection.execute(there).first() is not None:
            connection.execute(_insert_new(connection, differences), row)


def add_refusals(connection: Connection, refused: Sequence[Refusal]) -> None:
    """Add refused requests."""
    if refused:
        connection.execute(insert(refusals), [rows.refusal_row(each) for each in refused])


def add_loss(connection: Connection, *, at_ms: int, reason: str, count: int) -> None:
    """Note that ``count`` predictions were answered and not recorded, and why."""
    connection.execute(insert(losses), {"at_ms": at_ms, "reason": reason, "count": count})


def find(connection: Connection, prediction_id: str) -> RecordedPrediction:
    """A prediction with its results and what was said of them. Raises UnknownPrediction."""
    row = connection.execute(
        select(predictions, pictures.c.name.label("kept_as"))
        .outerjoin(
            pictures,
            (pictures.c.sha256 == predictions.c.image_sha256) & (pictures.c.at_ms > _GONE),
        )
        .where(predictions.c.id == prediction_id)
    ).one_or_none()
    if row is None:
        raise _unknown(prediction_id)
    said = (results.c.prediction_id == feedback.c.prediction_id) & (
        results.c.position == feedback.c.position
    )
    differed = (results.c.prediction_id == differences.c.prediction_id) & (
        results.c.position == differences.c.position
    )
    canaries = models.alias()
    found = connection.execute(
        select(
            results,
            models.c.name,
            models.c.version,
            models.c.sha256,
            models.c.task,
            feedback.c.kind,
            feedback.c.correct,
            feedback.c.right_label,
            feedback.c.rank,
            canaries.c.version.label("canary"),
            differences.c.labels.label("canary_labels"),
            differences.c.boxes.label("canary_boxes"),
        )
        .join(models, models.c.id == results.c.model_id)
        .outerjoin(feedback, said)
        .outerjoin(differences, differed)
        .outerjoin(canaries, canaries.c.id == differences.c.model_id)
        .where(results.c.prediction_id == prediction_id)
        .order_by(results.c.position)
    )
    return RecordedPrediction(
        id=row.id,
        at_ms=row.at_ms,
        image=_image(row),
        results=tuple(_result(each) for each in found),
        seconds=Seconds(**{name: getattr(row, f"{name}_s") for name in _SECONDS}),
    )


def put_feedback(
    connection: Connection, prediction_id: str, said: Said, *, key: str, at_ms: int
) -> tuple[RecordedResult, Judged]:
    """Keep what a person said of one result, in place of what was said before.

    Raises UnknownPrediction, and MalformedRequest when the words do not fit the result.
    """
    _hold(connection, prediction_id, going=False)
    prediction = find(connection, prediction_id)
    result = meant(prediction, said)
    model = connection.execute(
        select(models.c.id, models.c.labels)
        .join(results, results.c.model_id == models.c.id)
        .where(results.c.prediction_id == prediction_id, results.c.position == result.position)
    ).one()
    judged = judge(result, said, labels=_labels(model.labels))
    best = result.best
    row = {
        "at_ms": at_ms,
        "predicted_ms": prediction.at_ms,
        "model_id": model.id,
        "kind": judged.kind.value,
        "correct": judged.correct,
        "predicted": best.label if best else None,
        "score": best.score if best else None,
        "right_label": judged.right_label,
        "rank": judged.rank,
        "listed": len(result.labels or ()),
        "key_name": rows.text(key),
    }
    keys = {"prediction_id": prediction_id, "position": result.position}
    statement = _dialect(connection.dialect).insert(feedback).values(**keys, **row)
    connection.execute(statement.on_conflict_do_update(index_elements=[*keys], set_=row))
    return result, judged


def forget(connection: Connection, prediction_id: str) -> bool:
    """Delete a prediction with all that was said of it. Raises UnknownPrediction.

    Tells whether a kept picture is now of no prediction: it is marked for the sweeper.
    """
    sha256 = _hold(connection, prediction_id, going=True)
    if sha256 is None:
        raise _unknown(prediction_id)
    _delete(connection, [prediction_id])
    return _let_go(connection, [sha256])


def forget_old(connection: Connection, *, before_ms: int, most: int) -> int:
    """Delete at most ``most`` predictions older than ``before_ms`` of which nobody said anything.

    Tells how many there were.
    """
    old = (
        select(predictions.c.id, predictions.c.image_sha256)
        .outerjoin(feedback, feedback.c.prediction_id == predictions.c.id)
        .where(predictions.c.at_ms < before_ms, feedback.c.prediction_id.is_(None))
        .order_by(predictions.c.at_ms)
        .limit(most)
        .with_for_update(of=predictions, skip_locked=True)
    )
    found = connection.execute(old).all()
    # What was said just before they were held is seen only now.
    ids = [row.id for row in found]
    judged = select(feedback.c.prediction_id).where(feedback.c.prediction_id.in_(ids))
    kept = set(connection.execute(judged).scalars())
    _delete(connection, [each for each in ids if each not in kept])
    _let_go(connection, {row.image_sha256 for row in found})
    connection.execute(
        delete(refusals).where(
            refusals.c.id.in_(select(refusals.c.id).where(refusals.c.at_ms < before_ms).limit(most))
        )
    )
    return len(found)


def add_pictures(connection: Connection, kept: Iterable[KeptPicture]) -> tuple[KeptPicture, ...]:
    """Add kept pictures, and tell which were not there before: their files are to be written.

    A picture without a prediction is left out: it was deleted meanwhile. One that is there
    already counts as new by age; one that is on its way out is written anew.
    """
    fresh = []
    for each in kept:
        asked = select(predictions.c.id).where(predictions.c.image_sha256 == each.sha256).limit(1)
        # held, so that who deletes it now finds the picture
        held = asked.with_for_update(read=True, key_share=True)
        if connection.execute(held).first() is None:
            continue
        kept_as = (pictures.c.sha256 == each.sha256) & (pictures.c.at_ms > _GONE)
        renewed = connection.execute(pictures.update().where(kept_as).values(at_ms=each.at_ms))
        if renewed.rowcount == 0 and _is_new(connection, each):
            fresh.append(each)
    return tuple(fresh)


def still_kept(connection: Connection, hashes: Sequence[str]) -> set[str]:
    """Those of these pictures that are kept and not on their way out."""
    found = select(pictures.c.sha256).where(pictures.c.sha256.in_(hashes), pictures.c.at_ms > _GONE)
    return set(connection.execute(found).scalars())


def excess_pictures(
    connection: Connection, *, before_ms: int, max_bytes: int, most: int
) -> tuple[KeptPicture, ...]:
    """At most ``most`` pictures that are older than allowed, or too much in all; oldest first.

    They are marked: whoever keeps one of them from now on writes its file anew. Then their files
    are to be deleted, and ``drop_gone`` called.
    """
    total = int(connection.execute(select(func.sum(pictures.c.bytes))).scalar() or 0)
    found = []
    oldest = select(pictures).order_by(pictures.c.at_ms).limit(most)
    for row in connection.execute(oldest):
        if row.at_ms >= before_ms and total <= max_bytes:
            break
        total -= row.bytes
        found.append(
            KeptPicture(sha256=row.sha256, at_ms=row.at_ms, name=row.name, bytes=row.bytes)
        )
    hashes = [each.sha256 for each in found]
    connection.execute(pictures.update().where(pictures.c.sha256.in_(hashes)).values(at_ms=_GONE))
    return tuple(found)


def drop_gone(connection: Connection, hashes: Sequence[str]) -> None:
    """Forget those of these pictures that were marked, and that nobody kept again meanwhile."""
    gone = pictures.c.sha256.in_(hashes) & (pictures.c.at_ms == _GONE)
    connection.execute(delete(pictures).where(gone))


def drop_pictures(connection: Connection, hashes: Sequence[str]) -> None:
    """Forget that these pictures are kept."""
    connection.execute(delete(pictures).where(pictures.c.sha256.in_(hashes)))


def count(connection: Connection, table: Table) -> int:
    """How many rows a table has."""
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _hold(connection: Connection, prediction_id: str, *, going: bool) -> str | None:
    """Have others who change this prediction wait until the end of the transaction.

    ``going``: it will be deleted, so that who keeps its picture must wait, too. Gives the hash of
    its picture, None where there is no such prediction. SQLite has one writer at a time anyway.
    """
    held = select(predictions.c.image_sha256).where(predictions.c.id == prediction_id)
    return connection.execute(held.with_for_update(key_share=not going)).scalar_one_or_none()


def _delete(connection: Connection, ids: Iterable[str]) -> None:
    ids = list(ids)
    for table in (feedback, differences, results):
        connection.execute(delete(table).where(table.c.prediction_id.in_(ids)))
    connection.execute(delete(predictions).where(predictions.c.id.in_(ids)))


def _is_new(connection: Connection, kept: KeptPicture) -> bool:
    """Add a picture that is not kept; False where another process was quicker."""
    row = msgspec.to_builtins(kept)
    statement = _dialect(connection.dialect).insert(pictures).values(row)
    added = connection.execute(
        statement.on_conflict_do_update(
            index_elements=[pictures.c.sha256], set_=row, where=pictures.c.at_ms == _GONE
        )
    )
    return bool(added.rowcount)


def _let_go(connection: Connection, hashes: Iterable[str]) -> bool:
    """Mark kept pictures that are of no prediction any more; tell whether there are any.

    The sweeper deletes the file first and the row after it, so that no file is left behind.
    """
    orphan = ~exists().where(predictions.c.image_sha256 == pictures.c.sha256)
    marked = connection.execute(
        pictures.update().where(pictures.c.sha256.in_(list(hashes)), orphan).values(at_ms=_GONE)
    )
    return marked.rowcount > 0


def _image(row: Row[Any]) -> RecordedImage:
    return RecordedImage(
        width=row.image_width,
        height=row.image_height,
        format=row.image_format,
        sha256=row.image_sha256,
        orientation=row.image_orientation,
        bytes=row.image_bytes,
        kept=row.kept_as is not None,
    )


def _result(row: Row[Any]) -> RecordedResult:
    said = None
    if row.kind is not None:
        said = Judged(
            kind=Kind(row.kind),
            correct=row.correct,
            right_label=row.right_label,
            rank=row.rank,
        )
    canary = None
    if row.canary is not None:
        canary = CanaryAnswer(
            version=row.canary,
            labels=_decode(row.canary_labels, tuple[LabelScore, ...]),
            boxes=_decode(row.canary_boxes, tuple[Box, ...]),
        )
    return RecordedResult(
        position=row.position,
        model=row.name,
        version=row.version,
        model_sha256=row.sha256,
        task=row.task,
        point=None if row.point_x is None else Point(x=row.point_x, y=row.point_y),
        labels=_decode(row.labels, tuple[LabelScore, ...]),
        boxes=_decode(row.boxes, tuple[Box, ...]),
        error=None
        if row.error is None
        else ResultError(type=row.error, detail=row.error_detail or ""),
        seconds=row.seconds,
        feedback=said,
        canary=canary,
    )


def _decode(text: str | None, kind: Any) -> Any:
    return None if text is None else msgspec.json.decode(text, type=kind)


def _labels(text: str) -> tuple[str, ...]:
    return msgspec.json.decode(text, type=tuple[str, ...])


def _add(connection: Connection, table: Table, added: Sequence[rows.Row]) -> None:
    """Add rows that have every column of the table, but for those whose key is there already.

    By the driver itself: what SQLAlchemy does for each row takes longer than the database does.
    """
    text, names, positional = _insert_text(connection.dialect, table)
    if positional:
        in_order = itemgetter(*names)
        connection.exec_driver_sql(text, [in_order(row) for row in added])
    else:
        connection.exec_driver_sql(text, list(added))


@lru_cache(maxsize=8)
def _insert_text(dialect: Dialect, table: Table) -> tuple[str, tuple[str, ...], bool]:
    """The statement in the driver's words, its columns in their order, and whether that counts."""
    compiled = _dialect(dialect).insert(table).on_conflict_do_nothing().compile(dialect=dialect)
    return str(compiled), tuple(compiled.positiontup or ()), bool(compiled.positional)


def _insert_new(connection: Connection, table: Table) -> Any:
    """An INSERT that leaves rows alone whose key is there already."""
    return _dialect(connection.dialect).insert(table).on_conflict_do_nothing()


def _dialect(dialect: Dialect) -> Any:
    return postgresql if dialect.name == "postgresql" else sqlite


def _unknown(prediction_id: str) -> UnknownPrediction:
    return UnknownPrediction(
        f"no prediction {prediction_id[:64]!r} is in the record",
        hint="the id is in the answer to the picture",
    )
