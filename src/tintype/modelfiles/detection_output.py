"""The four outputs of a detector, told by their names. Pure, shared by all readers."""

from __future__ import annotations

from collections.abc import Sequence

from tintype.types import DetectionOutput, TensorSpec

# Keys of the TF Object Detection API's exports (object_detection/core/standard_fields.py).
_BOXES, _CLASSES, _SCORES, _COUNT = (
    "detection_boxes",
    "detection_classes",
    "detection_scores",
    "num_detections",
)


def detection_by_names(
    outputs: Sequence[TensorSpec], *, roles: dict[str, str] | None = None, first_class: int = 1
) -> DetectionOutput | None:
    """Recognise a detector of the TF Object Detection API; None when the outputs are others.

    ``roles`` maps a tensor's name to its key in the signature where the two differ.
    ``first_class``: 1, for the API's label maps begin there.
    """
    roles = roles or {}
    by_role = {
        roles.get(spec.name, spec.name).removesuffix(":0").rpartition("/")[2]: spec
        for spec in outputs
    }
    if not {_BOXES, _CLASSES, _SCORES} <= by_role.keys():
        return None
    return DetectionOutput(
        boxes=by_role[_BOXES],
        classes=by_role[_CLASSES],
        scores=by_role[_SCORES],
        count=by_role.get(_COUNT),
        first_class=first_class,
    )
