"""What names in a graph tell: which published architecture, which framework."""

from __future__ import annotations

import re
from collections.abc import Iterable

_BACKBONES = (
    (r"mobilenet_?v3_?small", "mobilenetv3small"),
    (r"mobilenet_?v3_?large", "mobilenetv3large"),
    (r"mobilenet_?v3", "mobilenetv3"),
    (r"mobilenet_?v2", "mobilenetv2"),
    (r"mobilenet_?v1|mobilenet_[01]\.\d+", "mobilenetv1"),
    (r"inception_?resnet_?v2", "inceptionresnetv2"),
    (r"inception_?v4", "inceptionv4"),
    (r"inception_?v3|^mixed_10/join$", "inceptionv3"),
    (r"inception_?v2", "inceptionv2"),
    (r"inception_?v1|googlenet", "inceptionv1"),
    (r"xception", "xception"),
    (r"efficientnet_?v2[_-]?(b[0-3]|s|m|l)(?![a-z0-9])", r"efficientnetv2\1"),
    (r"efficientnet[_-]?(b[0-7])(?![0-9])", r"efficientnet\1"),
    (r"densenet_?(121|169|201)", r"densenet\1"),
    (r"nasnet_?(mobile|large)", r"nasnet\1"),
    (r"convnext_?(tiny|small|base|large|xlarge)", r"convnext\1"),
    (r"vgg_?(16|19)", r"vgg\1"),
    (r"resnet_?v2_?(50|101|152)|resnet(50|101|152)_?v2", r"resnet\1\2v2"),
    (r"resnet_?v1_?(50|101|152)|resnet_?(50|101|152)", r"resnet\1\2"),
)
"""Scopes of TensorFlow's slim models, of retrain.py's Inception, and layers of Keras."""

_SAMPLE = 4000


def backbone_of(names: Iterable[str]) -> str | None:
    """The architecture that operation names speak of, lower case without separators."""
    joined = "\n".join(name[:200] for name in list(names)[:_SAMPLE])
    for pattern, name in _BACKBONES:
        # a name begins a path element or follows an underscore: "my_vgg16", not "xvgg16"
        found = re.search(rf"(?im)(?:^|[/_])(?:{pattern})", joined)
        if found:
            return found.expand(name) if "\\" in name else name
    return None


def source_of(names: Iterable[str], *, producer: int, functions: bool) -> str:
    """The framework that trained it: ``keras``, ``tf2`` or ``tf1``.

    ``producer`` is the version the graph's format was written with: TensorFlow 1.15, the last of
    its line, wrote 134 (tensorflow/core/public/version.h of each release); converters drop it.
    """
    some = list(names)[:_SAMPLE]
    if any("keras_tensor" in name or "_tf_keras" in name for name in some):
        return "keras"
    if any(re.search(r"(^|/)(model|sequential|functional)(_\d+)*/", name) for name in some):
        return "keras"
    if functions or producer > 134 or any("StatefulPartitionedCall" in name for name in some):
        return "tf2"
    return "tf1"
