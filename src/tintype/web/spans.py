"""What a caller's own trace says of itself: the request's span goes on from there."""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

_CARRIED: Final = (b"traceparent", b"tracestate")


def carried(scope: Scope) -> dict[str, str]:
    """The headers of W3C Trace Context, as they came."""
    return {
        name.decode(): value.decode("latin-1")
        for name, value in scope["headers"]
        if name in _CARRIED
    }
