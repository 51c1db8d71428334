from __future__ import annotations

import pytest

from tintype.modelfiles.backbones import backbone_in, is_teachable_machine


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MobilenetV2/Conv/weights", "mobilenetv2"),
        ("mobilenetv2_1.00_224", "mobilenetv2"),
        ("MobilenetV1/MobilenetV1/Conv2d_0/Relu6", "mobilenetv1"),
        ("mobilenet_1.00_224", "mobilenetv1"),
        ("efficientnetb0/stem_conv", "efficientnet"),
        ("efficientnetv2-b0", "efficientnetv2"),
        ("inception_resnet_v2", "inceptionresnetv2"),
        ("resnet50v2/conv1_pad", "resnet50v2"),
        ("resnet50", "resnet50"),
        ("MobileNetV3Large", "mobilenetv3large"),
        ("conv2d_1", None),
    ],
)
def test_known_architectures_are_seen_by_name(name, expected):
    """The spellings of the usual makers all give one name."""
    assert expected == backbone_in(["x", name])


def test_teachable_machine_is_known_by_its_head():
    """Its site names the head layer dense_Dense2."""
    assert is_teachable_machine(["sequential_4/sequential_3/dense_Dense2/Softmax"])
    assert not is_teachable_machine(["dense_2/Softmax"])
