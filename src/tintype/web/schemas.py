"""Predictions and models as the JSON that is promised. Every front door uses these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import astuple

from tintype.models.absent import AbsentModel
from tintype.models.info import ModelInfo
from tintype.types import Prediction, Result, ResultError, Seconds

_STAGES: Final = Seconds.__struct_fields__
_TIMING: Final = ", ".join(f"{stage};dur=%.3f" for stage in _STAGES)


def prediction_body(prediction: Prediction) -> dict[str, object]:
    """A prediction as it is told in JSON; its values are still ours, for msgspec to encode."""
    return {
        "id": prediction.id,
        "image": prediction.image,
        "results": [result_body(result) for result in prediction.results],
        "seconds": prediction.seconds,
    }


def result_body(result: Result) -> dict[str, object]:
    """One model's result. ``input`` is there only when it was asked for."""
    body: dict[str, object] = {
        "model": result.model,
        "version": result.version,
        "task": result.task,
        "point": result.point,
        "labels": result.labels,
        "boxes": result.boxes,
        "error": result.error,
        "fallback": result.fallback,
        "seconds": result.seconds,
    }
    if result.input is not None:
        body["input"] = result.input
    return body


def models_body(models: Sequence[ModelInfo], absent: Sequence[AbsentModel]) -> dict[str, object]:
    """What ``GET /api/models`` answers."""
    missing = [
        {
            "name": model.name,
            "version": model.version,
            "task": model.task,
            "health": model.health,
            "error": ResultError(type=model.error.type, detail=model.error.message),
        }
        for model in absent
    ]
    return {"models": models, "absent": missing}


def server_timing(seconds: Seconds) -> str:
    """The ``Server-Timing`` header: milliseconds of each stage (W3C Server Timing)."""
    return _TIMING % tuple([1000 * each for each in astuple(seconds)])
