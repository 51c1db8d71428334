"""Kept pictures hold their pixels and nothing else."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin

from tintype.errors import ImageInvalid
from tintype.imaging.strip import strip

SECRET = b"SECRET-PLACE"


def photo(kind: str, *, orientation: int = 1, **options) -> bytes:
    """A picture with an EXIF description, a GPS position, XMP and an ICC profile."""
    image = Image.linear_gradient("L").resize((40, 30)).convert("RGB")
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[29] = SECRET.decode()
    file = io.BytesIO()
    image.save(file, kind, exif=exif, xmp=b"<x>" + SECRET + b"</x>", **options)
    return file.getvalue()


def pixels(image: bytes) -> np.ndarray:
    """As shown upright."""
    with Image.open(io.BytesIO(image)) as opened:
        return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"comment": SECRET, "icc_profile": b"icc" * 9}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {}),
    ],
)
def test_the_same_picture_without_its_secrets(kind, options, orientation):
    """Every pixel and the orientation stay; description, place, XMP and comments go."""
    if kind == "PNG":
        told = PngImagePlugin.PngInfo()
        told.add_text("Comment", SECRET.decode())
        told.add_itxt("XML:com.adobe.xmp", SECRET.decode())
        options = {"pnginfo": told}
    whole = photo(kind, orientation=orientation, **options)
    bare = strip(whole + SECRET, kind=kind.lower(), orientation=orientation)
    assert SECRET in whole
    assert SECRET not in bare
    np.testing.assert_array_equal(pixels(whole), pixels(bare))


def test_the_colour_profile_stays():
    """It says what the numbers mean."""
    whole = photo("JPEG", icc_profile=b"profile" * 50)
    with Image.open(io.BytesIO(strip(whole, kind="jpeg", orientation=1))) as opened:
        assert b"profile" * 50 == opened.info["icc_profile"]


def test_of_several_pictures_in_one_file_the_first_is_kept():
    """The second of an MPO file has metadata of its own."""
    second = Image.new("RGB", (40, 30), "red")
    file = io.BytesIO()
    first = Image.linear_gradient("L").resize((40, 30)).convert("RGB")
    first.save(file, "MPO", save_all=True, append_images=[second])
    bare = strip(file.getvalue(), kind="mpo", orientation=1)
    with Image.open(io.BytesIO(bare)) as opened:
        assert ("JPEG", 1) == (opened.format, getattr(opened, "n_frames", 1))
    np.testing.assert_array_equal(pixels(file.getvalue()), pixels(bare))


def test_an_animation_stays_one_and_its_comment_goes():
    """GIF: loops and delays are kept."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    file = io.BytesIO()
    frames[0].save(
        file, "GIF", save_all=True, append_images=frames[1:], comment=SECRET, loop=0, duration=70
    )
    bare = strip(file.getvalue() + SECRET, kind="gif", orientation=1)
    assert SECRET not in bare
    with Image.open(io.BytesIO(bare)) as opened:
        assert (3, 0, 70) == (opened.n_frames, opened.info["loop"], opened.info["duration"])


def test_what_is_no_such_picture_is_refused():
    """A kind that is not known, a file that cannot be followed."""
    for image, kind in ((b"x", "tiff"), (b"\xff\xd8hello", "jpeg"), (b"GIF89a", "gif")):
        with pytest.raises(ImageInvalid):
            strip(image, kind=kind, orientation=1)


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF"]),
    cut=st.integers(0, 400),
    change=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255)), max_size=8),
)
def test_damaged_files_are_followed_or_refused(kind, cut, change):
    """Whatever is in them: no other error, no endless work."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((24, 16)).save(file, kind)
    image = bytearray(file.getvalue())
    for at, value in change:
        image[at % len(image)] = value
    damaged = bytes(image[: max(1, len(image) - cut)])
    with contextlib.suppress(ImageInvalid):
        strip(damaged, kind=kind.lower(), orientation=6)
