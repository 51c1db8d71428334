"""Raw numbers of a classifier -> labels with scores."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from tintype.errors import EngineFailed
from tintype.results.keep import Keep
from tintype.types import Activation, ClassOutput, Float32Array, LabelScore, Tensor

_FEW: Final = 16
"""Numbers up to which Python is done before numpy has begun: its code is not in the caches behind
the run of an engine, and each call of it costs some microseconds."""


def label_scores(
    row: Tensor,
    *,
    output: ClassOutput,
    labels: tuple[str, ...],
    keep: Keep,
) -> tuple[LabelScore, ...]:
    """The labels of one picture worth keeping, best first.

    ``row`` holds ``output.classes`` raw numbers in any shape. Equal scores keep the order of the
    labels. Raises EngineFailed when the model answered something that is no number.
    """
    scores = probabilities(np.asarray(row, np.float32).reshape(-1), activation=output.activation)
    return tuple(
        [
            LabelScore(index=place, label=labels[place], score=score)
            for place, score in _best(scores, keep.top)
            if keep.threshold is None or keep.allows(score)
        ]
    )


def _best(scores: Float32Array, top: int) -> Iterable[tuple[int, float]]:
    """The places of the best scores and these, best first, equal ones in the order they stand in.

    A few are looked for one after the other: for a thousand classes that is a fifth of sorting.
    """
    if scores.size <= _FEW:
        told = scores.tolist()
        places = sorted(range(len(told)), key=told.__getitem__, reverse=True)[:top]
        return [(place, told[place]) for place in places]
    if top > _FEW:
        order = (-scores).argsort(kind="stable")[:top]
        return zip(order.tolist(), scores[order].tolist(), strict=True)
    left, best = scores.copy(), []
    for _ in range(min(top, left.size)):
        place = int(left.argmax())
        best.append((place, left.item(place)))
        left[place] = -np.inf
    return best


def ranked_scores(
    rows: tuple[Tensor, ...], *, labels: tuple[str, ...], keep: Keep
) -> tuple[LabelScore, ...]:
    """The labels of one picture, best first, where the model itself says which class a score is of.

    ``rows``: classes (n,), names as bytes or numbers of labels, and scores (n,). ``index`` is the
    place in ``labels``, or the place in the answer of a name that is not there. Raises
    EngineFailed when the scores are no numbers, or fewer or more than the classes.
    """
    classes, scores = rows[0].reshape(-1), np.asarray(rows[1], np.float32).reshape(-1)
    if len(classes) != len(scores) or not np.isfinite(scores).all():
        raise EngineFailed(
            f"the model answered {len(scores)} scores for {len(classes)} classes, "
            "expected a number from 0 to 1 for each"
        )
    order = np.argsort(-scores, kind="stable")[: keep.top]
    return tuple(
        _named(classes[i], int(i), float(scores[i]), labels)
        for i in order
        if keep.allows(float(scores[i]))
    )


def _named(told: object, place: int, score: float, labels: tuple[str, ...]) -> LabelScore:
    """One class as the model tells it: a name, or a number (as text, too) of a label."""
    name = told.decode("utf-8", "replace") if isinstance(told, bytes) else f"{told:.0f}"
    if name in labels:
        return LabelScore(index=labels.index(name), label=name, score=score)
    if not name.isdecimal():
        return LabelScore(index=place, label=name, score=score)
    number = int(name)
    label = labels[number] if number < len(labels) else f"class {number}"
    return LabelScore(index=number, label=label, score=score)


def probabilities(row: Float32Array, *, activation: Activation) -> Float32Array:
    """Scores 0..1 from raw numbers (classes,), one entry a label.

    One number alone is the score of the second of two labels: a sigmoid unit answers how much
    the picture is of class 1 (Keras' ``class_mode="binary"``), so class 0 gets the rest.
    """
    if not row.size:
        raise EngineFailed("the model answered no scores at all")
    if not _all_finite(row):
        raise EngineFailed(
            "the model answered NaN or infinity instead of scores",
            hint="its weights or the recipe may not fit: look at `tintype inspect`",
        )
    if row.size == 1:
        one = row if activation is not Activation.LOGITS else _sigmoid(row)
        return np.concatenate([1 - one, one])
    if activation is Activation.LOGITS:
        return _softmax(row)
    if activation is Activation.LOG_SOFTMAX:
        return np.exp(row)
    return row


def _all_finite(row: Float32Array) -> bool:
    if row.size <= _FEW:
        return all(map(math.isfinite, row.tolist()))
    # where there is a NaN, it is the smallest and the largest
    return row.item(row.argmin()) > -math.inf and row.item(row.argmax()) < math.inf


def _sigmoid(x: Float32Array) -> Float32Array:
    # exp of a negative number only, so that nothing overflows
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e)).astype(np.float32)


def _softmax(x: Float32Array) -> Float32Array:
    e: Float32Array = np.exp(x - x.max())
    return np.asarray(e / e.sum(), np.float32)
