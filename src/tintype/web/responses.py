"""Answers in JSON and in HTML. Nobody may keep them: each is about this moment, or somebody's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import Response

_NO_STORE: Final = {"Cache-Control": "no-store"}

BY_FRAGMENT: Final = {"Vary": "X-Fragment"}
"""For a page that is answered in part where its script asks."""


def json_response(
    body: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Our own values as JSON, encoded by msgspec."""
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type="application/json",
        headers={**_NO_STORE, **(headers or {})},
    )


def html_response(
    html: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A page, or a part of one."""
    return Response(
        html,
        status_code=status,
        media_type="text/html",
        headers={**_NO_STORE, **(headers or {})},
    )
