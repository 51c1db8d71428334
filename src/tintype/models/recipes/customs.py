"""How models of a kind are usually fed: what structure and names suggest about values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tintype.modelfiles.description import ModelDescription
from tintype.models.recipes.scales import CAFFE, PLUS_MINUS_ONE, RAW, TORCH, UNIT, Scale
from tintype.types import Layout

_FAMILIES: Final[tuple[tuple[str, Scale], ...]] = (
    ("mobilenetv3", RAW),
    ("efficientnetlite", PLUS_MINUS_ONE),
    ("efficientnet", RAW),
    ("convnext", RAW),
    ("mobilenet", PLUS_MINUS_ONE),
    ("inception", PLUS_MINUS_ONE),
    ("xception", PLUS_MINUS_ONE),
    ("nasnet", PLUS_MINUS_ONE),
    ("mnasnet", PLUS_MINUS_ONE),
    ("resnet50v2", PLUS_MINUS_ONE),
    ("resnet101v2", PLUS_MINUS_ONE),
    ("resnet152v2", PLUS_MINUS_ONE),
    ("resnet", CAFFE),
    ("vgg", CAFFE),
    ("densenet", TORCH),
)
"""Beginnings of names and ``preprocess_input`` of keras.applications (imagenet_utils.py and the
module of each family); EfficientNet-Lite takes (x-127)/128. The first that fits counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Custom:
    """A scale that is usual, and why.

    ``certain``: its maker's own code feeds it so. ``backbone``: a known architecture is. It may be
    ``borrowed``, with weights from elsewhere below a head that was trained in a way of its own;
    not so in TensorFlow 1's retraining scripts, which scale as the backbone wants it.
    """

    scale: Scale
    because: str
    backbone: bool = False
    borrowed: bool = False
    certain: bool = False


def custom(description: ModelDescription) -> Custom:
    """What structure and names suggest, else the commonest case."""
    evidence, image = description.evidence, description.image
    if evidence.teachable_machine:
        return Custom(
            scale=PLUS_MINUS_ONE, because="Teachable Machine's exports are fed so", certain=True
        )
    if takes_torch(description) and image.channels == 3:
        because = "models from PyTorch, channels first, are mostly fed so"
        return Custom(scale=TORCH, because=because)
    for family, scale in _FAMILIES:
        if evidence.backbone is not None and evidence.backbone.startswith(family):
            usable = scale if scale.fits(image.channels) else UNIT
            because = f"{evidence.backbone} is usually fed so"
            borrowed = evidence.source != "tf1"
            return Custom(scale=usable, because=because, backbone=True, borrowed=borrowed)
    because = "the file says nothing, and most models without a known backbone are fed so"
    return Custom(scale=UNIT, because=because)


def takes_torch(description: ModelDescription) -> bool:
    """Whether the model comes from PyTorch, by its exporter or by channels that stand first."""
    source = description.evidence.source
    return source == "pytorch" or (source is None and description.image.layout is Layout.NCHW)
