"""Rows for a model that decodes pictures itself: the encoded picture instead of a tensor."""

from __future__ import annotations

from io import BytesIO
from typing import Final

import numpy as np

from tintype.imaging import packed, view
from tintype.imaging.decode import Pixels
from tintype.imaging.steps import Recipe
from tintype.types import Point, Tensor, UInt8Array

_DECODED_EVERYWHERE: Final = frozenset({"jpeg", "mpo", "png"})
"""What TensorFlow's decode_jpeg, decode_png and decode_image all take."""


def encoded_row(image: bytes, *, picture: Pixels, recipe: Recipe, point: Point | None) -> Tensor:
    """Make one row: an array of no axes that holds bytes.

    The picture goes as it came where it is a JPEG or PNG, upright, and wanted whole. Else what the
    model would see, upright and cut, goes as PNG: nothing is lost, whatever came.

    Raises:
        MalformedRequest: ``point`` lies outside the picture.
    """
    facts = picture.facts
    whole = recipe.view.kind == "whole"
    if whole and facts.format in _DECODED_EVERYWHERE and facts.orientation == 1:
        return row_of(image)
    return row_of(png(view.cut(picture.array, view=recipe.view, point=point)))


def row_of(data: bytes) -> Tensor:
    """Return ``data`` as a row: numpy's own texts would end at the first zero byte."""
    row = np.empty((), dtype=object)
    row[()] = data
    return row


def png(pixels: UInt8Array) -> bytes:
    """Encode ``pixels``, HxWxC, quickly and without loss."""
    out = BytesIO()
    image = packed.image_of(pixels)
    (image.convert("RGB") if image.mode == "RGBX" else image).save(out, "PNG", compress_level=1)
    return out.getvalue()
