from __future__ import annotations

from tintype.modelfiles.detection_output import detection_by_names
from tintype.types import TensorSpec

NAMES = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")


def test_the_object_detection_api_is_known_by_its_names():
    """The keys of the API's exports give the roles; its label maps begin at 1."""
    found = detection_by_names([TensorSpec(name=f"{name}:0", shape=()) for name in NAMES])

    assert found is not None
    assert found.boxes.name == "detection_boxes:0"
    assert found.count is not None
    assert found.first_class == 1


def test_roles_may_come_from_the_signature():
    """TF 2 names its tensors StatefulPartitionedCall:n; the signature's keys tell them apart."""
    outputs = [TensorSpec(name=f"call:{place}", shape=()) for place in range(4)]
    roles = {f"call:{place}": name for place, name in enumerate(reversed(NAMES))}
    found = detection_by_names(outputs, roles=roles)

    assert found is not None
    assert found.boxes.name == "call:3"


def test_other_outputs_are_no_detector():
    """A classifier is not mistaken for one."""
    assert detection_by_names([TensorSpec(name="probs", shape=(None, 10))]) is None
