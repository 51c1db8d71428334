"""What a graph tells about the pictures it was trained on."""

from __future__ import annotations

import numpy as np

from tintype.modelfiles.description import (
    Evidence,
    FirstLayers,
    InGraphAffine,
    InGraphResize,
    Normalisation,
)
from tintype.modelfiles.tensorflow.constants import PASSING
from tintype.modelfiles.tensorflow.flow import FlatNode, Ref, short_name
from tintype.modelfiles.tensorflow.inputs import Feed
from tintype.modelfiles.tensorflow.pixels import Pixels
from tintype.modelfiles.tensorflow.reading import Reading
from tintype.types import Float32Array

_DEFAULT_EPSILON = 1e-4  # FusedBatchNorm in tensorflow/core/ops/nn_ops.cc
_MAX_STEPS = 12


def gather(reading: Reading, feed: Feed, *, backbone: str | None, source: str) -> Evidence:
    """All evidence of one graph, fed as ``feed`` says."""
    return Evidence(
        affine=_affine(feed.road.last),
        resize=_resize(feed),
        normalisation=_normalisation(feed.before),
        first_layers=_first_layers(reading, feed),
        encoded_input=feed.encoded,
        backbone=backbone,
        source=source,
    )


def _affine(place: Pixels) -> InGraphAffine | None:
    if not place.moved or (np.all(place.scale == 1) and np.all(place.offset == 0)):
        return None
    return InGraphAffine(
        scale=tuple(place.scale.tolist()),
        offset=tuple(place.offset.tolist()),
        where=", ".join(short_name(name) for name in place.by),
    )


def _resize(feed: Feed) -> InGraphResize | None:
    cut = feed.before.resized if feed.before is not None else None
    resized = cut or feed.road.last.resized
    if resized is None:
        return None
    return InGraphResize(
        height=resized.height,
        width=resized.width,
        kind=resized.kind,
        where=short_name(resized.where),
        cut=cut is not None,
    )


def _normalisation(before: Pixels | None) -> Normalisation | None:
    """Arithmetic that was cut off with the decoder, to be done outside in its place."""
    if before is None or not before.moved or np.any(before.scale == 0):
        return None
    names = ", ".join(short_name(name) for name in before.by)
    return Normalisation(
        mean=tuple((-before.offset / before.scale).tolist()),
        std=tuple((1 / before.scale).tolist()),
        where=f"{names} (ahead of where the graph is fed)",
    )


def _first_layers(reading: Reading, feed: Feed) -> FirstLayers | None:
    convolution = next(
        (node for node, index in feed.road.ends if node.op == "Conv2D" and index == 0), None
    )
    if convolution is None or len(convolution.inputs) < 2:
        return None
    kernel = _floats(reading, convolution.inputs[1])
    if kernel is None or kernel.ndim != 4 or kernel.shape[2] != feed.image.channels:
        return None
    if feed.road.last.reversed:
        kernel = np.ascontiguousarray(kernel[:, :, ::-1])
    return _behind(reading, convolution, kernel)


def _behind(reading: Reading, convolution: FlatNode, kernel: Float32Array) -> FirstLayers:
    """Follow bias, rectifier and batch normalisation behind the first convolution."""
    width = kernel.shape[3]
    bias: Float32Array | None = None
    rectified, ceiling = False, None
    at: Ref = (convolution.name, 0)
    for _ in range(_MAX_STEPS):
        uses = reading.data_uses(at)
        if len(uses) != 1:
            break
        node, index = uses[0]
        if node.op in {"Relu", "Relu6"} and not rectified:
            rectified, ceiling = True, 6.0 if node.op == "Relu6" else None
        elif node.op in {"BiasAdd", "Add", "AddV2"} and not rectified and bias is None:
            bias = _vector(reading, node.inputs[1 - index], width)
            if bias is None:
                break
        elif node.op not in PASSING:
            found = _moments(reading, node, index, width)
            if found is None:
                break
            mean, variance, epsilon = found
            return FirstLayers(
                kernel=kernel,
                bias=bias,
                mean=mean,
                variance=variance,
                epsilon=epsilon,
                rectified=rectified,
                ceiling=ceiling,
                where=f"{short_name(convolution.name)}, {short_name(node.name)}",
            )
        at = (node.name, 0)
    return FirstLayers(
        kernel=kernel, bias=bias, mean=None, variance=None, where=short_name(convolution.name)
    )


_Moments = tuple[Float32Array, Float32Array, float]


def _moments(reading: Reading, node: FlatNode, index: int, width: int) -> _Moments | None:
    """Moving mean, moving variance and epsilon of the batch normalisation that ``node`` begins."""
    if node.op.startswith("FusedBatchNorm"):
        if index != 0 or len(node.inputs) != 5 or node.node.flag("is_training") is not False:
            return None
        mean = _vector(reading, node.inputs[3], width)
        variance = _vector(reading, node.inputs[4], width)
        epsilon = node.node.real("epsilon") or _DEFAULT_EPSILON
    elif node.op == "Mul":
        factor = node.inputs[1 - index]
        mean = _written_out_mean(reading, node, factor, width)
        variance, epsilon = _written_out_variance(reading, factor, width)
    else:
        return None
    return None if mean is None or variance is None else (mean, variance, float(epsilon))


def _written_out_variance(
    reading: Reading, factor: Ref, width: int
) -> tuple[Float32Array | None, float]:
    """The variance in ``rsqrt(variance + epsilon) * gamma``, as TensorFlow 1 writes it out."""
    node = reading.constants.source(factor)
    if node is not None and node.op == "Mul":
        makers = [reading.constants.source(ref) for ref in node.inputs]
        node = next((maker for maker in makers if maker is not None and maker.op == "Rsqrt"), None)
    total = reading.constants.source(node.inputs[0]) if node is not None and node.inputs else None
    if node is None or node.op != "Rsqrt" or total is None or total.op not in {"Add", "AddV2"}:
        return None, 0.0
    epsilon = _floats(reading, total.inputs[1])
    if epsilon is None or epsilon.size != 1:
        return None, 0.0
    return _vector(reading, total.inputs[0], width), float(epsilon.ravel()[0])


def _written_out_mean(
    reading: Reading, product: FlatNode, factor: Ref, width: int
) -> Float32Array | None:
    """The mean in ``x * factor + (beta - mean * factor)``; ``-mean * factor`` without beta."""
    uses = reading.data_uses((product.name, 0))
    if len(uses) != 1 or uses[0][0].op not in {"Add", "AddV2"}:
        return None
    node, index = uses[0]
    shift = reading.constants.source(node.inputs[1 - index])
    sign = -1.0
    if shift is not None and shift.op == "Sub" and len(shift.inputs) == 2:
        shift, sign = reading.constants.source(shift.inputs[1]), 1.0
    if shift is None or shift.op != "Mul":
        return None
    factor = reading.flow.resolve(factor)
    others = [ref for ref in shift.inputs if reading.flow.resolve(ref) != factor]
    if len(others) != 1:
        return None
    mean = _vector(reading, others[0], width)
    return None if mean is None else mean * np.float32(sign)


def _vector(reading: Reading, ref: Ref, width: int) -> Float32Array | None:
    value = _floats(reading, ref)
    return None if value is None or value.size != width else value.ravel()


def _floats(reading: Reading, ref: Ref) -> Float32Array | None:
    """A constant as float32, copied out of the file."""
    value = reading.constants.value(ref)
    return None if value is None or value.dtype.kind != "f" else np.array(value, np.float32)
