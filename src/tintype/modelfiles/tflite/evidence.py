"""What a TFLite file tells about how its pictures were prepared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tintype.modelfiles.backbones import backbone_in, is_teachable_machine
from tintype.modelfiles.description import Evidence, FirstLayers, InGraphResize, Normalisation
from tintype.modelfiles.graphwalk import GraphStart, Node, start_of
from tintype.modelfiles.tflite.file import TfliteFile, converter
from tintype.modelfiles.tflite.flatbuffer import Table
from tintype.modelfiles.tflite.model import numbers_of
from tintype.types import ImageInput

# enum ActivationFunctionType: rectified, and clipped at.
_FUSED: dict[int, tuple[bool, float | None]] = {1: (True, None), 3: (True, 6.0)}
_ACTIVATION_SLOT = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 4}
_MOST_KERNEL_NUMBERS = 1 << 22


def evidence_of(file: TfliteFile, image: ImageInput, place: int) -> Evidence:
    """Read it of the input that stands at ``place`` among the inputs."""
    names = [node.name for node in file.view.nodes]
    start = start_of(
        file.view,
        str(file.model.inputs[place]),
        channels=image.channels,
        constant=lambda value: _constant(file, value),
    )
    told = file.metadata.normalisations.get(place)
    return Evidence(
        affine=start.affine.evidence(),
        resize=_resize(file, start) if image.height is None else None,
        normalisation=None if told is None else _for_channels(told, image.channels),
        first_layers=_first_layers(file, start),
        backbone=backbone_in([*names, file.metadata.name]),
        teachable_machine=is_teachable_machine(names),
        source=converter(file)[1],
    )


def _resize(file: TfliteFile, start: GraphStart) -> InGraphResize | None:
    """A resize of pictures of any size inside the graph, with its constant sides.

    Without half_pixel_centers (schema.fbs, ResizeBilinearOptions) it is TensorFlow 1's.
    """
    node = start.resize
    size = _constant(file, node.inputs[1]) if node is not None and len(node.inputs) == 2 else None
    if node is None or size is None or size.shape != (2,):
        return None
    bilinear = node.kind == "RESIZE_BILINEAR"
    options = _options(file, node)
    centred = options is not None and options.u8(3 if bilinear else 1) != 0
    return InGraphResize(
        height=int(size[0]),
        width=int(size[1]),
        kind=f"{'tf2' if centred else 'tf1'} {'bilinear' if bilinear else 'nearest'}",
        where=node.name,
        cut=False,
    )


def _for_channels(told: Normalisation, channels: int) -> Normalisation | None:
    """Spread a single number over all channels, as the metadata schema says; else it must fit."""
    mean, std = (
        values * channels if len(values) == 1 else values for values in (told.mean, told.std)
    )
    if len(mean) != channels or len(std) != channels:
        return None
    return replace(told, mean=mean, std=std)


def _constant(file: TfliteFile, value: str) -> npt.NDArray[np.float32] | None:
    """Numbers stored in the file, also behind the operator that unpacks float16 weights."""
    tensor = file.model.tensors[int(value)]
    maker = file.view.producer.get(value)
    if tensor.data is None and maker is not None and maker.kind == "DEQUANTIZE" and maker.inputs:
        tensor = file.model.tensors[int(maker.inputs[0])]
    if tensor.data is None or len(tensor.data) > 4 * _MOST_KERNEL_NUMBERS:
        return None
    return numbers_of(tensor)


def _first_layers(file: TfliteFile, start: GraphStart) -> FirstLayers | None:
    """The first convolution. Weights are stored O x kh x kw x I; batch norm is folded into them."""
    node = start.kernel
    if node is None or len(node.inputs) < 2:
        return None
    stored = _constant(file, node.inputs[1])
    if stored is None or stored.ndim != 4:
        return None
    if node.kind == "CONV_2D":
        kernel = stored.transpose(1, 2, 3, 0)
    elif node.kind == "DEPTHWISE_CONV_2D" and stored.shape[3] == start.affine.scale.size:
        kernel = _spread_depthwise(stored[0])
    else:
        return None
    bias = _constant(file, node.inputs[2]) if len(node.inputs) > 2 else None
    rectified, ceiling = _FUSED.get(_fused(file, node), (False, None))
    return FirstLayers(
        kernel=np.ascontiguousarray(kernel),
        bias=bias if bias is not None and bias.shape == kernel.shape[-1:] else None,
        mean=None,
        variance=None,
        rectified=rectified,
        ceiling=ceiling,
        # A fused operator bears the names of all it was made of, with semicolons between.
        where=f"{node.name.split(';')[0][:120]} ({node.kind})",
    )


def _spread_depthwise(kernel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Write a depthwise kernel kh x kw x c as the full kernel kh x kw x c x c it stands for."""
    return np.asarray(kernel[..., None] * np.eye(kernel.shape[-1], dtype=np.float32), np.float32)


def _fused(file: TfliteFile, node: Node) -> int:
    options = _options(file, node)
    return 0 if options is None else options.i8(_ACTIVATION_SLOT[node.kind])


def _options(file: TfliteFile, node: Node) -> Table | None:
    pairs = zip(file.model.operators, file.view.nodes, strict=True)
    return next((operator.options for operator, other in pairs if other is node), None)
