"""The five steps from a picture's bytes to a tensor, as plain values: together, a recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Dct: TypeAlias = Literal["ifast", "islow"]
Engine: TypeAlias = Literal["tf2", "tf1", "pillow"]
Kind: TypeAlias = Literal["nearest", "bilinear", "bicubic", "area", "lanczos", "box", "hamming"]
Mode: TypeAlias = Literal[
    "stretch", "cover_crop", "short_side_crop", "crop_to_aspect", "pad", "none"
]
Op: TypeAlias = Literal["none", "x/127.5-1", "x/255", "x*(1/255)", "caffe", "torch", "mean-std"]

KINDS: Final[dict[Engine, tuple[Kind, ...]]] = {
    "tf2": ("nearest", "bilinear", "bicubic", "area"),
    "tf1": ("nearest", "bilinear", "bicubic", "area"),
    "pillow": ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"),
}
"""The kinds of resize that each engine knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decode:
    """From bytes to 8-bit pixels.

    ``channels``: 1 (grey), 3 (RGB) or 4 (RGBA); see ``recipe.decode_for``.
    ``dct``: the JPEG inverse transform, ``ifast`` as TensorFlow, ``islow`` as everybody else.
    ``orientation``: ``apply`` turns the picture upright as its EXIF field says.
    ``alpha``: ``drop`` shows the colour below, as the loaders do; ``composite`` puts it on white.
    ``depth16``: 16-bit grey becomes its ``high_byte`` (TensorFlow, OpenCV), or is clipped at 255
    as Pillow does (``pillow_clip``).
    ``grey``: how colour becomes grey: ``pillow`` weighs RGB (ITU-R 601-2), ``tf`` takes the Y
    plane of a JPEG and libpng's conversion with TensorFlow's coefficients of a PNG.
    """

    channels: int = 3
    dct: Dct = "islow"
    orientation: Literal["apply", "ignore"] = "apply"
    alpha: Literal["drop", "composite"] = "drop"
    depth16: Literal["high_byte", "pillow_clip"] = "high_byte"
    grey: Literal["pillow", "tf"] = "pillow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """How the picture's shape meets the model's.

    ``stretch``: both sides, aspect ratio lost. ``cover_crop``: the largest centred part of the
    model's aspect ratio, with fractional edges (``PIL.ImageOps.fit``). ``crop_to_aspect``: the
    same with whole pixels (Keras' ``smart_resize``). ``short_side_crop``: the short side to
    ``short_side``, then the centre (torchvision); without ``short_side``, 256 for each 224 of the
    model's short side. ``pad``: fit inside, black around. ``none``: the picture's own size, where
    the model takes any; else as ``stretch``.
    """

    mode: Mode = "stretch"
    short_side: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """Whose resize, and which. ``round`` makes whole levels of a float result."""

    engine: Engine = "tf2"
    kind: Kind = "bilinear"
    round: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """From levels 0..255 to the model's numbers, in float32, in the trainer's own form.

    ``op``: ``x*(1/255)`` multiplies (``rescale=1./255``), ``x/255`` divides; ``caffe`` is BGR,
    whatever ``order`` says, minus 103.939, 116.779, 123.68; ``torch`` is ``x/255`` minus mean,
    divided by std of ImageNet; ``mean-std`` is ``(x - mean) / std`` with ``mean`` and ``std`` in
    levels, one number or one a channel of ``order``. ``before_resize`` does it on the picture's
    own pixels, as TF1's ``convert_image_dtype`` does; then only ``none``, ``x/255`` and
    ``x*(1/255)`` make sense.
    """

    op: Op = "none"
    order: Literal["RGB", "BGR"] = "RGB"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    before_resize: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The part of the upright picture that is looked at, around a point (else the centre).

    ``fraction`` is of each side, above 0 up to 1. ``size`` is the side of a square in pixels. A
    part that would reach over an edge is moved inward; a picture smaller than it is taken whole.
    """

    kind: Literal["whole", "fraction", "pixels"] = "whole"
    fraction: float = 1.0
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that happens to a picture on its way into a model. ``preset``: the name it began as."""

    preset: str
    decode: Decode = field(default_factory=Decode)
    geometry: Geometry = field(default_factory=Geometry)
    resize: Resize = field(default_factory=Resize)
    values: Values = field(default_factory=Values)
    view: View = field(default_factory=View)
