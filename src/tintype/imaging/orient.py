"""EXIF orientations as views of an array (Exif 2.32, tag 274; as Pillow's ``exif_transpose``)."""

from __future__ import annotations

from tintype.types import UInt8Array


def upright(pixels: UInt8Array, orientation: int) -> UInt8Array:
    """Return HxWxC ``pixels`` turned as ``orientation`` 1..8 says, without a copy."""
    if orientation >= 5:  # stored with rows and columns swapped
        pixels = pixels.swapaxes(0, 1)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return pixels
