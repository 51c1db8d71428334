"""RGB pixels kept four bytes apart, so that one sample is one 32-bit word and Pillow can map them.

A picture of three channels is the view ``[:, :, :3]`` of HxWx4 storage. Gathering words is several
times quicker than gathering triples, and Pillow's ``RGBX`` images share such storage without a
copy. Any other array works too, only slower.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from tintype.types import UInt8Array

_Index = npt.NDArray[np.intp]
_TURNS: Final = {
    (False, False, True): Image.Transpose.FLIP_LEFT_RIGHT,
    (False, True, False): Image.Transpose.FLIP_TOP_BOTTOM,
    (False, True, True): Image.Transpose.ROTATE_180,
    (True, False, False): Image.Transpose.TRANSPOSE,
    (True, False, True): Image.Transpose.ROTATE_270,
    (True, True, False): Image.Transpose.ROTATE_90,
    (True, True, True): Image.Transpose.TRANSVERSE,
}
"""Rows and columns swapped, then rows reversed, then columns reversed -> Pillow's name for it."""


def empty(*, height: int, width: int, channels: int) -> UInt8Array:
    """Return new HxWx``channels`` pixels, four bytes apart where there are three channels."""
    if channels == 3:
        return np.empty((height, width, 4), dtype=np.uint8)[:, :, :3]
    return np.empty((height, width, channels), dtype=np.uint8)


def storage(pixels: UInt8Array) -> UInt8Array | None:
    """Return the HxWx4 array that ``pixels`` (any cut or turned view) lie in, or None."""
    base = pixels if pixels.base is None else pixels.base
    if (
        isinstance(base, np.ndarray)
        and base.dtype == np.uint8
        and base.ndim == 3
        and base.shape[2] == 4
        and base.flags.c_contiguous
        and pixels.shape[2] >= 3
        and pixels.strides[2] == 1
        and _offset(pixels, base) % 4 == 0
    ):
        return base
    return None


def gather(pixels: UInt8Array, rows: _Index, columns: _Index) -> UInt8Array:
    """Return the samples where ``rows`` and ``columns`` cross, len(rows) x len(columns) x C.

    Three channels that lie in words come with the fourth byte, whatever it holds: whole words are
    quicker to reckon with, and the caller leaves the last channel away at the end.
    """
    base = storage(pixels)
    if base is None:
        return pixels[rows[:, None], columns]
    words = np.ndarray(pixels.shape[:2], np.uint32, base, _offset(pixels, base), pixels.strides[:2])
    taken = words[rows[:, None], columns]
    return taken.view(np.uint8).reshape(*taken.shape, 4)


def image_of(pixels: UInt8Array) -> Image.Image:
    """Return ``pixels`` as a Pillow image: ``L``, ``RGB``, ``RGBX`` or ``RGBA``.

    Nothing is copied where ``pixels`` are whole rows of their storage and not turned; a turned
    view is turned by Pillow, which goes through memory in tiles.
    """
    plain, turn = _unturned(pixels)
    base = storage(plain)
    if base is None:
        image = Image.fromarray(plain[:, :, 0] if plain.shape[2] == 1 else plain)
    else:
        image = _mapped(plain, base)
    return image if turn is None else image.transpose(turn)


def _offset(pixels: UInt8Array, base: UInt8Array) -> int:
    return int(pixels.ctypes.data) - int(base.ctypes.data)


def _unturned(pixels: UInt8Array) -> tuple[UInt8Array, Image.Transpose | None]:
    """Undo what ``orient.upright`` did to the view, told by its strides."""
    down, right = pixels.strides[:2]
    turn = (abs(down) < abs(right), down < 0, right < 0)
    if turn not in _TURNS or 1 in pixels.shape[:2]:  # one row or column tells nothing by strides
        return pixels, None
    pixels = pixels[:: -1 if turn[1] else 1, :: -1 if turn[2] else 1]
    return (pixels.swapaxes(0, 1) if turn[0] else pixels), _TURNS[turn]


def _mapped(pixels: UInt8Array, base: UInt8Array) -> Image.Image:
    height, width, channels = pixels.shape
    columns = base.shape[1]
    top, left = divmod(_offset(pixels, base) // 4, columns)
    if pixels.strides[:2] != base.strides[:2] or left + width > columns:
        return Image.fromarray(np.ascontiguousarray(pixels))
    mode = "RGBX" if channels == 3 else "RGBA"
    image = Image.frombuffer(mode, (columns, height), base[top : top + height], "raw", mode, 0, 1)
    return image if width == columns else image.crop((left, 0, left + width, height))
