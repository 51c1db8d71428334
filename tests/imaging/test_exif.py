"""The orientation in a block of EXIF, whatever shape it is in."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tintype.imaging.formats import exif


def block(order, *, kind=3, value=6, count=1, start=8):
    width = {3: "HH", 4: "I"}[kind]
    numbers = (value, 0) if kind == 3 else (value,)
    mark = b"II*\x00" if order == "<" else b"MM\x00*"
    field = struct.pack(order + "HHI" + width, 0x0112, kind, 1, *numbers)
    return mark + struct.pack(order + "IH", start, count) + field


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
@pytest.mark.parametrize("before", [b"", b"Exif\x00\x00"])
def test_both_byte_orders_and_widths(order, kind, before):
    """Little and big endian, SHORT and LONG, with JPEG's prefix and without."""
    assert 6 == exif.orientation(before + block(order, kind=kind))


@pytest.mark.parametrize(
    "data",
    [b"", b"II*\x00", block("<", value=0), block("<", value=9), block("<", start=4000),
     block("<")[:15], block("<", count=0), b"XX" + block("<")[2:]],
)  # fmt: skip
def test_damage_means_upright(data):
    """What makes no sense is orientation 1."""
    assert 1 == exif.orientation(data)


@given(st.binary(max_size=200), st.sampled_from([b"", b"II*\x00", b"MM\x00*"]))
def test_noise(data, start):
    """Noise never raises."""
    assert 1 <= exif.orientation(start + data) <= 8
