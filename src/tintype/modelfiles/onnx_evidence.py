"""What an ONNX file tells about how its pictures were prepared."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tintype.modelfiles.backbones import backbone_in, is_teachable_machine
from tintype.modelfiles.description import Evidence, FirstLayers, InGraphResize
from tintype.modelfiles.first_layers import Behind, batch_norm_affine, first_layers
from tintype.modelfiles.graphwalk import GraphStart, Node, start_of
from tintype.modelfiles.image_input import CHANNELS
from tintype.modelfiles.onnx_graph import OnnxFile, attributes_of, constant_of, integer_of
from tintype.modelfiles.onnx_properties import RECIPE, SOURCE
from tintype.types import ImageInput, TensorSpec

_RESIZE_WORDS = ("mode", "coordinate_transformation_mode")


def start_at(file: OnnxFile, spec: TensorSpec) -> GraphStart:
    """Walk to the first convolution; how many channels there are is known only there."""
    depths = [axis for axis in spec.shape[1:] if axis in CHANNELS]
    tries = [
        start_of(
            file.view,
            spec.name,
            channels=channels,
            constant=lambda value: constant_of(file, value),
            scaling=lambda node: _scaling(file, node),
        )
        for channels in dict.fromkeys([*[depth for depth in depths if depth], *CHANNELS])
    ]
    return next((start for start in tries if _fits(file, start)), tries[0])


def _fits(file: OnnxFile, start: GraphStart) -> bool:
    return start.kernel is not None and depth_of(file, start) == len(start.affine.scale)


def depth_of(file: OnnxFile, start: GraphStart) -> int | None:
    """Channels that the first convolution takes: its weights are O x I/group x kh x kw."""
    if start.kernel is None or len(start.kernel.inputs) < 2:
        return None
    weights = file.constants.get(start.kernel.inputs[1])
    if weights is None or len(weights.dims) != 4:
        return None
    return int(weights.dims[1]) * integer_of(file, start.kernel, "group", 1)


def _scaling(
    file: OnnxFile, node: Node
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Factor and offset of a batch normalisation before the first convolution."""
    found = _behind(file, node)
    return None if found is None else batch_norm_affine(found)


def evidence_of(
    file: OnnxFile, image: ImageInput, start: GraphStart, properties: dict[str, str]
) -> Evidence:
    """Read it, from the walk that began at the picture's input, and from the properties."""
    names = [node.name for node in file.view.nodes]
    producer = file.model.producer_name.lower()
    source = properties.get(SOURCE) or ("pytorch" if "pytorch" in producer else None)
    return Evidence(
        affine=start.affine.evidence(),
        resize=_resize(file, start) if image.height is None else None,
        first_layers=_first_layers(file, start),
        backbone=backbone_in([*names, file.model.graph.name, *list(file.constants)[:1000]]),
        teachable_machine=is_teachable_machine(names),
        source="keras" if "keras" in producer else source,
        recipe=properties.get(RECIPE),
    )


def _resize(file: OnnxFile, start: GraphStart) -> InGraphResize | None:
    """A resize of pictures of any size inside the graph, with its constant sides.

    coordinate_transformation_mode (ONNX operators, Resize) tells TensorFlow 1's corners,
    ``asymmetric``, from TensorFlow 2's centres, ``half_pixel``, the default.
    """
    node = start.resize
    sizes = constant_of(file, node.inputs[3]) if node is not None and len(node.inputs) > 3 else None
    if node is None or sizes is None or sizes.shape != (4,):
        return None
    told = {a.name: a.s for a in attributes_of(file, node) if a.name in _RESIZE_WORDS}
    lengths = [int(length) for length in sizes.tolist()]
    height, width = lengths[2:] if lengths[1] in CHANNELS else lengths[1:3]
    corners = told.get("coordinate_transformation_mode", b"half_pixel") == b"asymmetric"
    linear = told.get("mode", b"nearest") == b"linear"
    return InGraphResize(
        height=height,
        width=width,
        kind=f"{'tf1' if corners else 'tf2'} {'bilinear' if linear else 'nearest'}",
        where=node.name,
        cut=False,
    )


def _first_layers(file: OnnxFile, start: GraphStart) -> FirstLayers | None:
    """The first convolution and what follows it. Weights are stored O x I x kh x kw."""
    node = start.kernel
    if node is None or len(node.inputs) < 2 or integer_of(file, node, "group", 1) != 1:
        return None
    weights = constant_of(file, node.inputs[1])
    if weights is None or weights.ndim != 4:
        return None
    return first_layers(
        file.view,
        node,
        kernel=weights.astype(np.float32).transpose(2, 3, 1, 0),
        constant=lambda value: constant_of(file, value),
        behind=lambda other: _behind(file, other),
    )


def _behind(file: OnnxFile, node: Node) -> Behind | None:
    """Read a BatchNormalization: inputs X, scale, B, mean, var (ONNX operators, opset 15)."""
    if node.kind != "BatchNormalization" or len(node.inputs) < 5:
        return None
    parts = [constant_of(file, value) for value in node.inputs[1:5]]
    if any(part is None or part.ndim != 1 for part in parts):
        return None
    gamma, beta, mean, variance = (np.asarray(part, np.float32) for part in parts)
    if len({part.shape for part in (gamma, beta, mean, variance)}) != 1:
        return None
    epsilon = next((a.f for a in attributes_of(file, node) if a.name == "epsilon"), 1e-5)
    return Behind(gamma=gamma, beta=beta, mean=mean, variance=variance, epsilon=float(epsilon))
