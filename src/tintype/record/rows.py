"""Entries as rows of the tables. Pure: columns are named as in ``tintype.record.tables``."""

from __future__ import annotations

import hashlib
import math
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from tintype.record.values import Difference, Entry, ModelFacts, Refusal, first
from tintype.types import Box, LabelScore, PictureLook, Result

Row: TypeAlias = dict[str, Any]

_LONGEST_TEXT = 1000
_LOOK = PictureLook.__struct_fields__


def model_row(facts: ModelFacts, *, sha256: str, at_ms: int) -> Row:
    """A row of ``models``. The fingerprint is that of everything but the time."""
    row: Row = {
        "name": text(facts.name),
        "version": text(facts.version),
        "task": facts.task,
        "file": text(facts.path.name),
        "sha256": sha256,
        "recipe": facts.recipe,
        "labels": json([text(label) for label in facts.labels]),
    }
    fingerprint = hashlib.sha256(msgspec.json.encode(list(row.values()))).hexdigest()
    return row | {"fingerprint": fingerprint, "first_ms": at_ms}


def prediction_row(entry: Entry) -> Row:
    """A row of ``predictions``."""
    prediction, seconds = entry.prediction, entry.prediction.seconds
    image = prediction.image
    return {
        "id": prediction.id,
        "at_ms": entry.at_ms,
        "request_id": text(entry.request_id),
        "key_name": text(entry.key),
        "image_sha256": image.sha256,
        "image_bytes": entry.image_bytes,
        "image_width": image.width,
        "image_height": image.height,
        "image_format": image.format,
        "image_orientation": image.orientation,
        "decode_s": seconds.decode,
        "prepare_s": seconds.prepare,
        "queue_s": seconds.queue,
        "run_s": seconds.run,
        "total_s": seconds.total,
        **{name: getattr(prediction.look, name, None) for name in _LOOK},
    }


def result_row(entry: Entry, position: int, result: Result, *, model_id: int) -> Row:
    """A row of ``results``. A fallback is what the owner said, not the model: it is left out."""
    labels = None if result.fallback else result.labels
    return {
        "prediction_id": entry.prediction.id,
        "position": position,
        "at_ms": entry.at_ms,
        "model_id": model_id,
        "point_x": result.point.x if result.point else None,
        "point_y": result.point.y if result.point else None,
        **_answer(labels, result.boxes),
        "error": result.error.type if result.error else None,
        "error_detail": text(result.error.detail) if result.error else None,
        "seconds": result.seconds,
    }


def difference_row(difference: Difference, *, model_id: int) -> Row:
    """A row of ``differences``."""
    canary = difference.canary
    return {
        "prediction_id": difference.prediction_id,
        "position": difference.position,
        "at_ms": difference.at_ms,
        "model_id": model_id,
        **_answer(canary.labels, canary.boxes),
    }


def refusal_row(refusal: Refusal) -> Row:
    """A row of ``refusals``."""
    return {
        "at_ms": refusal.at_ms,
        "request_id": text(refusal.request_id),
        "key_name": text(refusal.key),
        "error": refusal.error,
        "image_bytes": refusal.image_bytes,
        "seconds": refusal.seconds,
    }


def text(value: str) -> str:
    """A text that both databases take: no NUL, no half of a surrogate pair, not too long."""
    whole = value.encode("utf-8", "backslashreplace").decode("utf-8")
    return whole.replace("\0", "\ufffd")[:_LONGEST_TEXT]


def json(value: object) -> str:
    """JSON as text."""
    return msgspec.json.encode(value).decode("utf-8")


def _answer(labels: tuple[LabelScore, ...] | None, boxes: tuple[Box, ...] | None) -> Row:
    """The columns of what a model said."""
    best = first(labels, boxes)
    return {
        "label": text(best.label) if best else None,
        "score": _score(best.score) if best else None,
        "labels": None if labels is None else json(_clean(labels)),
        "boxes": None if boxes is None else json(_clean(boxes)),
    }


def _clean(found: tuple[LabelScore, ...] | tuple[Box, ...]) -> list[LabelScore | Box]:
    """The labels or boxes with texts that both databases take, as in the columns."""
    return [
        each if (label := text(each.label)) == each.label else replace(each, label=label)
        for each in found
    ]


def _score(score: float) -> float | None:
    return score if math.isfinite(score) else None
