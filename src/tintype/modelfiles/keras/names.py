"""Names as Keras writes them into its files."""

from __future__ import annotations

import re


def snake_case(kind: str) -> str:
    """A class name as the zip form writes it: ``DepthwiseConv2D`` is ``depthwise_conv2d``.

    Keras' own rule (keras ``utils/naming.py``), which its files depend on.
    """
    name = re.sub(r"\W+", "", kind)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
