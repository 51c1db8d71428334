"""Known architectures and tools, told by the names of their layers (keras.applications)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tintype.modelfiles.keras.config import LayerConfig, ModelConfig
from tintype.types import ImageInput

_BY_NAMES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("inceptionresnetv2", ("conv_7b", "mixed_7a")),
    ("inceptionv3", ("mixed0", "mixed10")),
    ("xception", ("block1_conv1", "block14_sepconv2")),
    ("mobilenetv3", ("expanded_conv_project", "expanded_conv_1_squeeze_excite_conv")),
    ("mobilenetv3", ("expanded_conv_project", "expanded_conv_3_squeeze_excite_conv")),
    ("mobilenetv3", ("expanded_conv/project", "expanded_conv_3/squeeze_excite/Conv")),
    ("mobilenetv3", ("expanded_conv/project", "expanded_conv/squeeze_excite/Conv")),
    ("mobilenetv2", ("Conv1", "bn_Conv1", "expanded_conv_depthwise")),
    ("mobilenet", ("conv1_relu", "conv_dw_1")),
    ("densenet201", ("conv2_block1_concat", "conv4_block48_concat")),
    ("densenet169", ("conv2_block1_concat", "conv4_block32_concat")),
    ("densenet121", ("conv2_block1_concat", "conv4_block24_concat")),
    ("resnet152v2", ("conv2_block1_preact_bn", "conv4_block36_1_conv")),
    ("resnet101v2", ("conv2_block1_preact_bn", "conv4_block23_1_conv")),
    ("resnet50v2", ("conv2_block1_preact_bn", "conv4_block6_1_conv")),
    ("resnet152", ("conv1_conv", "conv4_block36_1_conv")),
    ("resnet101", ("conv1_conv", "conv4_block23_1_conv")),
    ("resnet50", ("conv1_conv", "conv4_block6_1_conv")),
    ("resnet50", ("res2a_branch2a", "res5c_branch2c")),
    ("vgg19", ("block1_conv1", "block5_conv4")),
    ("vgg16", ("block1_conv1", "block5_conv3")),
    ("nasnet", ("stem_conv1", "stem_bn1")),
)

_EFFICIENT_TOPS = {
    1280: "efficientnetb0",
    1408: "efficientnetb2",
    1536: "efficientnetb3",
    1792: "efficientnetb4",
    2048: "efficientnetb5",
    2304: "efficientnetb6",
    2560: "efficientnetb7",
}
"""Filters of the last convolution; B0 and B1 share theirs, B1 is one block deeper."""


def backbone_of(layers: Sequence[LayerConfig]) -> str | None:
    """The architecture that ``layers`` are, None where no name is known."""
    by_name = {layer.name: layer for layer in layers}
    for backbone, marks in _BY_NAMES:
        if all(mark in by_name for mark in marks):
            return backbone
    if "stem_conv" in by_name and "block1a_project_conv" in by_name:
        return _efficientnet(by_name)
    if any(re.match(r"convnext_\w+_stem", name) for name in by_name):
        return "convnext"
    return None


def _efficientnet(by_name: dict[str, LayerConfig]) -> str:
    if "block1a_dwconv" not in by_name:
        return "efficientnetv2"
    top = by_name.get("top_conv")
    filters = top.settings.raw("filters") if top is not None else None
    name = _EFFICIENT_TOPS.get(filters) if isinstance(filters, int) else None
    if name == "efficientnetb0" and "block2c_add" in by_name:
        return "efficientnetb1"
    return name or "efficientnet"


def is_teachable_machine(model: ModelConfig, image: ImageInput, generation: int) -> bool:
    """Whether the file was exported by Teachable Machine.

    It puts a Sequential of a MobileNetV2 (``model1``) and a pooling before a Sequential of two
    Dense layers; pictures are 224 x 224 in colour.
    """
    parts = [layer for layer in model.layers if layer.kind != "InputLayer"]
    if model.kind != "Sequential" or len(parts) != 2 or generation != 2:
        return False
    if (image.height, image.width, image.channels) != (224, 224, 3):
        return False
    if not all(part.kind == "Sequential" and part.name.startswith("sequential") for part in parts):
        return False
    features = parts[0].inner.layers if parts[0].inner is not None else ()
    head = parts[1].inner.layers if parts[1].inner is not None else ()
    has_backbone = any(re.fullmatch(r"model\d*", layer.name) and layer.inner for layer in features)
    dense = [layer for layer in head if layer.kind != "InputLayer"]
    return has_backbone and bool(dense) and all(layer.kind == "Dense" for layer in dense)
