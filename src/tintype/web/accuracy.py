"""``GET /api/accuracy``: how good the answers are, out of what people said of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from tintype.errors import MalformedRequest
from tintype.record.recorder import Recorder
from tintype.record.reports import Asked, accuracy
from tintype.web.options import refuse_name
from tintype.web.predictions import recording
from tintype.web.responses import json_response

FILTER_NAMES: Final = ("model", "version", "label", "since")
_LONGEST: Final = 1000


class Accuracy:
    """The handler of ``/api/accuracy``."""

    def __init__(self, record: Recorder | None) -> None:
        self._record = record

    async def show(self, request: Request) -> Response:
        """The figures of everything judged that fits the filters."""
        record = recording(self._record)
        asked = read_filters(request.query_params.multi_items())
        told = await accuracy(record, asked)
        body = {
            "model": asked.model,
            "version": asked.version,
            "label": asked.label,
            "since": None if asked.since_ms is None else _iso(asked.since_ms),
            "report": told,
        }
        return json_response(body)


def read_filters(pairs: Iterable[tuple[str, str]]) -> Asked:
    """Check the filters. Raises MalformedRequest: unknown, given twice or not to be read."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in FILTER_NAMES:
            refuse_name(name, known=FILTER_NAMES)
        if name in given:
            raise MalformedRequest(f"{name} is given twice")
        if value.strip():
            given[name] = value[:_LONGEST].replace("\0", "\ufffd")
    return Asked(
        model=given.get("model"),
        version=given.get("version"),
        label=given.get("label"),
        since_ms=read_since(given["since"]) if "since" in given else None,
    )


def read_since(text: str) -> int:
    """Milliseconds since 1970 of a day or a time (ISO 8601; UTC where it names no other zone).

    No earlier than 1970: nothing was predicted before. Raises MalformedRequest.
    """
    try:
        when = datetime.fromisoformat(text.strip())
        aware = when.replace(tzinfo=UTC) if when.tzinfo is None else when
        at_ms = max(0, int(aware.timestamp() * 1000))
        _iso(at_ms)  # the year 10000 begins in the west while it is 9999 still
    except (ValueError, OverflowError):
        raise MalformedRequest(
            f"since {text[:64]!r} is no time",
            hint="a day such as 2026-11-01, or a time such as 2026-11-01T12:00:00Z",
        ) from None
    return at_ms


def _iso(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
