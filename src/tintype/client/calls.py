"""What is asked and what it means: requests, when to try again, answers read. Pure, no IO.

``conversation`` is a generator that says what to do next and is told how it went, so the blocking
and the asynchronous client differ in how they wait and in nothing else.
"""

from __future__ import annotations

import uuid
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

import msgspec

from tintype import __version__
from tintype.client.policy import Server
from tintype.types import Point, Prediction, ResultError
from tintype.wire.http_exchange import Exchange, Request

MAX_ANSWER_BYTES: Final = 64 << 20
_PAUSE: Final = 0.05
_UNREADABLE: Final = (msgspec.DecodeError, RecursionError)


class _Failed(msgspec.Struct):
    """An answer in a batch, as far as it may be a refusal."""

    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is asked of the pictures."""

    models: tuple[str, ...] = ()
    points: tuple[Point, ...] = ()
    top: int | None = None
    threshold: float | None = None

    def query(self) -> str:
        """The options as the query of a URL, with its question mark."""
        pairs: list[tuple[str, str]] = [("model", model) for model in self.models]
        if self.points:
            points = ";".join(f"{float(point.x)!r},{float(point.y)!r}" for point in self.points)
            pairs.append(("points", points))
        if self.top is not None:
            pairs.append(("top", repr(int(self.top))))
        if self.threshold is not None:
            pairs.append(("threshold", repr(float(self.threshold))))
        return f"?{urlencode(pairs)}" if pairs else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What is said of a result: right or wrong, the right label, or the one a person picked.

    ``model`` and ``point`` tell which result, where the prediction has several.
    """

    correct: bool | None = None
    label: str | None = None
    picked: str | None = None
    model: str | None = None
    point: Point | None = None

    def body(self) -> bytes:
        """As JSON, with what was not given left out."""
        place = {"x": self.point.x, "y": self.point.y} if self.point else {}
        given = {
            "correct": self.correct,
            "label": self.label,
            "picked": self.picked,
            "model": self.model,
            **place,
        }
        return msgspec.json.encode({k: v for k, v in given.items() if v is not None})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The server answered."""

    status: int
    body: bytes
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """The server did not answer. ``sent`` tells whether it may have begun to work."""

    problem: ResultError
    sent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


Outcome: TypeAlias = Reply | Silence
Conversation: TypeAlias = Generator[Request | Pause, Outcome | None, Outcome]


def conversation(request: Request, *, retries: int) -> Conversation:
    """Send, and send again where nothing can be done twice.

    That is: the server could not be reached, or it said that it is full and when to come back (429
    or 503 with ``Retry-After``, RFC 9110 section 10.2.3). An answer that broke off is asked again
    only where the method allows it (section 9.2.2): a prediction may be in the record already.
    """
    outcome = yield request
    for _ in range(retries):
        wait = _wait(outcome, again=request.method != "POST")
        if wait is None:
            break
        yield Pause(seconds=wait)
        outcome = yield request
    assert outcome is not None  # noqa: S101 - told for every request, see Conversation
    return outcome


def _wait(outcome: Outcome | None, *, again: bool) -> float | None:
    """How long to wait before the next try, None for no further one."""
    if isinstance(outcome, Silence):
        return _PAUSE if again or not outcome.sent else None
    return outcome.retry_after if outcome and outcome.status in {429, 503} else None


def predict_request(
    server: Server, image: bytes, ask: Ask, *, headers: Sequence[tuple[str, str]]
) -> Request:
    """One picture, as the body."""
    return _request(
        server,
        "POST",
        f"/api/predict{ask.query()}",
        headers=[*headers, ("Content-Type", "application/octet-stream")],
        body=bytes(memoryview(image)),
    )


def batch_request(
    server: Server, images: Sequence[bytes], ask: Ask, *, headers: Sequence[tuple[str, str]]
) -> Request:
    """Many pictures, as a form (RFC 7578)."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="i"\r\n\r\n'
    parts = [
        part for image in images for part in (head.encode(), bytes(memoryview(image)), b"\r\n")
    ]
    return _request(
        server,
        "POST",
        f"/api/predict/batch{ask.query()}",
        headers=[*headers, ("Content-Type", f"multipart/form-data; boundary={boundary}")],
        body=b"".join([*parts, f"--{boundary}--\r\n".encode()]),
    )


def ready_request(server: Server, *, headers: Sequence[tuple[str, str]]) -> Request:
    """Whether the server is ready."""
    return _request(server, "GET", "/ready", headers=headers)


def feedback_request(
    server: Server, prediction: str, said: Feedback, *, headers: Sequence[tuple[str, str]]
) -> Request:
    """What became of a prediction."""
    return _request(
        server,
        "PUT",
        f"/api/predictions/{quote(prediction, safe='')}/feedback",
        headers=[*headers, ("Content-Type", "application/json")],
        body=said.body(),
    )


def _request(
    server: Server,
    method: str,
    target: str,
    *,
    headers: Sequence[tuple[str, str]],
    body: bytes = b"",
) -> Request:
    return Request(
        method=method,
        target=server.prefix + target,
        host=server.host_header,
        headers=(("User-Agent", f"tintype-client/{__version__}"), *headers),
        body=body,
    )


def read_prediction(outcome: Outcome) -> Prediction | ResultError:
    """The prediction in an answer, or why there is none."""
    body = _body(outcome)
    return body if isinstance(body, ResultError) else _prediction(body)


def read_batch(outcome: Outcome, *, count: int) -> list[Prediction | ResultError]:
    """A prediction for each picture, or why there is none."""
    body = _body(outcome)
    if isinstance(body, ResultError):
        return [body] * count
    try:
        items = msgspec.json.decode(body, type=list[msgspec.Raw])
    except _UNREADABLE as error:
        return [_broken(error)] * count
    if len(items) != count:
        return [_broken(f"{len(items)} answers for {count} pictures")] * count
    return [_item(bytes(item)) for item in items]


def _item(item: bytes) -> Prediction | ResultError:
    try:
        failed = msgspec.json.decode(item, type=_Failed)
    except _UNREADABLE as error:
        return _broken(error)
    return _prediction(item) if failed.error is None else _problem(failed.error)


def _body(outcome: Outcome) -> bytes | ResultError:
    if isinstance(outcome, Silence):
        return outcome.problem
    if outcome.status == 200:
        return outcome.body
    try:
        problem = msgspec.json.decode(outcome.body, type=dict[str, Any])
    except _UNREADABLE:  # a proxy in between speaks HTML
        problem = {}
    return _problem({"type": "refused", "detail": f"status {outcome.status}", **problem})


def read_refusal(outcome: Outcome) -> ResultError | None:
    """Why it was not done, None where it was."""
    body = _body(outcome)
    return body if isinstance(body, ResultError) else None


def _prediction(body: bytes) -> Prediction | ResultError:
    try:
        return msgspec.json.decode(body, type=Prediction)
    except _UNREADABLE as error:
        return _broken(error)


def _problem(document: dict[str, Any]) -> ResultError:
    """A problem document (RFC 9457) in short; ``type`` is the last part of its address."""
    kind = str(document.get("type", "refused")).rpartition("/")[2]
    return ResultError(type=kind, detail=str(document.get("detail", "")))


def _broken(error: object) -> ResultError:
    return ResultError(type="broken-answer", detail=f"the server's answer cannot be read: {error}")


def reply_of(exchange: Exchange) -> Reply:
    """What a finished exchange brought."""
    assert exchange.head is not None  # noqa: S101 - an exchange that is done has its head
    after = exchange.head.headers.get("retry-after", "")
    return Reply(
        status=exchange.head.status,
        body=exchange.body(),
        # Seconds; the other form, a date, is not worth trusting two clocks for.
        retry_after=float(after) if after.isascii() and after.isdigit() else None,
    )
