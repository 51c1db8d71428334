"""Hostile and broken pictures: one kind of error, within bounded time and memory."""

import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tintype.errors import ImageCorrupt, ImageError, ImageTooLarge
from tintype.imaging.decode import decode
from tintype.imaging.header import read_header
from tintype.imaging.limits import DecodeLimits
from tintype.imaging.steps import Decode

SMALL = DecodeLimits(max_pixels=1_000_000)
NAMES = ["jpeg-small", "jpeg-grey", "jpeg-progressive", "jpeg-cmyk", "png-grey-16", "png-rgba",
         "png-palette-trns", "gif", "bmp-palette", "webp-lossy", "webp-alpha"]  # fmt: skip
MEASURE = """
import resource, sys
from PIL import Image, JpegImagePlugin, PngImagePlugin
from tintype.errors import ImageTooLarge
from tintype.imaging.decode import decode
from tintype.imaging.header import read_header
from tintype.imaging.limits import DecodeLimits
from tintype.imaging.steps import Decode

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

bombs = [open(path, "rb").read() for path in sys.argv[1:]]
before = peak()
for data in bombs:
    try:
        decode(data, header=read_header(data, limits=DecodeLimits()), how=Decode())
    except ImageTooLarge:
        continue
    raise SystemExit("a bomb was decoded")
print(peak() - before)
"""


def try_to_open(data, limits):
    try:
        header = read_header(data, limits=limits)
        decode(data, header=header, how=Decode())
    except ImageError:
        pass


@pytest.mark.filterwarnings("default::UserWarning:PIL")  # Pillow's own remarks on broken files
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    name=st.sampled_from(NAMES),
    cut=st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    near=st.booleans(),
)
@example(name="jpeg-small", cut=1.0, changes=[], near=False)
def test_broken_bytes(picture, name, cut, changes, near):
    """Cut or changed bytes give a picture or an ImageError, and nothing else."""
    data = bytearray(picture(name))
    reach = min(len(data), 200) if near else len(data)  # headers are worth more attempts
    for place, value in changes:
        data[int(place * reach)] = value
    del data[max(1, int(cut * len(data))) :]

    try_to_open(bytes(data), SMALL)


@settings(max_examples=200, deadline=None)
@given(
    magic=st.sampled_from(
        [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x10\x00\x00\x00WEBPVP8X", b"BM"]
    ),
    body=st.binary(max_size=300),
)
def test_noise_behind_a_magic(magic, body):
    """Noise behind any magic number gives an ImageError, or by chance a picture."""
    try_to_open(magic + body, SMALL)


def test_many_scans_of_a_baseline_jpeg(make_jpeg, make_scene):
    """Further scans behind a complete baseline one, which are not counted, are not decoded."""
    data = make_jpeg(make_scene(97, 61))
    many = data[:-2] + data[data.index(b"\xff\xda") : -2] * 200 + b"\xff\xd9"
    header = read_header(many, limits=DecodeLimits())

    with pytest.raises(ImageCorrupt):
        decode(many, header=header, how=Decode())


def test_bombs_take_no_memory(tmp_path, make_jpeg, make_scene, data_folder):
    """Small files that declare gigapixels are refused before anything is allocated."""
    bomb = bytearray(make_jpeg(make_scene(16, 16)))
    place = bomb.index(b"\xff\xc0") + 5
    bomb[place : place + 4] = (65500).to_bytes(2, "big") * 2
    (tmp_path / "bomb.jpg").write_bytes(bytes(bomb))
    odd = data_folder / "odd-images"
    paths = [tmp_path / "bomb.jpg", odd / "giant-image.jpg", odd / "65536-uint32-limit.png"]

    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, paths)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (0, "") == (done.returncode, done.stderr)
    assert int(done.stdout) < 4096, "KiB by which the peak of resident memory may grow"


def test_a_lying_header_is_refused(make_jpeg, make_scene):
    """A JPEG that declares 65500 x 65500 pixels is too large, whatever it holds."""
    bomb = bytearray(make_jpeg(make_scene(16, 16)))
    place = bomb.index(b"\xff\xc0") + 5
    bomb[place : place + 4] = (65500).to_bytes(2, "big") * 2

    with pytest.raises(ImageTooLarge):
        read_header(bytes(bomb), limits=DecodeLimits())


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff\xe0\x00\x02" * 2_000_000,
        b"\xff\xd8" + b"\xff" * 4_000_000 + b"\x00" + b"\xff\xd0" * 2_000_000,
        b"\xff\xd8\xff\xc2\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00"
        b"\x00\x3f\x00" + b"\xff" * 4_000_000 + b"\x00" * 9,
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x00\x08\x00\x00\x00\x08\x08\x02\x00\x00\x00"
        + bytes(4)
        + b"\x00\x00\x00\x00tEXt\x00\x00\x00\x00" * 500_000,
        b"GIF89a\x08\x00\x08\x00\x00\x00\x00!\xfe" + b"\x01a" * 3_000_000,
        b"GIF89a\x08\x00\x08\x00\x00\x00\x00" + b"!\xfe\x00" * 2_000_000,
        b"<?xml?>" + b"<!---->" * 1_000_000,
    ],
    ids=["segments", "fill bytes", "fill bytes in a scan", "chunks", "blocks", "extensions", "xml"],
)
def test_millions_of_little_parts(data):
    """Files of millions of empty parts, of any format, are refused in well under a second."""
    start = time.process_time()
    with pytest.raises(ImageError):
        decode(data, header=read_header(data, limits=DecodeLimits()), how=Decode())

    assert time.process_time() - start < 0.5


EXPECTED = {
    "65536-uint32-limit.png": "image-too-large",
    "giant-image.jpg": "image-too-large",
    "corrupt-header.jpg": "image-truncated",
    "truncated.jpg": "image-truncated",
    "truncated.png": "image-truncated",
    "testimgl.jpg": "image-invalid",
}


def test_odd_images(data_folder):
    """Each odd picture gives pixels or one ImageError within two seconds of work."""
    opened = 0
    for path in sorted((data_folder / "odd-images").rglob("*")):
        if not path.is_file():
            continue
        data, said, start = path.read_bytes(), "", time.process_time()
        try:
            decode(data, header=read_header(data, limits=DecodeLimits()), how=Decode())
        except ImageError as error:
            said = error.type
        refused = path.suffix.lower() in {".tif", ".tiff", ".svg", ".avif"}
        expected = "unsupported-image-format" if refused else EXPECTED.get(path.name, "")
        assert (path.name, expected) == (path.name, said)
        assert time.process_time() - start < 2, path.name
        opened += not said
    assert opened > 70, "pictures that can be opened"
