"""Raw outputs of a detector -> boxes in pixels of the upright picture."""

from __future__ import annotations

import numpy as np

from tintype.errors import EngineFailed
from tintype.results.keep import Keep
from tintype.types import Box, DetectionOutput, Float32Array, Tensor, Window


def boxes(
    rows: tuple[Tensor, ...],
    *,
    output: DetectionOutput,
    labels: tuple[str, ...],
    window: Window,
    keep: Keep,
) -> tuple[Box, ...]:
    """The boxes worth keeping, best first.

    ``rows``: boxes (n, 4) as ymin, xmin, ymax, xmax in fractions of what the model saw, class
    numbers (n,), scores (n,), and the number of rows that count where the model gives one: the
    order of ``TFLite_Detection_PostProcess`` and of the TF Object Detection API. Corners are
    clipped to the window. Raises EngineFailed when the model answered something that is no number,
    or unequal counts.
    """
    corners, classes, scores = (np.asarray(r, np.float32) for r in rows[:3])
    corners, classes, scores = corners.reshape(-1, 4), classes.reshape(-1), scores.reshape(-1)
    if not len(corners) == len(classes) == len(scores):
        raise EngineFailed(
            f"the model answered {len(corners)} boxes, {len(classes)} classes and {len(scores)} "
            "scores, expected as many of each"
        )
    valid = _rows_that_count(rows, len(scores))
    if not all(np.isfinite(part[:valid]).all() for part in (corners, classes, scores)):
        raise EngineFailed("the model answered NaN or infinity instead of boxes")
    order = np.argsort(-scores[:valid], kind="stable")[: keep.top]
    return tuple(
        Box(
            index=int(classes[i]) - output.first_class,
            label=_label(int(classes[i]), output, labels),
            score=float(scores[i]),
            **_corners(corners[i], window),
        )
        for i in order
        if keep.allows(float(scores[i]))
    )


def _rows_that_count(rows: tuple[Tensor, ...], available: int) -> int:
    if len(rows) < 4:
        return available
    count = float(np.asarray(rows[3]).reshape(-1)[0])
    return min(max(int(count), 0), available) if np.isfinite(count) else 0


def _label(number: int, output: DetectionOutput, labels: tuple[str, ...]) -> str:
    place = number - output.first_class
    return labels[place] if 0 <= place < len(labels) else f"class {number}"


def _corners(fractions: Float32Array, window: Window) -> dict[str, float]:
    y1, x1, y2, x2 = (float(v) for v in np.clip(fractions, 0, 1))
    return {
        "x1": window.left + x1 * window.width,
        "y1": window.top + y1 * window.height,
        "x2": window.left + x2 * window.width,
        "y2": window.top + y2 * window.height,
    }
