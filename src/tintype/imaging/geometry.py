"""How the picture's shape meets the model's: stretch, crop, pad; then the resize itself."""

from __future__ import annotations

import numpy as np

from tintype.imaging import pillow_resize, tf_resize
from tintype.imaging.steps import Recipe, Resize
from tintype.types import Float32Array, UInt8Array

_LONGEST = 8
_TF = {
    "nearest": tf_resize.nearest,
    "bilinear": tf_resize.bilinear,
    "bicubic": tf_resize.bicubic,
    "area": tf_resize.area,
}


def fit(
    pixels: UInt8Array, *, recipe: Recipe, size: tuple[int, int] | None, table: Float32Array
) -> UInt8Array | Float32Array:
    """Bring HxWxC ``pixels`` to ``size`` (height, width), or leave them as they are without one.

    The answer is uint8 where no number changed, else float32; ``table`` is the number of each
    level for a TensorFlow engine, see ``tf_resize``.
    """
    mode, how = recipe.geometry.mode, recipe.resize
    if size is None:
        return _scaled(pixels, how, pixels.shape[0], pixels.shape[1], table)
    height, width = size
    if mode == "cover_crop":
        return _cover(pixels, how, height, width, table)
    if mode == "crop_to_aspect":
        return _scaled(_aspect(pixels, height, width), how, height, width, table)
    if mode == "short_side_crop":
        return _short_side(pixels, recipe, height, width, table)
    if mode == "pad":
        return _pad(pixels, how, height, width, table)
    return _scaled(pixels, how, height, width, table)


def _scaled(
    pixels: UInt8Array,
    how: Resize,
    height: int,
    width: int,
    table: Float32Array,
) -> UInt8Array | Float32Array:
    if how.engine == "pillow":
        return pillow_resize.resize(pixels, height=height, width=width, kind=how.kind)
    if table is tf_resize.LEVELS and pixels.shape[:2] == (height, width):
        return pixels  # every TensorFlow kernel gives the same numbers back
    out = _TF[how.kind](pixels, height=height, width=width, half=how.engine == "tf2", table=table)
    return np.rint(out, out=out) if how.round else out


def _aspect(pixels: UInt8Array, height: int, width: int) -> UInt8Array:
    """Cut the centre of the model's aspect ratio, as ``smart_resize`` does in a tf.data pipeline.

    Keras ``src/utils/image_utils.py``; its float32 divisions are kept.
    """
    rows, columns = pixels.shape[:2]
    high = int(np.float32(columns * height) / np.float32(width))
    wide = int(np.float32(rows * width) / np.float32(height))
    high, wide = max(min(rows, high), 1), max(min(columns, wide), 1)
    top, left = (rows - high) // 2, (columns - wide) // 2
    return pixels[top : top + high, left : left + wide]


def _cover(
    pixels: UInt8Array, how: Resize, height: int, width: int, table: Float32Array
) -> UInt8Array | Float32Array:
    """``PIL.ImageOps.fit`` with its centre: fractional edges with Pillow, whole ones else."""
    rows, columns = pixels.shape[:2]
    wanted, there = width / height, columns / rows
    high, wide = float(rows), float(columns)
    if there > wanted:
        wide = wanted * rows
    elif there < wanted:
        high = columns / wanted
    left, top = (columns - wide) * 0.5, (rows - high) * 0.5
    if how.engine == "pillow":
        box = (left, top, min(left + wide, columns), min(top + high, rows))
        return pillow_resize.resize(pixels, height=height, width=width, kind=how.kind, box=box)
    return _scaled(_aspect(pixels, height, width), how, height, width, table)


def _short_side(
    pixels: UInt8Array, recipe: Recipe, height: int, width: int, table: Float32Array
) -> UInt8Array | Float32Array:
    """Do torchvision's ``Resize`` and ``CenterCrop`` (``transforms/functional.py``).

    The long side is cut to whole pixels, the crop's edge rounded half to even. Of a picture longer
    than 8:1 the rest is left away first, for 1x30000 pixels would become gigabytes.
    """
    rows, columns = _middle(pixels.shape[0], pixels.shape[1])
    pixels = pixels[_centre(pixels.shape[0], rows), _centre(pixels.shape[1], columns)]
    short = recipe.geometry.short_side or round(min(height, width) * 256 / 224)
    short = max(short, height, width)  # a smaller one would leave nothing to crop
    if rows <= columns:
        high, wide = short, int(short * columns / rows)
    else:
        high, wide = int(short * rows / columns), short
    top, left = round((high - height) / 2.0), round((wide - width) / 2.0)
    scaled = _scaled(pixels, recipe.resize, high, wide, table)
    return scaled[top : top + height, left : left + width]


def _middle(rows: int, columns: int) -> tuple[int, int]:
    return min(rows, _LONGEST * columns), min(columns, _LONGEST * rows)


def _centre(side: int, length: int) -> slice:
    start = (side - length) // 2
    return slice(start, start + length)


def _pad(
    pixels: UInt8Array, how: Resize, height: int, width: int, table: Float32Array
) -> UInt8Array | Float32Array:
    """Fit inside and put black around.

    TensorFlow's ``resize_with_pad`` (``image_ops_impl.py``, float32) or ``PIL.ImageOps.pad``.
    """
    rows, columns = pixels.shape[:2]
    if how.engine == "pillow":
        high, wide, top, left = _pillow_padding(rows, columns, height, width)
    else:
        high, wide, top, left = _tf_padding(rows, columns, height, width)
    inner = _scaled(pixels, how, high, wide, table)
    if (high, wide) == (height, width):
        return inner
    out = np.zeros((height, width, pixels.shape[2]), dtype=inner.dtype)
    out[top : top + high, left : left + wide] = inner
    return out


def _tf_padding(rows: int, columns: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Height and width of the resized picture, and where it begins."""
    f = np.float32
    ratio = max(f(columns) / f(width), f(rows) / f(height))
    high, wide = f(rows) / ratio, f(columns) / ratio
    top, left = int((f(height) - high) / f(2)), int((f(width) - wide) / f(2))
    return max(int(high), 1), max(int(wide), 1), max(top, 0), max(left, 0)


def _pillow_padding(rows: int, columns: int, height: int, width: int) -> tuple[int, int, int, int]:
    high, wide = height, width
    if columns / rows > width / height:
        high = max(round(rows / columns * width), 1)
    elif columns / rows < width / height:
        wide = max(round(columns / rows * height), 1)
    return high, wide, round((height - high) * 0.5), round((width - wide) * 0.5)
