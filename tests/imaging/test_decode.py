"""Bytes become upright pixels, with facts and warnings in words."""

import hashlib
import struct
import time
from io import BytesIO

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from tintype.errors import ImageCorrupt, ImageTooLarge, ImageTruncated
from tintype.imaging.decode import decode, decode_work, decoded_bytes, most_pixels
from tintype.imaging.header import read_header
from tintype.imaging.limits import DecodeLimits
from tintype.imaging.steps import Decode


def opened(data, **how):
    return decode(data, header=read_header(data, limits=DecodeLimits()), how=Decode(**how))


def test_facts(picture):
    """Facts hold upright size, format, fingerprint of the bytes and orientation."""
    data = picture("jpeg-420")

    facts = opened(data).facts

    assert (331, 217, "jpeg", hashlib.sha256(data).hexdigest(), 1, ()) == (
        facts.width, facts.height, facts.format, facts.sha256, facts.orientation, facts.warnings
    )  # fmt: skip


def test_orientation_is_applied(turned_jpeg):
    """The array and its facts are those of the upright picture."""
    pixels = opened(turned_jpeg(6))

    assert ((97, 61, 3), 61, 97, 6) == (
        pixels.array.shape, pixels.facts.width, pixels.facts.height, pixels.facts.orientation
    )  # fmt: skip


def test_orientation_can_be_ignored(turned_jpeg):
    """orientation=ignore leaves the picture as stored, and says so."""
    pixels = opened(turned_jpeg(6), orientation="ignore")

    assert ((61, 97, 3), ("EXIF orientation 6 was ignored",)) == (
        pixels.array.shape, pixels.facts.warnings
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("png-grey-16", "high byte"),
        ("png-rgba", "transparency was dropped"),
        ("png-palette-trns", "transparency was dropped"),
        ("jpeg-cmyk", "CMYK"),
    ],
)
def test_warnings(picture, name, word):
    """What was lost on the way is said."""
    assert [] != [text for text in opened(picture(name)).facts.warnings if word in text]


@pytest.mark.parametrize("name", ["jpeg-420", "png-rgb", "png-palette", "gif", "webp-lossy"])
def test_plain_pictures_warn_of_nothing(picture, name):
    """An ordinary picture has no warnings."""
    assert () == opened(picture(name)).facts.warnings


def test_opaque_alpha_is_no_warning(make_scene, save):
    """An alpha channel that hides nothing is not worth a word."""
    assert () == opened(save(Image.fromarray(make_scene()).convert("RGBA"), "PNG")).facts.warnings


def test_colour_profiles(make_scene, save):
    """A profile is ignored and reported; plain sRGB is not worth a word."""
    from PIL import ImageCms  # only here

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    wide = srgb.replace("sRGB".encode("utf-16-be"), "wide".encode("utf-16-be"))
    for kind in ("JPEG", "WEBP"):
        assert () == opened(save(make_scene(), kind, icc_profile=srgb)).facts.warnings
        other = save(make_scene(), kind, icc_profile=wide)
        assert ("the colour profile was ignored, as in training",) == opened(other).facts.warnings


def test_first_frame(make_scene, save):
    """Of an animation the first frame is taken, and it is said."""
    frames = [Image.fromarray(make_scene(40, 30, seed)) for seed in (1, 2)]
    for kind in ("PNG", "WEBP"):
        data = save(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)

        pixels = opened(data)

        np.testing.assert_array_equal(make_scene(40, 30, 1), pixels.array)
        assert ("animated: only the first frame was looked at",) == pixels.facts.warnings


def test_multi_picture(make_scene, save):
    """An MPO gives its first picture, and says that there are more."""
    first, second = (Image.fromarray(make_scene(40, 30, seed)) for seed in (1, 2))
    data = save(first, "MPO", save_all=True, append_images=[second])

    pixels = opened(data)

    expected = np.asarray(Image.open(BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(expected, pixels.array)
    assert ("holds several pictures: only the first was looked at",) == pixels.facts.warnings


def test_alpha_on_white(make_scene, save):
    """alpha=composite puts the picture on white instead of dropping the alpha."""
    image = Image.fromarray(make_scene()).convert("RGBA")
    image.putalpha(0)

    assert 255 == opened(save(image, "PNG"), alpha="composite").array.min()


def test_rgba(picture):
    """Four channels keep the alpha; a picture without is opaque."""
    there = opened(picture("png-rgba"), channels=4).array
    absent = opened(picture("jpeg-420"), channels=4).array

    expected = np.asarray(Image.open(BytesIO(picture("png-rgba"))))
    np.testing.assert_array_equal(expected, there)
    assert (217, 331, 4, 255) == (*absent.shape, absent[:, :, 3].min())


def test_sixteen_bits(picture):
    """16-bit grey becomes its high byte, or is clipped as Pillow does on request."""
    levels = np.asarray(Image.open(BytesIO(picture("png-grey-16"))))

    high = opened(picture("png-grey-16"), channels=1).array[:, :, 0]
    clipped = opened(picture("png-grey-16"), channels=1, depth16="pillow_clip").array[:, :, 0]

    np.testing.assert_array_equal(levels >> 8, high)
    np.testing.assert_array_equal(np.minimum(levels, 255), clipped)


def test_one_more_byte_harms_nothing(picture):
    """Bytes behind the picture, or between its segments, do not make it invalid."""
    data = picture("jpeg-420")
    behind = opened(data + b"\x00").array
    between = opened(data[:20] + b"\x00" + data[20:]).array

    np.testing.assert_array_equal(opened(data).array, behind)
    np.testing.assert_array_equal(opened(data).array, between)


@pytest.mark.parametrize("name", ["jpeg-420", "jpeg-progressive", "png-rgb", "gif", "bmp-rgb"])
def test_truncated(picture, name):
    """A picture whose second half is missing is refused, never filled up with grey."""
    data = picture(name)

    with pytest.raises(ImageTruncated):
        opened(data[: len(data) // 2])


def test_corrupt(picture):
    """A PNG whose pixels do not unpack is corrupt."""
    data = bytearray(picture("png-rgb"))
    start = data.index(b"IDAT") + 4
    data[start : start + 40] = bytes(40)

    with pytest.raises(ImageCorrupt):
        opened(bytes(data))


@pytest.mark.parametrize("name", ["png-rgb", "jpeg-420", "jpeg-cmyk", "webp-lossy", "gif"])
def test_two_sizes(picture, name):
    """Where decoder and header disagree on the size, the picture is corrupt."""
    data = picture(name)
    header = replace(read_header(data, limits=DecodeLimits()), width=330)

    with pytest.raises(ImageCorrupt, match="two sizes"):
        decode(data, header=header, how=Decode())


def test_pillow_limit(picture):
    """Above Pillow's own cap a non-JPEG is too large, whatever our limits say."""
    data = bytearray(picture("bmp-rgb"))
    struct.pack_into("<ii", data, 18, 20000, 20000)
    header = read_header(bytes(data), limits=DecodeLimits(max_pixels=1 << 40))

    with pytest.raises(ImageTooLarge, match="decoder takes at most"):
        decode(bytes(data), header=header, how=Decode())


def test_decoded_bytes_grow_with_pixels_and_scans(picture):
    """The bound for admission counts pixels, and coefficients of a progressive JPEG."""
    plain = read_header(picture("jpeg-420"), limits=DecodeLimits())
    progressive = read_header(picture("jpeg-progressive"), limits=DecodeLimits())

    assert 9 * 331 * 217 < decoded_bytes(plain) < decoded_bytes(progressive)


def test_the_largest_plain_jpeg_for_some_room_just_fits(picture):
    """One pixel more would not."""
    room = 128 << 20
    most = most_pixels(room)
    plain = read_header(picture("jpeg-420"), limits=DecodeLimits())
    fits, misses = (replace(plain, width=width, height=1) for width in (most, most + 1))
    assert decoded_bytes(fits) <= room < decoded_bytes(misses)


def test_there_is_no_picture_for_no_room():
    """Nor a negative one."""
    assert 0 == most_pixels(0)


def test_the_work_of_decoding_is_about_its_time(picture):
    """A photo in every format, beside itself as a JPEG: within a few times either way."""
    photo = Image.open(BytesIO(picture("jpeg-420"))).convert("RGB").resize((768, 768))
    files = {
        "JPEG": saved(photo, "JPEG", quality=90),
        "BMP": saved(photo, "BMP"),
        "GIF": saved(photo.convert("P"), "GIF"),
        "PNG": saved(photo, "PNG"),
        "WEBP": saved(photo, "WEBP", method=0),
        "lossless": saved(photo, "WEBP", lossless=True, method=0, quality=0),
    }
    shortest = dict.fromkeys(files, 1e9)
    for name in [*files] * 5:  # in turn, so that a busy machine is busy for all
        begun = time.perf_counter()
        opened(files[name])
        shortest[name] = min(shortest[name], time.perf_counter() - begun)
    works = {n: decode_work(read_header(d, limits=DecodeLimits())) for n, d in files.items()}
    off = {
        name: (shortest[name] / shortest["JPEG"]) / (works[name] / works["JPEG"]) for name in files
    }
    assert {} == {name: ratio for name, ratio in off.items() if not 1 / 4 < ratio < 4}


def saved(image: Image.Image, kind: str, **how) -> bytes:
    held = BytesIO()
    image.save(held, kind, **how)
    return held.getvalue()
