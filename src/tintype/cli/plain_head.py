"""The head of a plain POST request, read in one look: what refusing it cheaply takes.

Only what leaves no doubt of where the request ends is taken (RFC 9112, section 6.3): one length,
no coding, no question about the connection. Everything else is left to the parser.
"""

from __future__ import annotations

import re
from typing import Final

_TELLING: Final = rb"content-length|transfer-encoding|expect|upgrade|(?:proxy-)?connection"
_OTHER: Final = rb"(?!(?:%s):)[!-9;-~]++:[\t -~]*+\r\n" % _TELLING
_KEEPS: Final = rb"connection:[\t ]*keep-alive[\t ]*\r\n"
_HEAD: Final = re.compile(
    rb"POST (/[!-~]*+) HTTP/1\.1\r\n(?i:"
    rb"(?:%(others)s)*+content-length:[\t ]*(\d{1,9})[\t ]*\r\n(?:%(others)s)*+)\r\n"
    % {b"others": _OTHER + rb"|" + _KEEPS}
)


def plain_post(data: bytes, start: int = 0) -> re.Match[bytes] | None:
    """The head of the request that begins at ``start``, with two groups: its URL, its body's bytes.

    The body begins where the match ends; it may come later. None where it is another request, or
    its head is not there whole.
    """
    return _HEAD.match(data, start)
