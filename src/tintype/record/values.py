"""What goes into the record and what comes out of it, as plain values. No database here."""

from __future__ import annotations

import enum
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from tintype.types import Box, LabelScore, Point, Prediction, Result, ResultError, Seconds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelFacts:
    """What the record keeps of a served model, once, beside all its predictions.

    One value a loaded model: two are never equal, so that telling them apart is quick.

    ``recipe`` is the expanded recipe as JSON, ``path`` the file or folder whose content is hashed.
    """

    name: str
    version: str
    task: str
    path: Path
    recipe: str
    labels: tuple[str, ...]


Models: TypeAlias = Mapping[tuple[str, str], ModelFacts]
"""The served models by name and version."""


class Entry(Struct, frozen=True, kw_only=True):
    """One answered prediction on its way into the record."""

    at_ms: int
    request_id: str
    key: str
    image_bytes: int
    prediction: Prediction
    models: Models


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One refused request on its way into the record. ``error`` is the error's stable type."""

    at_ms: int
    request_id: str
    key: str
    image_bytes: int
    error: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a canary in the shadow said otherwise, on its way into the record.

    ``position`` is the place of the stable version's result in the prediction.
    """

    at_ms: int
    prediction_id: str
    position: int
    canary: Result
    models: Models


class Kind(enum.StrEnum):
    """How a person said it.

    ``CORRECT``: right or wrong. ``LABEL``: the right label. ``PICKED``: what the person chose
    out of the labels that were answered.
    """

    CORRECT = "correct"
    LABEL = "label"
    PICKED = "picked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a person says of one result. Exactly one of ``correct``, ``label`` and ``picked``.

    ``model`` and ``point`` tell which result is meant, where a prediction has several.
    """

    correct: bool | None = None
    label: str | None = None
    picked: str | None = None
    model: str | None = None
    point: Point | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What follows from what a person said.

    ``right_label`` is None where only "wrong" was said. ``rank`` is the place of the right label
    in the answer, from 1; None where it is unknown or was not answered.
    """

    kind: Kind
    correct: bool
    right_label: str | None
    rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryAnswer:
    """What a canary in the shadow said of a picture, where it was not what was answered."""

    version: str
    labels: tuple[LabelScore, ...] | None
    boxes: tuple[Box, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedResult:
    """One result as it is in the record, with what was said of it.

    ``canary`` is None where none was asked in the shadow, and where it said the same.
    """

    position: int
    model: str
    version: str
    model_sha256: str
    task: str
    point: Point | None
    labels: tuple[LabelScore, ...] | None
    boxes: tuple[Box, ...] | None
    error: ResultError | None
    seconds: float
    feedback: Judged | None
    canary: CanaryAnswer | None = None

    @property
    def best(self) -> LabelScore | Box | None:
        """The first label, or the first box."""
        return first(self.labels, self.boxes)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedImage:
    """The picture of a recorded prediction. ``kept``: whether the picture itself is kept."""

    width: int
    height: int
    format: str
    sha256: str
    orientation: int
    bytes: int
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPrediction:
    """One prediction as it is in the record. ``at_ms``: milliseconds since 1970, UTC."""

    id: str
    at_ms: int
    image: RecordedImage
    results: tuple[RecordedResult, ...]
    seconds: Seconds = field(default_factory=Seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPicture:
    """A row of ``pictures``. ``sha256`` is that of the bytes that were sent."""

    sha256: str
    at_ms: int
    name: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCounts:
    """How the record does, since the start.

    ``waiting`` predictions are not written yet. ``dropped`` were answered and are not in the
    record: the queue was full, or the database did not take them. ``lost`` are those of earlier
    runs that ended without leaving. ``problem`` is why nothing can be written now, empty when all
    is well.
    """

    waiting: int
    written: int
    dropped: int
    lost: int
    problem: str


def all_counts(counts: Sequence[RecordCounts]) -> RecordCounts:
    """The counts of several processes that write one record, as one."""
    return RecordCounts(
        waiting=sum(each.waiting for each in counts),
        written=sum(each.written for each in counts),
        dropped=sum(each.dropped for each in counts),
        lost=sum(each.lost for each in counts),
        problem=next((each.problem for each in counts if each.problem), ""),
    )


def first(
    labels: tuple[LabelScore, ...] | None, boxes: tuple[Box, ...] | None
) -> LabelScore | Box | None:
    """What an answer says first: its best label, or its first box."""
    if labels:
        return labels[0]
    return boxes[0] if boxes else None


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000
