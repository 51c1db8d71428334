"""Raw outputs of a detector -> boxes in pixels of the upright picture."""

from __future__ import annotations

import numpy as np

from tintype.errors import EngineFailed
from tintype.results.keep import Keep
from tintype.types import Box, DetectionOutput, Float32Array, Window


def boxes(
    rows: tuple[Float32Array, ...],
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
    clipped to the window. Raises EngineFailed when the model answered something that is no number.
    """
    corners, classes, scores = (np.asarray(r, np.float32) for r in rows[:3])
    corners, classes, scores = corners.reshape(-1, 4), classes.reshape(-1), scores.reshape(-1)
    valid = _rows_that_count(rows, len(scores))
    if not (np.isfinite(corners[:valid]).all() and np.isfinite(scores[:valid]).all()):
        raise EngineFailed("the model answered NaN or infinity instead of boxes")
    order = np.argsort(-scores[:valid], kind="stable")[: keep.top]
    return tuple(
        _box(corners[i], int(classes[i]) - output.first_class, float(scores[i]), labels, window)
        for i in order
        if keep.allows(float(scores[i]))
    )


def _rows_that_count(rows: tuple[Float32Array, ...], available: int) -> int:
    if len(rows) < 4:
        return available
    count = float(np.asarray(rows[3]).reshape(-1)[0])
    return min(max(int(count), 0), available) if np.isfinite(count) else 0


def _box(
    corners: Float32Array, index: int, score: float, labels: tuple[str, ...], window: Window
) -> Box:
    y1, x1, y2, x2 = (float(v) for v in np.clip(corners, 0, 1))
    return Box(
        index=index,
        label=labels[index] if 0 <= index < len(labels) else f"class {index}",
        score=score,
        x1=window.left + x1 * window.width,
        y1=window.top + y1 * window.height,
        x2=window.left + x2 * window.width,
        y2=window.top + y2 * window.height,
    )
