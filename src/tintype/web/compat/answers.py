"""Predictions in the words of the older systems: their names of fields, and their types. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tintype.errors import ModelUnavailable
from tintype.models.info import ModelInfo
from tintype.types import Box, ImageFacts, LabelScore, Point, Prediction, Result


def label_scores(labels: Sequence[LabelScore]) -> dict[str, float]:
    """``{label: score}``. Of labels with one name the best counts."""
    return {each.label: each.score for each in reversed(labels)}


def label_percents(labels: Sequence[LabelScore]) -> list[dict[str, str]]:
    """``[{"label": "orange", "score": "54.71%"}]``, best first."""
    return [{"label": each.label, "score": f"{each.score:.2%}"} for each in labels]


def best_class(labels: Sequence[LabelScore]) -> dict[str, str]:
    """``{"class": "dog"}``; empty where no label reached the threshold."""
    return {"class": labels[0].label if labels else ""}


def labels_of(prediction: Prediction) -> tuple[LabelScore, ...]:
    """The labels of the only result, the model's own or its fallback. Raises ModelUnavailable."""
    (result,) = prediction.results
    if result.labels is None:
        raise _no_answer(result)
    return result.labels


def detections(
    prediction: Prediction, *, info: ModelInfo, controller_seconds: float, swapped: bool
) -> dict[str, object]:
    """The answer of ``POST /imageDetection``.

    ``class_id`` is the model's own class number, corners are fractions of the upright picture,
    times are seconds. ``swapped`` tells y as x and x as y. Raises ModelUnavailable.
    """
    (result,) = prediction.results
    if result.boxes is None:
        raise _no_answer(result)
    return {
        "detections": [
            {
                "class_id": box.index + info.first_class,
                "class_label": box.label,
                "score": box.score,
                "hit_box": _hit_box(box, prediction.image, swapped=swapped),
            }
            for box in result.boxes
        ],
        "controller_time": round(controller_seconds, 4),
        "tfserve_time": round(prediction.seconds.run, 4),
    }


def percent_point(x: float, y: float, *, width: int, height: int) -> Point:
    """A place given in percent of the picture's sides (0..100) as the pixel there."""
    return Point(x=min(int(x / 100 * width), width - 1), y=min(int(y / 100 * height), height - 1))


def _hit_box(box: Box, image: ImageFacts, *, swapped: bool) -> dict[str, float]:
    left, right = box.x1 / image.width, box.x2 / image.width
    top, bottom = box.y1 / image.height, box.y2 / image.height
    if swapped:
        left, right, top, bottom = top, bottom, left, right
    return {"x1": left, "y1": top, "x2": right, "y2": bottom}


def _no_answer(result: Result) -> ModelUnavailable:
    why = f": {result.error.detail}" if result.error else ""
    return ModelUnavailable(f"the model {result.model!r} gave no answer{why}")
