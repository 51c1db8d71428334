"""Pictures of every kind, made from seeded numbers, and inputs of every layout."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from io import BytesIO

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from tintype.imaging.decode import decode
from tintype.imaging.header import read_header
from tintype.imaging.limits import DecodeLimits
from tintype.imaging.prepare import prepare
from tintype.imaging.presets import PRESETS
from tintype.imaging.recipe import decode_for
from tintype.types import ImageInput, Layout, Quantisation, TensorSpec

ORIENTATION = 0x0112


@cache
def scene(width=331, height=217, seed=7):
    """A picture with slopes, edges and grain, HxWx3 uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 100 * np.sin(x / (7 + 9 * k) + k) * np.cos(y / (23 - 5 * k)) for k in range(3)]
    picture = np.stack(waves, axis=2) + rng.normal(0, 9, (height, width, 3))
    picture[height // 3 : height // 2, width // 4 : width // 2] = (230, 40, 15)
    picture[:, width // 2] = 255
    return np.clip(picture, 0, 255).astype(np.uint8)


def saved(pixels, kind, **options):
    out = BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(out, kind, **options)
    return out.getvalue()


def jpeg(pixels, sampling="420", quality=88):
    return simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality=quality, colorsubsampling=sampling
    )


def grey_jpeg(pixels):
    plane = np.ascontiguousarray(pixels[:, :, 1:2])
    return simplejpeg.encode_jpeg(plane, colorspace="GRAY", colorsubsampling="Gray")


def turned(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(scene(97, 61), "JPEG", quality=90, exif=exif)


def grey16():
    ramp = np.arange(61 * 47, dtype=np.uint32).reshape(47, 61) * 22
    return saved(ramp.astype(np.uint16), "PNG")


def with_alpha(mode):
    image = Image.fromarray(scene(83, 59)).convert(mode)
    image.putalpha(Image.fromarray(scene(83, 59, 3)[:, :, 0]))
    return saved(image, "PNG")


def palette(**options):
    return saved(Image.fromarray(scene()).quantize(64), "PNG", **options)


PICTURES: dict[str, Callable[[], bytes]] = {
    "jpeg-420": lambda: jpeg(scene()),
    "jpeg-422": lambda: jpeg(scene(), "422"),
    "jpeg-444": lambda: jpeg(scene(), "444"),
    "jpeg-440": lambda: jpeg(scene(), "440"),
    "jpeg-411": lambda: jpeg(scene(), "411"),
    "jpeg-q98": lambda: jpeg(scene(), "444", 98),
    "jpeg-q100": lambda: jpeg(scene(), "420", 100),
    "jpeg-q5": lambda: jpeg(scene(), "420", 5),
    "jpeg-grey": lambda: grey_jpeg(scene()),
    "jpeg-progressive": lambda: saved(scene(), "JPEG", progressive=True, quality=80),
    "jpeg-odd-size": lambda: jpeg(scene(225, 113)),
    "jpeg-wide": lambda: jpeg(scene(601, 99)),
    "jpeg-tall": lambda: jpeg(scene(99, 601)),
    "jpeg-1xn": lambda: jpeg(scene(1, 301)),
    "jpeg-nx1": lambda: jpeg(scene(301, 1)),
    "jpeg-small": lambda: jpeg(scene(19, 13)),
    "jpeg-exact": lambda: jpeg(scene(224, 224)),
    "jpeg-3264": lambda: jpeg(scene(3264, 48)),
    "jpeg-rgb": lambda: saved(scene(), "JPEG", quality=90, keep_rgb=True),
    "png-rgb": lambda: saved(scene(), "PNG"),
    "png-grey": lambda: saved(scene()[:, :, 0], "PNG"),
    "png-1-bit": lambda: saved(Image.fromarray(scene()).convert("1"), "PNG"),
    "png-palette": palette,
    "png-palette-trns": lambda: palette(transparency=bytes(range(64))),
    "png-rgb-trns": lambda: saved(scene(), "PNG", transparency=(230, 40, 15)),
    "png-grey-16": grey16,
    "png-la": lambda: with_alpha("L"),
    "png-rgba": lambda: with_alpha("RGB"),
    "bmp-rgb": lambda: saved(scene(), "BMP"),
    "gif": lambda: saved(Image.fromarray(scene(149, 90)).quantize(32), "GIF"),
}
"""Pictures that every loader opens."""

PILLOW_ONLY: dict[str, Callable[[], bytes]] = {
    "jpeg-cmyk": lambda: saved(Image.fromarray(scene()).convert("CMYK"), "JPEG", quality=90),
    "bmp-palette": lambda: saved(Image.fromarray(scene()).quantize(200), "BMP"),
    "bmp-grey": lambda: saved(scene()[:, :, 0], "BMP"),
    "webp-lossy": lambda: saved(scene(), "WEBP", quality=70),
    "webp-lossless": lambda: saved(scene(), "WEBP", lossless=True),
    "webp-alpha": lambda: saved(Image.open(BytesIO(with_alpha("RGB"))), "WEBP", lossless=True),
}
"""Pictures that TensorFlow does not open, or turns into RGB in its own way."""

EVERY = PICTURES | PILLOW_ONLY


@cache
def picture_bytes(name):
    return EVERY[name]()


def pytest_generate_tests(metafunc):
    """``picture_name`` runs over the pictures that all open, ``any_picture_name`` over all."""
    if "picture_name" in metafunc.fixturenames:
        metafunc.parametrize("picture_name", PICTURES)
    if "any_picture_name" in metafunc.fixturenames:
        metafunc.parametrize("any_picture_name", EVERY)


def image_input(  # one keyword a field that tests vary
    *, height=224, width=224, channels=3, layout=Layout.NHWC, dtype="float32", quantisation=None
):
    scale = None
    if quantisation is not None:
        scale = Quantisation(scale=quantisation[0], zero_point=quantisation[1])
    spec = TensorSpec(name="x", shape=(None,), dtype=dtype, quantisation=scale)
    return ImageInput(tensor=spec, layout=layout, height=height, width=width, channels=channels)


def tensor_of(data, recipe, target, point=None):
    """All the way from bytes to a row."""
    header = read_header(data, limits=DecodeLimits())
    pixels = decode(data, header=header, how=decode_for(recipe, target=target))
    return prepare(pixels.array, recipe=recipe, target=target, point=point)


SMALL: dict[str, Callable[[], bytes]] = {
    "jpeg-420": lambda: jpeg(scene(61, 45)),
    "jpeg-444-q98": lambda: jpeg(scene(61, 45), "444", 98),
    "jpeg-411": lambda: jpeg(scene(61, 45), "411"),
    "jpeg-grey": lambda: grey_jpeg(scene(61, 45)),
    "jpeg-progressive": lambda: saved(scene(61, 45), "JPEG", progressive=True),
    "jpeg-cmyk": lambda: saved(Image.fromarray(scene(61, 45)).convert("CMYK"), "JPEG"),
    "jpeg-3264": lambda: jpeg(scene(3264, 3), "444", 60),
    "jpeg-turned": lambda: turned(6),
    "png-rgba": lambda: with_alpha("RGB"),
    "png-grey-16": grey16,
    "gif": lambda: saved(Image.fromarray(scene(61, 45)).quantize(16), "GIF"),
    "webp-lossy": lambda: saved(scene(61, 45), "WEBP", quality=60),
    "bmp": lambda: saved(scene(31, 9), "BMP"),
}
"""Pictures kept as bytes in ``golden.json``: encoders, too, change from version to version."""


def fingerprints(pictures):
    """Return picture -> preset -> the first half of the sha256 of its tensor, 30 x 224 x 3."""
    target = image_input(height=30, width=224)
    return {
        name: {
            preset: hashlib.sha256(tensor_of(data, recipe, target).tobytes()).hexdigest()[:32]
            for preset, recipe in PRESETS.items()
        }
        for name, data in pictures.items()
    }


@pytest.fixture
def fingerprints_of():
    return fingerprints


@pytest.fixture
def picture():
    """Give the bytes of a picture by its name."""
    return picture_bytes


@pytest.fixture
def pictures():
    """Give every picture that all loaders open, name -> bytes."""
    return {name: picture_bytes(name) for name in PICTURES}


@pytest.fixture
def make_scene():
    return scene


@pytest.fixture
def save():
    return saved


@pytest.fixture
def make_jpeg():
    return jpeg


@pytest.fixture
def turned_jpeg():
    """Give a JPEG with an EXIF orientation."""
    return turned


@pytest.fixture
def make_input():
    return image_input


@pytest.fixture
def run():
    """Give the function bytes, recipe, input -> row."""
    return tensor_of
