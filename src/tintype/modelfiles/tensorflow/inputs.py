"""Which tensor takes the picture, and what is ahead of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from tintype.errors import NotAnImageModel, UnsupportedModel
from tintype.modelfiles.tensorflow.decoded import behind_decoder, decodes_in_functions
from tintype.modelfiles.tensorflow.flow import Ref, tensor_name
from tintype.modelfiles.tensorflow.graphdef import Library
from tintype.modelfiles.tensorflow.pixels import Pixels, Road, follow
from tintype.modelfiles.tensorflow.reading import Reading
from tintype.types import HeldInput, ImageInput, Layout, Shape, TensorSpec

_PICTURE_DTYPES = {"float32", "float16", "float64", "uint8", "int8", "int32", "int64"}
_CHANNELS = {1, 3, 4}
_LEARNING = {"Conv2D", "DepthwiseConv2dNative", "MatMul"}
_FLAT_SIZES = {784: (28, 28, 1), 3072: (32, 32, 3)}
"""MNIST and CIFAR, the flat pictures of the field; other lengths may be any table of numbers."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An input of the graph as it is declared."""

    ref: Ref
    dtype: str
    shape: Shape | None
    label: str
    """What people call it: the name in the signature, or of the operation."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Where pictures go in. ``road`` begins there; ``before`` is what was cut off ahead of it."""

    ref: Ref
    image: ImageInput
    road: Road
    before: Pixels | None = None
    encoded: bool = False
    note: str = ""


def choose_input(
    reading: Reading, candidates: Sequence[Candidate], *, top: Collection[str], library: Library
) -> Feed | None:
    """The input that takes pictures. ``candidates`` are those the outputs depend on.

    None for a graph that decodes pictures inside a function: only the nodes ``top`` are outside.
    Raises NotAnImageModel naming the inputs and their shapes.
    """
    pictures = [
        (candidate, image)
        for candidate in candidates
        if (image := _image_input(reading, candidate)) is not None
    ]
    if pictures:
        best, image = max(pictures, key=lambda pair: _size(pair[1]))
        note = f"the input is {best.label!r}: the only one that takes pictures"
        if len(pictures) > 1:
            note = f"the input is {best.label!r}: the largest of {len(pictures)} picture inputs"
        return _feed(reading, image, best.ref, note)
    encoded = behind_decoder(reading)
    if encoded is not None and encoded.at[0] in top:
        return _fed_behind(reading, encoded)
    if encoded is not None or decodes_in_functions(reading, library):
        return None
    raise NotAnImageModel(_complaint(candidates))


def feed_at(reading: Reading, candidate: Candidate) -> Feed:
    """Feed the tensor that a person named. Raises NotAnImageModel where it takes no pictures."""
    image = _image_input(reading, candidate, trusted=True)
    if image is None:
        raise NotAnImageModel(_complaint([candidate]))
    return _feed(reading, image, candidate.ref, f"the input {candidate.label!r} was given")


def hold(reading: Reading, others: Iterable[Candidate]) -> tuple[HeldInput, ...]:
    """Values for the further inputs: switches of training, turned off.

    Raises UnsupportedModel for an input whose value is not known.
    """
    return tuple(_held_value(reading, other) for other in others)


def _feed(reading: Reading, image: ImageInput, ref: Ref, note: str) -> Feed:
    rank = len(image.tensor.shape)
    road = follow(reading, ref, rank=rank, channels=image.channels)
    return Feed(ref=reading.flow.resolve(ref), image=image, road=road, note=note)


def _fed_behind(reading: Reading, cut: Pixels) -> Feed:
    channels = len(cut.scale)
    height, width = (
        (cut.resized.height, cut.resized.width) if cut.resized is not None else (None, None)
    )
    shape = (None, height, width, channels)
    spec = TensorSpec(name=tensor_name(cut.at), shape=shape, dtype=cut.dtype)
    image = ImageInput(
        tensor=spec, layout=Layout.NHWC, height=height, width=width, channels=channels
    )
    what = "resize" if cut.resized is not None else "decoder"
    note = f"the graph decodes pictures itself; it is fed behind its {what}, at {spec.name!r}"
    return replace(_feed(reading, image, cut.at, note), before=cut, encoded=True)


def _image_input(
    reading: Reading, candidate: Candidate, *, trusted: bool = False
) -> ImageInput | None:
    """The candidate as a picture input, None where its dtype or shape is no picture's."""
    if candidate.dtype not in _PICTURE_DTYPES:
        return None
    shape, ref = candidate.shape, candidate.ref
    found = _layout(reading, ref, shape, trusted=trusted)
    if found is None:
        return None
    layout, height, width, channels, shape = found
    spec = TensorSpec(name=tensor_name(ref), shape=shape, dtype=candidate.dtype)
    return ImageInput(
        tensor=spec, layout=layout, height=height, width=width, channels=channels, batch=shape[0]
    )


_Found = tuple[Layout, int | None, int | None, int, Shape]


def _layout(reading: Reading, ref: Ref, shape: Shape | None, *, trusted: bool) -> _Found | None:
    if shape is None:
        kernel = _first_kernel(reading, ref, 4)
        channels = kernel[2] if kernel and kernel[2] in _CHANNELS else (3 if trusted else None)
        return (
            None
            if channels is None
            else (Layout.NHWC, None, None, channels, (None, None, None, channels))
        )
    if len(shape) == 4:
        return _layout_of_four(reading, ref, shape)
    if len(shape) == 3:
        _, height, width = shape
        square = height == width and (height is None or height >= 8)
        learns = _first_kernel(reading, ref, 3) is not None
        return (Layout.NHW, height, width, 1, shape) if square or learns else None
    if len(shape) == 2 and shape[1] is not None:
        return _layout_of_flat(reading, ref, shape, shape[1])
    return None


def _layout_of_four(reading: Reading, ref: Ref, shape: Shape) -> _Found | None:
    _, first, second, last = shape
    kernel = _first_kernel(reading, ref, 4)
    planar = first in _CHANNELS and (last not in _CHANNELS or _is_planar(reading, ref))
    if planar and first is not None:
        return Layout.NCHW, second, last, first, shape
    channels = last
    if channels is None and kernel and kernel[2] in _CHANNELS:
        channels = kernel[2]
    if channels not in _CHANNELS or channels is None:
        return None
    return Layout.NHWC, first, second, channels, (*shape[:3], channels)


def _layout_of_flat(reading: Reading, ref: Ref, shape: Shape, length: int) -> _Found | None:
    for node, index in reading.data_uses(ref):
        made = reading.shape((node.name, 0)) if node.op == "Reshape" and index == 0 else None
        if made is not None and len(made) in {3, 4}:
            _, height, width, channels = (*made, 1) if len(made) == 3 else made
            if height and width and channels in _CHANNELS and height * width * channels == length:
                return Layout.FLAT, height, width, channels, shape
    if length in _FLAT_SIZES:
        height, width, channels = _FLAT_SIZES[length]
        return Layout.FLAT, height, width, channels, shape
    return None


def _first_kernel(reading: Reading, ref: Ref, rank: int) -> Shape | None:
    """The shape of the kernel that pixels meet first."""
    for node, index in follow(reading, ref, rank=rank, channels=3).ends:
        if node.op in _LEARNING and index == 0 and len(node.inputs) > 1:
            shape = reading.constants.shape(node.inputs[1])
            if shape is not None and len(shape) == 4:
                return shape
    return None


def _is_planar(reading: Reading, ref: Ref) -> bool:
    ends = follow(reading, ref, rank=4, channels=3).ends
    return any(node.node.text("data_format") == "NCHW" for node, _ in ends)


def _size(image: ImageInput) -> tuple[int, int]:
    """Order of preference: colour or grey pictures with known or free sides, the larger first."""
    return (len(image.tensor.shape), (image.height or 1 << 15) * (image.width or 1 << 15))


_FALSE = ("train", "phase", "learning")


def _held_value(reading: Reading, other: Candidate) -> HeldInput:
    """What a switch of training is held at when the model is used."""
    name = tensor_name(other.ref)
    lowered = other.label.lower()
    if other.dtype == "bool" and any(word in lowered for word in _FALSE):
        return HeldInput(name=name, value=False)
    scalar = other.dtype.startswith("float") and other.shape in {(), None, (1,)}
    if scalar and "keep" in lowered:
        return HeldInput(name=name, value=1.0)
    if scalar and "rate" in lowered:
        return HeldInput(name=name, value=0.0)
    if scalar and "drop" in lowered:
        divides = any(
            node.op in {"RealDiv", "Div"} and at == 1 for node, at in reading.data_uses(other.ref)
        )
        return HeldInput(name=name, value=1.0 if divides else 0.0)
    raise UnsupportedModel(
        f"beside its picture the graph wants the input {other.label!r} "
        f"({other.dtype}, shape {_words(other.shape)}), whose value is not known",
        hint="export the graph without it, or choose other ends with --input and --output",
    )


def _complaint(candidates: Sequence[Candidate]) -> str:
    said = ", ".join(
        f"{candidate.label!r} ({candidate.dtype}, shape {_words(candidate.shape)})"
        for candidate in candidates[:6]
    )
    return f"no input takes pictures: {said or 'there is none'}; a picture is N x H x W x C"


def _words(shape: Shape | None) -> str:
    if shape is None:
        return "unknown"
    return " x ".join("any" if side is None else str(side) for side in shape) or "a single number"
