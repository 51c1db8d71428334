"""What a picture is, told by its first bytes and never by its name or content type."""

from __future__ import annotations

import re
from typing import Final

from tintype.errors import UnsupportedImageFormat

ACCEPTED: Final = "JPEG, PNG, GIF, WebP and BMP"

_ALLOWED: Final = (
    (re.compile(rb"\xff\xd8\xff"), "jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "png"),
    (re.compile(rb"GIF8[79]a"), "gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "webp"),
    (re.compile(rb"BM.{24}", re.DOTALL), "bmp"),
)
_FTYP: Final = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"hevc": "HEIC",
    b"mif1": "HEIF",
    b"msf1": "HEIF",
    b"qt  ": "a QuickTime film",
    b"crx ": "a Canon raw photo",
}
_OTHERS: Final = (
    (re.compile(rb"II\x2a\x00|MM\x00\x2a|II\x2b\x00|MM\x00\x2b"), "TIFF"),
    (re.compile(rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"\xff\x0a|\x00\x00\x00\x0cJXL \r\n\x87\n"), "JPEG XL"),
    (re.compile(rb"%PDF-"), "PDF"),
    (re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"), "PostScript"),
    (re.compile(rb"8BPS"), "a Photoshop file"),
    (re.compile(rb"\x00\x00[\x01\x02]\x00"), "a Windows icon"),
    (re.compile(rb"P[1-7][\s#]"), "a Netpbm picture"),
    (re.compile(rb"\x1aE\xdf\xa3"), "a WebM or Matroska film"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive"),
    (re.compile(rb"\x1f\x8b"), "gzip"),
    (re.compile(rb"\x89HDF\r\n\x1a\n"), "an HDF5 file"),
    (re.compile(rb"\x93NUMPY"), "a NumPy array"),
    (re.compile(rb"data:image/", re.IGNORECASE), "a data URL (send its bytes, or JSON)"),
    (re.compile(rb"\s*[{\[]"), "JSON"),
)


_PAGE_HINT = "that is a web page, not the picture on it: save or name the picture itself"


def sniff(data: bytes) -> str:
    """Return ``jpeg``, ``png``, ``gif``, ``webp`` or ``bmp``.

    Raises:
        UnsupportedImageFormat: anything else; the message names what it looks like.
    """
    start = bytes(data[:4096])
    for magic, name in _ALLOWED:
        if magic.match(start):
            return name
    seen = _looks_like(start)
    raise UnsupportedImageFormat(
        f"{_says(start)}; accepted are {ACCEPTED}",
        hint="save it as JPEG or PNG first" if seen != "HTML" else _PAGE_HINT,
        format=seen or "unknown",
    )


def _says(start: bytes) -> str:
    if not start:
        return "there are no bytes, so there is no picture"
    name = _looks_like(start)
    return f"this looks like {name}" if name else "this is no picture of a known format"


def _looks_like(start: bytes) -> str | None:
    if start[4:8] == b"ftyp":
        return _FTYP.get(start[8:12], "an MP4 film")
    if start.lstrip().startswith(b"<"):
        return _markup(start.lower())
    return next((name for magic, name in _OTHERS if magic.match(start)), None)


def _markup(start: bytes) -> str:
    if b"<svg" in start:
        return "SVG"
    return "HTML" if b"<!doctype html" in start or b"<html" in start else "XML"
