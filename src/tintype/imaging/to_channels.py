"""From whatever Pillow decoded to 1, 3 or 4 channels of 8 bits."""

from __future__ import annotations

from typing import Final, cast

import numpy as np
from PIL import Image

from tintype.imaging.steps import Decode
from tintype.types import UInt8Array

_MODES: Final = {1: "L", 3: "RGB", 4: "RGBA"}
_WHITE: Final = (255, 255, 255, 255)


def to_channels(image: Image.Image, *, how: Decode) -> UInt8Array:
    """Return ``image`` (any mode that the accepted formats give) as HxWx``how.channels`` uint8."""
    if image.mode.startswith("I"):
        image = _eight_bits(image, how)
    if how.alpha == "composite" and how.channels != 4 and has_alpha(image):
        seen = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", seen.size, _WHITE), seen)
    if how.channels == 1 and how.grey == "tf" and image.mode in {"RGB", "RGBA", "P"}:
        return _grey_of_libpng(np.asarray(_plain(image, "RGB")))
    pixels = np.asarray(_plain(image, _MODES[how.channels]))
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def has_alpha(image: Image.Image) -> bool:
    """Tell whether any pixel may be transparent."""
    return image.mode in {"LA", "PA", "RGBA", "La", "RGBa"} or "transparency" in image.info


def is_transparent(image: Image.Image) -> bool:
    """Tell whether some pixel is transparent, as far as that is quickly known.

    An alpha channel is looked at; a palette or a colour declared transparent counts as used.
    """
    if image.mode in {"LA", "RGBA"}:
        lowest, _ = cast(tuple[int, int], image.getchannel("A").getextrema())
        return lowest < 255
    return has_alpha(image)


def _plain(image: Image.Image, mode: str) -> Image.Image:
    """Convert to ``mode``; a palette goes by RGBA, or Pillow warns of the transparency it drops."""
    if image.mode == "P" and "transparency" in image.info and mode != "RGBA":
        image = image.convert("RGBA")
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image, how: Decode) -> Image.Image:
    levels = np.asarray(image)
    eight = levels >> 8 if how.depth16 == "high_byte" else np.minimum(levels, 255)
    return Image.fromarray(eight.astype(np.uint8))


def _grey_of_libpng(pixels: UInt8Array) -> UInt8Array:
    """RGB to grey as libpng's ``png_set_rgb_to_gray`` does with TensorFlow's 0.299 and 0.587.

    9797 R + 19234 G + 3737 B, cut, of 32768. A file with a gAMA or sRGB chunk, which libpng turns
    grey in linear light, and 16-bit colour come out a little different.
    """
    r, g, b = (pixels[:, :, k].astype(np.uint32) for k in range(3))
    grey = (r * 9797 + g * 19234 + b * 3737) >> 15
    return grey.astype(np.uint8)[:, :, None]
