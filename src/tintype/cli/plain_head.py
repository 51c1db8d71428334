"""The head of a plain POST request, read in one look: what refusing it cheaply takes.

Only what leaves no doubt of where the request ends is taken (RFC 9112, section 6.3): one length,
no coding, no question about the connection. Everything else is left to the parser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEAD = re.compile(rb"POST (/[!-~]*+) HTTP/1\.1\r\n((?:[!-9;-~]++:[\t -~]*+\r\n)++)\r\n")
_TELLING = re.compile(
    rb"(?im)^(content-length|transfer-encoding|expect|upgrade|connection|proxy-connection)"
    rb"[ \t]*:[ \t]*([^\r]*+)\r$"
)
_LENGTH = re.compile(rb"\d{1,9}[ \t]*")


@dataclass(frozen=True, slots=True)
class PlainPost:
    """A POST request with a body of known length: its URL, where the body begins and its bytes."""

    url: bytes
    body_at: int
    body_bytes: int


def plain_post(data: bytes, start: int = 0) -> PlainPost | None:
    """The request that begins at ``start``; None where it is another, or its head not there whole.

    A request must begin there; its body may come later.
    """
    found = _HEAD.match(data, start)
    if found is None:
        return None
    length: bytes | None = None
    for name, value in _TELLING.findall(found[2]):
        if name.lower() == b"content-length":
            if length is not None or not _LENGTH.fullmatch(value):
                return None
            length = value
        elif name.lower() != b"connection" or value.strip().lower() != b"keep-alive":
            return None
    if length is None:
        return None
    return PlainPost(found[1], found.end(), int(length))
