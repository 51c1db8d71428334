"""The header of any accepted picture, and the caps on what it declares."""

from __future__ import annotations

from tintype.errors import ImageInvalid, ImageTooLarge
from tintype.imaging.formats import bmp, gif, jpeg, png, webp
from tintype.imaging.formats.header import Header
from tintype.imaging.limits import DecodeLimits
from tintype.imaging.sniff import sniff

__all__ = ["Header", "read_header"]

_READERS = {"png": png.read, "gif": gif.read, "webp": webp.read, "bmp": bmp.read}


def read_header(data: bytes, *, limits: DecodeLimits) -> Header:
    """Read what ``data`` declares, without decoding a pixel, and hold it to ``limits``.

    Raises:
        UnsupportedImageFormat: the bytes are no picture of an accepted format.
        ImageInvalid: the header makes no sense, or a side is zero.
        ImageTruncated: the data end within the header.
        ImageTooLarge: more pixels, longer sides, more bits or more scans than allowed.
    """
    name = sniff(data)
    header = _jpeg(data, limits) if name == "jpeg" else _READERS[name](data)
    _check(header, limits)
    return header


def _jpeg(data: bytes, limits: DecodeLimits) -> Header:
    return jpeg.read(data, max_scans=limits.max_scans)


def _check(header: Header, limits: DecodeLimits) -> None:
    width, height, name = header.width, header.height, header.format
    if width == 0 or height == 0:
        raise ImageInvalid(
            f"the picture is {width} x {height} pixels; both sides must be above zero", format=name
        )
    pixels = width * height
    rows = (
        (max(width, height), limits.max_side, "pixels along one side", "max_side"),
        (pixels, limits.max_pixels, "pixels", "max_pixels"),
        (header.bits, limits.max_bits, "bits a sample", "max_bits"),
        (header.scans, limits.max_scans, "scans", "max_scans"),
        (header.scans * pixels, limits.max_scan_pixels, "pixels times scans", "max_scan_pixels"),
    )
    for actual, limit, what, setting in rows:
        if actual > limit:
            raise ImageTooLarge(
                f"the picture ({width} x {height}) has {actual} {what}; "
                f"at most {limit} are allowed",
                hint=f"send a smaller picture, or raise images.{setting}",
                limit=limit,
                actual=actual,
                format=name,
            )
