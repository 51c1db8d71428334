"""Errors as RFC 9457 problem documents: one table from our error classes to HTTP.

``type`` is ``/problems/<slug>``, a reference that leads to the docs of the server that answered.
The slug is the ``type`` of the error class and never changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tintype import errors
from tintype.errors import TintypeError
from tintype.web.trace import request_id

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_SECONDS = 1
CHALLENGE = 'Bearer realm="tintype"'

log = structlog.get_logger(__name__)


class ClientGone(Exception):
    """The client closed the connection before the answer was ready."""


@dataclass(frozen=True, slots=True)
class Row:
    """How one class of error is told over HTTP."""

    status: int
    title: str
    when: str
    retry: bool = False


TABLE: Mapping[type[TintypeError], Row] = {
    errors.TintypeError: Row(503, "Cannot answer", "anything that has no row of its own"),
    # The request.
    errors.RequestError: Row(400, "Request refused", "a request that cannot be served"),
    errors.MalformedRequest: Row(
        400, "Malformed request", "a body or an option that cannot be read"
    ),
    errors.InputDisabled: Row(
        403, "Input switched off", "a picture by `url` or by `path`, which is off by default"
    ),
    errors.InputNotAllowed: Row(
        403, "Input not allowed", "a `url` or a `path` that the operator does not allow"
    ),
    errors.InputUnreachable: Row(
        422, "Input unreachable", "a picture that is not there by its `url` or `path`"
    ),
    errors.Unauthorized: Row(401, "Unauthorized", "no API key, or none that holds"),
    errors.Forbidden: Row(403, "Forbidden", "a key that may not do that"),
    errors.UnknownModel: Row(404, "Unknown model", "a `model` that is not served"),
    errors.UnknownPrediction: Row(
        404, "Unknown prediction", "the id of a prediction that is not in the record"
    ),
    errors.RecordDisabled: Row(
        403, "Record switched off", "feedback or a look-up where nothing is recorded"
    ),
    errors.ForeignForm: Row(403, "Foreign form", "a form that a page of another site sent"),
    errors.BodyTooSlow: Row(408, "Body too slow", "a body that took too long to arrive"),
    errors.BodyTooLarge: Row(413, "Body too large", "more bytes than the limit"),
    errors.TooManyImages: Row(
        413, "Too many pictures", "more pictures in one request than the limit"
    ),
    errors.UnsupportedEncoding: Row(
        415, "Unsupported content encoding", "a request body that is compressed"
    ),
    errors.RateLimited: Row(
        429, "Rate limited", "more in a short time than is allowed", retry=True
    ),
    errors.QuotaExceeded: Row(429, "Quota exceeded", "more in a day than the key may", retry=True),
    # The picture.
    errors.ImageError: Row(422, "Picture refused", "a picture that cannot be used"),
    errors.ImageTooLarge: Row(
        413, "Picture too large", "more pixels, longer sides or more scans than the limit"
    ),
    errors.UnsupportedImageFormat: Row(
        415, "Unsupported picture format", "bytes that are no picture of an allowed format"
    ),
    errors.ImageInvalid: Row(422, "Picture invalid", "a picture whose header makes no sense"),
    errors.ImageTruncated: Row(422, "Picture truncated", "a picture that ends too early"),
    errors.ImageCorrupt: Row(422, "Picture corrupt", "a picture that the decoder refuses"),
    # The server.
    errors.ServingError: Row(503, "Cannot serve", "a server that cannot answer now", retry=True),
    errors.Overloaded: Row(
        503, "Overloaded", "a full queue, or no memory for pictures", retry=True
    ),
    errors.ModelUnavailable: Row(
        503, "Model unavailable", "a model that is not loaded or is going away", retry=True
    ),
    errors.RecordUnavailable: Row(
        503, "Record unavailable", "a record that cannot be written or read now", retry=True
    ),
    errors.EngineFailed: Row(503, "Engine failed", "an engine that raised while it ran"),
    errors.RemoteRefused: Row(
        502, "Remote refused", "a remote server that does not take what it was sent"
    ),
    errors.RemoteFailed: Row(
        502, "Remote failed", "a remote server that failed, or answered what cannot be used"
    ),
    errors.RemoteUnreachable: Row(
        502, "Remote unreachable", "a remote server that cannot be asked", retry=True
    ),
    errors.DeadlineExceeded: Row(504, "Deadline exceeded", "an answer that came too late"),
    # Model files and settings: told at start; over HTTP only when a model fails while serving.
    errors.SettingsError: Row(503, "Settings error", "a setting that cannot be used"),
    errors.ModelFileError: Row(503, "Model file error", "a model file that cannot be used"),
    errors.UnknownModelFormat: Row(503, "Unknown model format", "a file of no known kind"),
    errors.ModelFileDamaged: Row(503, "Model file damaged", "a model file cut short"),
    errors.ModelFileTooLarge: Row(503, "Model file too large", "a model beyond the limits"),
    errors.UnsafeModel: Row(503, "Unsafe model", "a model file that holds code"),
    errors.NotAnImageModel: Row(503, "Not an image model", "a model that takes no picture"),
    errors.UnsupportedModel: Row(503, "Unsupported model", "an operation nothing here can run"),
    errors.LabelsError: Row(503, "Labels error", "a labels file that cannot be read"),
    errors.CardError: Row(503, "Model card error", "a model card that cannot be used"),
    errors.GoldenSetFailed: Row(
        409, "Golden set failed", "a version that has too many golden pictures wrong"
    ),
}

HTTP_PROBLEMS: Mapping[str, Row] = {
    "not-found": Row(404, "Not found", "an address that is not here"),
    "method-not-allowed": Row(405, "Method not allowed", "a method that the address has not"),
    "head-too-large": Row(431, "Head too large", "headers and address above 64 KiB"),
    "bad-request": Row(400, "Bad request", "a request that breaks HTTP's own rules"),
    "internal-error": Row(500, "Internal error", "a fault in the server; the log has the details"),
}
"""Problems that are no class of ``tintype.errors``."""


def row_of(error: TintypeError) -> Row:
    """The row of the error's class, or of its nearest parent that has one."""
    return next(TABLE[cls] for cls in type(error).__mro__ if cls in TABLE)


def problem_of(error: TintypeError) -> dict[str, object]:
    """The problem document of one of our errors; ``facts`` become members beside the standard."""
    row = row_of(error)
    return {
        **error.facts,
        "type": f"/problems/{error.type}",
        "title": row.title,
        "status": row.status,
        "detail": error.message,
        **({"hint": error.hint} if error.hint else {}),
    }


def status_of(problem: Mapping[str, object] | None) -> int:
    """The status to answer a problem with; 200 where there is none."""
    return int(str(problem["status"])) if problem else int(HTTPStatus.OK)


def internal_problem(request_id: str) -> dict[str, object]:
    """What is told of an unexpected fault: nothing but where to look it up."""
    return http_problem(
        "internal-error", f"something went wrong in the server; its log has request {request_id}"
    )


def on_tintype_error(request: Request, error: TintypeError) -> Response:
    """Answer one of our own errors."""
    row = row_of(error)
    headers: dict[str, str] = {}
    if row.retry:
        headers["Retry-After"] = str(error.facts.get("retry_after", RETRY_AFTER_SECONDS))
    if row.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = CHALLENGE
    return problem_response(request, problem_of(error), headers=headers)


def on_http_error(request: Request, error: HTTPException) -> Response:
    """Answer what is told in HTTP's own words: unknown addresses, wrong methods."""
    path, method = request.scope["path"], request.scope["method"]
    headers = error.headers or {}
    if error.status_code == HTTPStatus.NOT_FOUND:
        body = http_problem("not-found", f"nothing is served at {path}")
        body["hint"] = "/docs lists every address"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        body = http_problem("method-not-allowed", f"{path} does not take {method}")
        body["hint"] = f"it takes {headers.get('Allow', 'nothing')}"
    elif error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        body = http_problem("bad-request", error.detail) | {"status": error.status_code}
    else:
        return on_unexpected(request, error)
    return problem_response(request, body, headers=headers)


def gone() -> Response:
    """Nobody reads this; 499 is what proxies write into their logs for it."""
    return Response(b"", status_code=499, media_type="text/plain")


def on_unexpected(request: Request, error: Exception) -> Response:
    """The last handler: log the fault with its request id, tell the caller only the id."""
    name = request_id(request.scope)
    log.error("unexpected error", request_id=name, path=request.scope["path"], exc_info=error)
    return problem_response(request, internal_problem(name), headers={})


def problem_response(
    request: Request,
    problem: Mapping[str, object],
    *,
    headers: Mapping[str, str],
) -> Response:
    """A problem document as a response; ``instance`` names the request."""
    body = msgspec.json.encode({**problem, "instance": f"urn:request:{request_id(request.scope)}"})
    return Response(
        body,
        status_code=status_of(problem),
        media_type=PROBLEM_JSON,
        headers={"Cache-Control": "no-store", **headers},
    )


def http_problem(slug: str, detail: str) -> dict[str, object]:
    """The problem document of a slug in HTTP_PROBLEMS."""
    row = HTTP_PROBLEMS[slug]
    return {
        "type": f"/problems/{slug}",
        "title": row.title,
        "status": row.status,
        "detail": detail,
    }
