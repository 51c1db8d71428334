"""Which input of a model takes pictures, and how its axes are ordered. Pure, on tensor specs.

A reader that knows more than the shapes tell (a first convolution, a picture decoder behind a
string) says so in ``InputHints``; the shapes alone decide the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tintype.errors import NotAnImageModel
from tintype.types import ImageInput, Layout, Shape, TensorSpec

PIXEL_DTYPES = frozenset({"float32", "float16", "uint8", "int8"})
"""The dtypes that hold pixels. Anything else (int64 token ids, float64 tables) is no picture."""

CHANNELS = (3, 1, 4)
"""Colour, grey, colour with a fourth channel: the likeliest first."""

_EXPECTED = (
    "expected N x height x width x channels or N x channels x height x width with 1, 3 or 4 "
    "channels, N x height x width, or a flat square such as N x 784, of float32, float16, uint8 "
    "or int8"
)
# Below these sides a square is as likely a table or an embedding as a picture; a person who
# names the input may still go down to the second.
_LEAST_SIDE = 28
_LEAST_SIDE_IF_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class InputHints:
    """What a reader knows about an input beyond its shape.

    ``layout`` and ``channels``: told by the first convolution. ``encoded``: a picture decoder
    takes this string. ``sequence``: a recurrent or embedding layer takes it, so it is no picture.
    """

    layout: Layout | None = None
    channels: int | None = None
    encoded: bool = False
    sequence: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenInput:
    """The input that takes pictures, and in words why it was chosen where there was a choice."""

    image: ImageInput
    note: str | None = None


NO_HINTS = InputHints()


def choose_image_input(
    inputs: Sequence[TensorSpec],
    *,
    wanted: str | None = None,
    hints: dict[str, InputHints] | None = None,
) -> ChosenInput:
    """Find the one input that can take a picture.

    ``wanted`` is the name a person gave (``ReadOptions.input``), ``hints`` are by input name.
    Raises NotAnImageModel when the wanted one is not there, none can be a picture or several can.
    """
    hints = hints or {}
    if wanted is not None:
        spec = named_spec(inputs, wanted, what="input")
        image = as_image_input(spec, hints=hints.get(spec.name, NO_HINTS), named=True)
        if image is None:
            raise refusal(inputs)
        return ChosenInput(image=image, note=f"input {spec.name!r}: chosen by hand")
    found = [
        image
        for spec in inputs
        if (image := as_image_input(spec, hints=hints.get(spec.name, NO_HINTS))) is not None
    ]
    if not found:
        raise refusal(inputs)
    if len(found) > 1:
        names = ", ".join(describe_spec(image.tensor) for image in found)
        raise NotAnImageModel(
            f"{len(found)} inputs could take a picture ({names}), expected one",
            hint=f"name the one to use: --input {found[0].tensor.name}",
        )
    return ChosenInput(image=found[0], note=_note(found[0], len(inputs)))


def as_image_input(
    spec: TensorSpec, *, hints: InputHints = NO_HINTS, named: bool = False
) -> ImageInput | None:
    """Read ``spec`` as an input of pictures; None when it cannot be one.

    ``named``: a person chose it, so that small squares count too.
    """
    if spec.dtype == "string":
        return _encoded(spec) if hints.encoded and len(spec.shape) <= 1 else None
    if spec.dtype not in PIXEL_DTYPES or hints.sequence:
        return None
    if len(spec.shape) == 4:
        return _four_axes(spec, hints)
    least = _LEAST_SIDE_IF_NAMED if named else _LEAST_SIDE
    if len(spec.shape) == 3:
        return _three_axes(spec, least, named=named)
    return _flat(spec, least) if len(spec.shape) == 2 else None


def refusal(inputs: Sequence[TensorSpec]) -> NotAnImageModel:
    """Make the error that names every input, with shape and dtype, and what was expected."""
    if not inputs:
        return NotAnImageModel(f"the model has no input; {_EXPECTED}")
    listed = ", ".join(describe_spec(spec) for spec in inputs[:8])
    more = f" and {len(inputs) - 8} more" if len(inputs) > 8 else ""
    word = "input" if len(inputs) == 1 else "inputs"
    return NotAnImageModel(
        f"not an image model: {word} {listed}{more}; {_EXPECTED}",
        hint="if one of them does take pictures, name it: --input NAME",
    )


def describe_spec(spec: TensorSpec) -> str:
    """Write a tensor for people: ``'input_1' [N, 224, 224, 3] float32``."""
    return f"{spec.name!r} {describe_shape(spec.shape)} {spec.dtype}"


def describe_shape(shape: Shape) -> str:
    """Write a shape for people: ``[N, 224, 224, 3]``, ``?`` for other free axes."""
    axes = ["?" if axis is None else str(axis) for axis in shape]
    if axes and shape[0] is None:
        axes[0] = "N"
    return f"[{', '.join(axes)}]"


def named_spec(
    specs: Sequence[TensorSpec], wanted: str, *, what: Literal["input", "output"]
) -> TensorSpec:
    """Find the input or output a person named. Raises NotAnImageModel when it is absent."""
    for spec in specs:
        # TensorFlow writes the first output of an operation as `name` and as `name:0`.
        if wanted in (spec.name, spec.name.removesuffix(":0"), f"{spec.name}:0"):
            return spec
    names = ", ".join(spec.name for spec in specs[:8])
    raise NotAnImageModel(
        f"no {what} is named {wanted!r}; the model has: {names or 'none'}",
        hint=f"give one of these names to --{what}",
    )


def _encoded(spec: TensorSpec) -> ImageInput:
    batch = spec.shape[0] if spec.shape else 1
    return ImageInput(
        tensor=spec, layout=Layout.NHWC, height=None, width=None, channels=3, batch=batch
    )


def _four_axes(spec: TensorSpec, hints: InputHints) -> ImageInput | None:
    readings = [
        image
        for layout in (Layout.NHWC, Layout.NCHW)
        if (image := _with_layout(spec, layout, hints.channels)) is not None
    ]
    if hints.layout is not None:
        fitting = [image for image in readings if image.layout is hints.layout]
        readings = fitting or readings
    # [N, 3, 224, 3] reads both ways: channels last, as most files have it.
    return readings[0] if readings else None


def _with_layout(spec: TensorSpec, layout: Layout, hinted: int | None) -> ImageInput | None:
    batch, first, second, third = spec.shape
    nhwc = layout is Layout.NHWC
    height, width, depth = (first, second, third) if nhwc else (second, third, first)
    channels = depth if depth is not None else hinted
    if channels not in CHANNELS or batch == 0 or _absurd(height) or _absurd(width):
        return None
    return ImageInput(
        tensor=spec, layout=layout, height=height, width=width, channels=channels, batch=batch
    )


def _absurd(side: int | None) -> bool:
    """A side of one or two pixels: [N, 60, 1, 1] is a series of numbers, not a picture."""
    return side is not None and side < 3


def _three_axes(spec: TensorSpec, least: int, *, named: bool) -> ImageInput | None:
    batch, height, width = spec.shape
    if height is None or width is None or min(height, width) < least or batch == 0:
        return None
    if height != width and not named:  # [N, steps, features] looks just like this
        return None
    return ImageInput(
        tensor=spec, layout=Layout.NHW, height=height, width=width, channels=1, batch=batch
    )


def _flat(spec: TensorSpec, least: int) -> ImageInput | None:
    batch, length = spec.shape
    if length is None or batch == 0:
        return None
    for channels in (1, 3):  # no number is both a square and three squares
        side = math.isqrt(length // channels)
        if side >= least and side * side * channels == length:
            return ImageInput(
                tensor=spec,
                layout=Layout.FLAT,
                height=side,
                width=side,
                channels=channels,
                batch=batch,
            )
    return None


def _note(image: ImageInput, inputs: int) -> str | None:
    spec = describe_spec(image.tensor)
    if image.layout is Layout.FLAT:
        size = f"{image.height}x{image.width}x{image.channels}"
        return f"input {spec}: read as flattened pictures of {size}"
    if image.layout is Layout.NHW:
        return f"input {spec}: read as grey pictures without a channel axis"
    if inputs > 1:
        return f"input {spec}: the only one of {inputs} that can take a picture"
    return None
