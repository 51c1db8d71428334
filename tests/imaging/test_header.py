"""Headers are read without a decoder, and held to the limits."""

import struct
import zlib

import pytest

from tintype.errors import ImageInvalid, ImageTooLarge, ImageTruncated
from tintype.imaging.header import read_header
from tintype.imaging.limits import DecodeLimits

LIMITS = DecodeLimits()


def segment(marker, body):
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def frame(width, height, *, bits=8, components=3, marker=0xC0):
    parts = b"".join(bytes([k + 1, 0x11, 0]) for k in range(components))
    return segment(marker, struct.pack(">BHHB", bits, height, width, components) + parts)


def scan(components=3):
    parts = b"".join(bytes([k + 1, 0]) for k in range(components))
    return segment(0xDA, bytes([components]) + parts + b"\x00\x3f\x00") + b"\x12\xff\x00\x34"


def small_jpeg(*segments):
    return b"\xff\xd8" + b"".join(segments) + b"\xff\xd9"


def png(width, height, *, bits=8, kind=2):
    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    start = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", start) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("jpeg-420", ("jpeg", 331, 217, 8, 3, "rgb")),
        ("jpeg-grey", ("jpeg", 331, 217, 8, 1, "grey")),
        ("jpeg-cmyk", ("jpeg", 331, 217, 8, 4, "cmyk")),
        ("png-rgb", ("png", 331, 217, 8, 3, "rgb")),
        ("png-1-bit", ("png", 331, 217, 1, 1, "grey")),
        ("png-grey-16", ("png", 61, 47, 16, 1, "grey")),
        ("png-la", ("png", 83, 59, 8, 2, "grey")),
        ("png-palette", ("png", 331, 217, 8, 1, "palette")),
        ("gif", ("gif", 149, 90, 8, 1, "palette")),
        ("bmp-rgb", ("bmp", 331, 217, 8, 3, "rgb")),
        ("webp-lossy", ("webp", 331, 217, 8, 3, "rgb")),
        ("webp-lossless", ("webp", 331, 217, 8, 3, "rgb")),
        ("webp-alpha", ("webp", 83, 59, 8, 4, "rgb")),
    ],
)
def test_what_it_says(picture, name, expected):
    """Format, size, bits, components and colour are those of the file."""
    header = read_header(picture(name), limits=LIMITS)

    assert expected == (
        header.format, header.width, header.height, header.bits, header.components, header.colour
    )  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientation(make_scene, save, orientation, kind):
    """EXIF orientation is read from JPEG, PNG and WebP, and swaps the upright sides from 5 on."""
    from PIL import Image  # only here

    exif = Image.Exif()
    exif[0x0112] = orientation
    header = read_header(save(make_scene(97, 61), kind, exif=exif), limits=LIMITS)

    sides = (61, 97) if orientation >= 5 else (97, 61)
    assert (orientation, *sides) == (
        header.orientation, header.upright_width, header.upright_height
    )  # fmt: skip


def test_progressive_scans(picture):
    """A progressive JPEG's scans are counted."""
    header = read_header(picture("jpeg-progressive"), limits=LIMITS)

    assert (True, 10) == (header.progressive, header.scans)


def test_animations_are_told(make_scene, save):
    """Animated GIF, PNG and WebP are told from the header."""
    from PIL import Image  # only here

    frames = [Image.fromarray(make_scene(40, 30, seed)) for seed in (1, 2, 3)]
    for kind in ("GIF", "PNG", "WEBP"):
        data = save(frames[0], kind, save_all=True, append_images=frames[1:])

        assert read_header(data, limits=LIMITS).animated, kind


def test_still_pictures_are_not_animated(picture):
    """A still GIF is not called animated."""
    assert not read_header(picture("gif"), limits=LIMITS).animated


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (small_jpeg(frame(65500, 65500), scan()), "one side"),
        (small_jpeg(frame(20000, 14000), scan()), "pixels"),
        (small_jpeg(frame(64, 64, marker=0xC2), *[scan()] * 101), "scans"),
        (small_jpeg(frame(64, 64), *[scan(1)] * 101), "scans"),
        (small_jpeg(frame(7000, 7000, marker=0xC2), *[scan()] * 60), "times scans"),
        (png(65536, 65536), "one side"),
        (png(30000, 30000), "pixels"),
        (b"GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00", "one side"),
        (b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 30000, -30000, 1, 24), "pixels"),
    ],
)
def test_too_large(data, what):
    """Sides, pixels and scans beyond the limits are refused, with limit and actual number."""
    with pytest.raises(ImageTooLarge, match=what) as caught:
        read_header(data, limits=LIMITS)

    assert caught.value.facts["actual"] > caught.value.facts["limit"]
    assert "raise images.max_" in (caught.value.hint or "")  # a name that settings know


def test_limits_can_be_moved():
    """The same picture passes under larger limits."""
    data = small_jpeg(frame(20000, 14000), scan())

    header = read_header(data, limits=DecodeLimits(max_pixels=300_000_000))

    assert (20000, 14000) == (header.width, header.height)


@pytest.mark.parametrize(
    "data",
    [
        small_jpeg(frame(0, 10), scan()),
        small_jpeg(frame(10, 0), scan()),
        small_jpeg(frame(10, 10, bits=12), scan()),
        small_jpeg(frame(10, 10, components=2), scan(2)),
        small_jpeg(frame(10, 10, marker=0xC3), scan()),
        small_jpeg(frame(10, 10, marker=0xC9), scan()),
        small_jpeg(frame(10, 10), frame(90, 90), scan()),
        small_jpeg(b"\xff\xe0\x00\x00", frame(10, 10), scan()),
        png(0, 10),
        png(10, 10, bits=3),
        png(10, 10, kind=5),
        b"GIF89a\x01\x00\x01\x00\x00\x00\x00" + b"\x99" * 20,
        b"BM" + bytes(12) + struct.pack("<IiiHH", 41, 3, 3, 1, 24),
        b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 3, 3, 1, 23),
    ],
)
def test_invalid(data):
    """A header that makes no sense, and a side of zero, are refused."""
    with pytest.raises(ImageInvalid):
        read_header(data, limits=LIMITS)


def test_thumbnails_do_not_count(make_jpeg, make_scene):
    """A JPEG inside an APP segment changes neither size nor scans."""
    inner, outer = make_jpeg(make_scene(33, 21)), make_jpeg(make_scene(97, 61))
    data = outer[:2] + segment(0xE1, b"Exif\x00\x00" + inner) + outer[2:]

    header = read_header(data, limits=LIMITS)

    assert (97, 61, 1) == (header.width, header.height, header.scans)


def test_cut_short(any_picture_name, picture):
    """The first bytes of any picture are a truncated picture, never another error."""
    with pytest.raises(ImageTruncated):
        read_header(picture(any_picture_name)[:27], limits=LIMITS)
