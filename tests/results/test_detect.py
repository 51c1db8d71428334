"""Raw outputs of a detector become boxes in pixels."""

from __future__ import annotations

import numpy as np
import pytest

from tintype.errors import EngineFailed
from tintype.results.detect import boxes
from tintype.results.keep import Keep
from tintype.types import DetectionOutput, TensorSpec, Window

WHOLE = Window(left=0, top=0, width=200, height=100)
LABELS = ("cat", "dog")
ROWS = (
    np.array([[0.1, 0.2, 0.5, 0.6], [0.0, 0.0, 1.0, 1.0], [-0.5, 0.5, 2.0, 0.75]], np.float32),
    np.array([0, 1, 1], np.float32),
    np.array([0.5, 0.9, 0.4], np.float32),
    np.array([3], np.float32),
)


def detector(first_class: int = 0) -> DetectionOutput:
    tensors = {n: TensorSpec(name=n, shape=(1, None)) for n in ("boxes", "classes", "scores")}
    return DetectionOutput(**tensors, count=None, first_class=first_class)


def found(rows=ROWS, *, first_class=0, window=WHOLE, keep=Keep(top=10, threshold=0.0)):  # noqa: B008
    return boxes(rows, output=detector(first_class), labels=LABELS, window=window, keep=keep)


def test_corners_are_pixels_of_the_picture():
    """Fractions (ymin, xmin, ymax, xmax) become x and y in pixels."""
    box = found()[1]
    assert ("cat", 40, 10, 120, 50) == (
        box.label,
        *(pytest.approx(v) for v in (box.x1, box.y1, box.x2, box.y2)),
    )


def test_best_first():
    """Boxes come best first."""
    assert pytest.approx([0.9, 0.5, 0.4]) == [box.score for box in found()]


def test_corners_outside_are_clipped():
    """A box never leaves the picture."""
    box = found()[2]
    assert (100, 0, 150, 100) == (box.x1, box.y1, box.x2, box.y2)


def test_threshold_and_top_limit_what_is_kept():
    """Lower scores and the tail are left out."""
    assert ["dog"] == [box.label for box in found(keep=Keep(top=1, threshold=0.45))]


def test_only_counted_rows_are_read():
    """Rows past the model's own count are padding."""
    rows = (*ROWS[:3], np.array([1], np.float32))
    assert ["cat"] == [box.label for box in found(rows)]


def test_first_class_is_where_labels_begin():
    """A label map that counts from 1 is shifted."""
    assert ["class 0", "cat"] == sorted(
        {box.label for box in found(first_class=1)}, key=lambda name: (name == "cat", name)
    )


def test_a_window_moves_and_scales_the_boxes():
    """Boxes of a part of the picture are told in pixels of the whole."""
    box = found(window=Window(left=50, top=20, width=100, height=50))[0]
    assert (50, 20, 150, 70) == (box.x1, box.y1, box.x2, box.y2)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_no_number_is_an_engine_failure(part: int):
    """NaN never reaches an answer, be it in a corner, a class or a score."""
    rows = tuple(row * np.float32(np.nan) if i == part else row for i, row in enumerate(ROWS))
    with pytest.raises(EngineFailed, match="NaN"):
        found(rows)


def test_unequal_numbers_of_boxes_and_scores_are_no_answer():
    """Nothing is guessed about which belongs to which."""
    with pytest.raises(EngineFailed, match="3 boxes, 2 classes and 3 scores"):
        found(rows=(ROWS[0], ROWS[1][:2], ROWS[2]))
