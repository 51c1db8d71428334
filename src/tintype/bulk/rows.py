"""Predictions as flat rows, and what has none as failures. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tintype.bulk.items import Item, Piece
from tintype.imaging.recipe import Recipe, settings_of
from tintype.predict import Direct, Given, PredictRequest, Told
from tintype.types import Box, Prediction, Result

ROW, FAILURE = b"R", b"E"
"""The first byte of a line says what it is."""


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one model says of one picture, or of one point in it. A field is a column.

    ``label``, ``score`` and ``index`` are the best of ``labels``, ``scores`` and ``indexes``, or
    those of the surest of ``boxes``; null where nothing was above the threshold. ``width`` and
    ``height`` are of the upright picture, ``sha256`` of the bytes, ``recipe`` is JSON.
    """

    source: str
    sha256: str
    width: int
    height: int
    format: str
    model: str
    version: str
    recipe: str
    point_x: float | None
    point_y: float | None
    label: str | None
    score: float | None
    index: int | None
    labels: tuple[str, ...] | None
    scores: tuple[float, ...] | None
    indexes: tuple[int, ...] | None
    boxes: tuple[Box, ...] | None
    warnings: tuple[str, ...]


class Failure(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A picture without an answer: of any model, or (``model``) of one. ``error`` is the slug."""

    source: str
    model: str | None
    error: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A piece that is answered: how many items and failures, what they are, and their lines."""

    items: int
    failures: int
    identity: bytes
    lines: bytes


_encoder: Final = msgspec.json.Encoder()


def recipe_text(recipe: Recipe) -> str:
    """A recipe in one line of JSON, with what differs from its preset."""
    return json.dumps(settings_of(recipe), separators=(",", ":"))


class Asker:
    """Makes the lines of a piece, in any thread. ``recipes``: of each model by its name."""

    def __init__(
        self, direct: Direct, asked: PredictRequest, *, recipes: Mapping[str, str]
    ) -> None:
        self._direct = direct
        self._asked = asked
        self._recipes = recipes

    def __call__(self, piece: Piece, images: Sequence[Given]) -> Done:
        """Ask about the pictures of a piece. Raises ServingError, see ``Direct.answer``."""
        told = self._direct.answer(images, self._asked)
        lines: list[bytes] = []
        failures = 0
        for item, answer in zip(piece.items, told, strict=True):
            for one in _entries(item, answer, self._recipes):
                failures += isinstance(one, Failure)
                kind = FAILURE if isinstance(one, Failure) else ROW
                lines += (kind, _encoder.encode(one), b"\n")
        return Done(
            items=len(piece.items),
            failures=failures,
            identity=b"".join(item.identity for item in piece.items),
            lines=b"".join(lines),
        )


def _entries(item: Item, told: Told, recipes: Mapping[str, str]) -> list[Row | Failure]:
    if isinstance(told, Prediction):
        return [_entry(item.name, told, result, recipes) for result in told.results]
    return [Failure(source=item.name, model=None, error=told.type, message=told.message)]


def _entry(
    source: str, told: Prediction, result: Result, recipes: Mapping[str, str]
) -> Row | Failure:
    if result.error is not None:
        return Failure(
            source=source,
            model=result.model,
            error=result.error.type,
            message=result.error.detail,
        )
    image, point, labels = told.image, result.point, result.labels
    found = labels if labels is not None else result.boxes
    best = found[0] if found else None
    return Row(
        source=source,
        sha256=image.sha256,
        width=image.width,
        height=image.height,
        format=image.format,
        model=result.model,
        version=result.version,
        recipe=recipes[result.model],
        point_x=None if point is None else point.x,
        point_y=None if point is None else point.y,
        label=None if best is None else best.label,
        score=None if best is None else best.score,
        index=None if best is None else best.index,
        labels=None if labels is None else tuple(one.label for one in labels),
        scores=None if labels is None else tuple(one.score for one in labels),
        indexes=None if labels is None else tuple(one.index for one in labels),
        boxes=result.boxes,
        warnings=image.warnings,
    )
