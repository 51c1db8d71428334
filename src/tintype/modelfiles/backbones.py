"""Known architectures, seen by the names their makers gave to layers and operations. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Names as keras.applications, TF-Slim, TF-Hub, tf.keras exports and torchvision write them, with
# `-`, `_` and `.` taken out. The longer name stands before the shorter one that it contains.
_KNOWN = (
    "mobilenetv3large", "mobilenetv3small", "mobilenetv3", "mobilenetv2", "mobilenetv1",
    "mobilenet", "efficientnetv2", "efficientnetlite", "efficientnet", "inceptionresnetv2",
    "inceptionv4", "inceptionv3", "inceptionv2", "inceptionv1", "xception", "resnet152v2",
    "resnet101v2", "resnet50v2", "resnet152", "resnet101", "resnet50", "resnet34", "resnet18",
    "densenet201", "densenet169", "densenet121", "nasnetmobile", "nasnetlarge", "convnext",
    "vgg16", "vgg19", "squeezenet", "shufflenet", "mnasnet", "googlenet", "alexnet",
)  # fmt: skip
_PATTERN = re.compile("|".join(_KNOWN))
_CAN_BE_V1 = {"mobilenet": "mobilenetv1"}
_MOST_NAMES = 20_000


def backbone_in(names: Iterable[str]) -> str | None:
    """Return the first known architecture that a name contains, such as ``mobilenetv2``.

    ``MobilenetV2/Conv/weights`` and ``mobilenetv2_1.00_224`` both give ``mobilenetv2``.
    """
    for count, name in enumerate(names):
        if count >= _MOST_NAMES:
            return None
        match = _PATTERN.search(re.sub(r"[-_.\s]", "", name[:512].lower()))
        if match:
            return _CAN_BE_V1.get(match[0], match[0])
    return None


def is_teachable_machine(names: Iterable[str]) -> bool:
    """Tell Teachable Machine's exports: their head is a layer that its site named dense_Dense2."""
    return any("dense_Dense2" in name for name in names)
