"""A small JPEG of a picture, to be shown beside words about it."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from tintype.imaging.decode import decode
from tintype.imaging.header import read_header
from tintype.imaging.limits import DecodeLimits
from tintype.imaging.packed import image_of
from tintype.imaging.steps import Decode


def thumbnail(data: bytes, *, side: int, limits: DecodeLimits) -> bytes:
    """A JPEG of the upright picture, no side longer than ``side`` pixels. Raises ImageError.

    It holds pixels only: nothing of the picture's metadata.
    """
    header = read_header(data, limits=limits)
    picture = decode(data, header=header, how=Decode(alpha="composite"))
    image = image_of(picture.array).convert("RGB")
    image.thumbnail((side, side), Image.Resampling.BOX, reducing_gap=None)
    out = BytesIO()
    image.save(out, format="JPEG", quality=82)
    return out.getvalue()
