"""What a picture is, is told by its bytes; what else it may be is named."""

import pytest

from tintype.errors import UnsupportedImageFormat
from tintype.imaging.sniff import sniff

OTHERS = {
    "TIFF": b"II*\x00\x08\x00\x00\x00",
    "AVIF": b"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00",
    "HEIC": b"\x00\x00\x00\x20ftypheic\x00\x00\x00\x00",
    "JPEG 2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n",
    "JPEG XL": b"\x00\x00\x00\x0cJXL \r\n\x87\n",
    "PDF": b"%PDF-1.7\n",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0",
    "SVG": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "HTML": b"\n<!DOCTYPE html><html></html>",
    "JSON": b'{"image": "..."}',
    "ZIP": b"PK\x03\x04\x14\x00",
    "HDF5": b"\x89HDF\r\n\x1a\n",
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("jpeg-420", "jpeg"), ("png-rgb", "png"), ("gif", "gif"), ("webp-lossy", "webp"),
     ("bmp-rgb", "bmp")],
)  # fmt: skip
def test_accepted(picture, name, expected):
    """The five accepted formats are told by their magic bytes."""
    assert expected == sniff(picture(name))


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_named(name):
    """A refusal says what the bytes look like and what is accepted."""
    with pytest.raises(UnsupportedImageFormat, match=f"(?s){name}.*JPEG, PNG, GIF, WebP and BMP"):
        sniff(OTHERS[name])


def test_a_web_page_is_not_to_be_saved_as_a_picture():
    """The hint says what went wrong: an address that leads to a page."""
    with pytest.raises(UnsupportedImageFormat) as caught:
        sniff(OTHERS["HTML"])
    assert "web page" in (caught.value.hint or "")


@pytest.mark.parametrize("data", [b"", b"\x00" * 40, b"hello", b"RIFF\x00\x00\x00\x00WAVE"])
def test_unknown(data):
    """Nothing, noise and text are refused."""
    with pytest.raises(UnsupportedImageFormat, match="accepted are"):
        sniff(data)
