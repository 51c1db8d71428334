"""The record over HTTP: look a prediction up, say whether it was right, delete it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tintype.errors import MalformedRequest, RecordDisabled, UnknownPrediction
from tintype.record.recorder import Recorder
from tintype.record.values import RecordedPrediction, RecordedResult, Said
from tintype.types import Point
from tintype.web.access import caller_of
from tintype.web.body import read_body
from tintype.web.responses import json_response
from tintype.web.uploads import UploadLimits

_ID: Final = re.compile(r"[0-9a-f]{32}")
_Text = Annotated[str, msgspec.Meta(max_length=1000)]


class FeedbackBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What ``PUT .../feedback`` takes."""

    correct: bool | None = None
    label: _Text | None = None
    picked: _Text | None = None
    model: _Text | None = None
    x: float | None = None
    y: float | None = None

    def said(self) -> Said:
        """The same as a value of the record. Raises MalformedRequest for half a point."""
        if (self.x is None) != (self.y is None):
            raise MalformedRequest("a point needs both x and y")
        point = None if self.x is None or self.y is None else Point(x=self.x, y=self.y)
        return Said(
            correct=self.correct,
            label=self.label,
            picked=self.picked,
            model=self.model,
            point=point,
        )


class Predictions:
    """The handlers under ``/api/predictions``."""

    def __init__(self, record: Recorder | None, *, limits: UploadLimits) -> None:
        self._record = record
        self._limits = limits

    async def show(self, request: Request) -> Response:
        """One prediction as it is in the record."""
        record, name = self._asked(request)
        return json_response(recorded_body(await record.find(name)))

    async def say(self, request: Request) -> Response:
        """Keep what a person said of a result: answered when it is committed."""
        record, name = self._asked(request)
        body = await read_body(request, limits=self._limits)
        result, judged = await record.say(
            name, _read_feedback(body).said(), key=caller_of(request).key
        )
        return json_response(
            {
                "id": name,
                "model": result.model,
                "version": result.version,
                "point": result.point,
                "feedback": judged,
            }
        )

    async def delete(self, request: Request) -> Response:
        """Delete a prediction, what was said of it, and its picture if no other has the same."""
        record, name = self._asked(request)
        await record.forget(name)
        return json_response({"deleted": name})

    def _asked(self, request: Request) -> tuple[Recorder, str]:
        return recording(self._record), prediction_id(request)


def recording(record: Recorder | None) -> Recorder:
    """The record. Raises RecordDisabled where there is none."""
    if record is None:
        raise RecordDisabled(
            "nothing is recorded by this server", hint="the setting record.enabled turns it on"
        )
    return record


def prediction_id(request: Request) -> str:
    """The id in the address. Raises UnknownPrediction for what no id looks like."""
    return valid_id(str(request.path_params["id"]))


def valid_id(name: str) -> str:
    """The id, if it looks like one. Raises UnknownPrediction."""
    if not _ID.fullmatch(name):
        raise UnknownPrediction(
            f"{name[:64]!r} is no id of a prediction",
            hint="the id is in the answer to the picture: 32 of 0-9 and a-f",
        )
    return name


def recorded_body(prediction: RecordedPrediction) -> dict[str, object]:
    """A recorded prediction as JSON: the answer's own shape, and what was added since."""
    at = datetime.fromtimestamp(prediction.at_ms / 1000, UTC)
    return {
        "id": prediction.id,
        "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "image": prediction.image,
        "results": [_result_body(result) for result in prediction.results],
        "seconds": prediction.seconds,
    }


def _result_body(result: RecordedResult) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(result)
    del body["position"]
    return body


def _read_feedback(body: bytes) -> FeedbackBody:
    try:
        return msgspec.json.decode(body, type=FeedbackBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(
            f"the feedback cannot be read: {error}",
            hint='JSON such as {"correct": true}, {"label": "dog"} or {"picked": "dog"}',
        ) from None
