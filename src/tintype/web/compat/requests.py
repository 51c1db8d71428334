"""What the clients of older systems send: their forms and their JSON. No IO here."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tintype.errors import MalformedRequest
from tintype.web.multipart_form import Part, boundary_of, read_parts
from tintype.web.uploads import NamedPicture, Picture, UploadLimits, decode_base64

_MAX_FIELDS: Final = 64
_THRESHOLD: Final = 0.4
"""Of a request to ``/imageDetection`` that tells none, as the gateway had it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionRequest:
    """The body of ``POST /imageDetection``."""

    model_name: str
    image: bytes
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedPicture:
    """The form of ``POST /services/classify/{name}``; the mark in percent of the sides."""

    picture: Picture
    mark: tuple[float, float] | None


def named_picture(query: Mapping[str, str]) -> NamedPicture:
    """The picture that ``file_path`` or ``file_name`` names. Raises MalformedRequest."""
    given = [query[name] for name in ("file_path", "file_name") if query.get(name)]
    if len(given) != 1:
        raise MalformedRequest(
            "expected file_path or file_name, one of them",
            hint="/classification?file_path=/folder/picture.jpg",
        )
    return NamedPicture(kind="path", text=given[0])


def form_picture(body: bytes, *, content_type: str) -> bytes:
    """The picture in a form's field ``file`` (or ``image``). Raises MalformedRequest."""
    parts = _form(body, content_type=content_type)
    for name in ("file", "image"):
        part = parts.get(name)
        if part is not None and part.data:
            return part.data
    raise MalformedRequest("no picture was chosen", hint="the form's field is file")


def marked_picture(body: bytes, *, content_type: str) -> MarkedPicture:
    """Read ``imageFile`` or ``imagePath``, ``x`` and ``y``. Raises MalformedRequest."""
    parts = _form(body, content_type=content_type)
    path = parts["imagePath"].text().strip() if "imagePath" in parts else ""
    file = parts.get("imageFile") or parts.get("file")
    if bool(path) == bool(file and file.data):
        raise MalformedRequest("expected imageFile or imagePath, one of them")
    x, y = (_percent(name, parts.get(name)) for name in ("x", "y"))
    if (x is None) != (y is None):
        raise MalformedRequest("a point needs both x and y", hint="in percent, 0 to 100")
    return MarkedPicture(
        picture=NamedPicture(kind="path", text=path) if path or file is None else file.data,
        mark=None if x is None or y is None else (x, y),
    )


def detection_request(body: bytes, *, limits: UploadLimits) -> DetectionRequest:
    """Read ``{"model_name", "image", "threshold"}``, whatever the content type says.

    Raises MalformedRequest, BodyTooLarge.
    """
    document = _object(body)
    name = document.get("model_name")
    if not isinstance(name, str) or not name:
        raise MalformedRequest("model_name is missing: the name of a served model")
    image = document.get("image")
    if not isinstance(image, str):
        raise MalformedRequest("image is missing: the picture in base64")
    return DetectionRequest(
        model_name=name,
        image=decode_base64(image, limit=limits.max_body_bytes),
        threshold=_threshold(document.get("threshold", _THRESHOLD)),
    )


def _form(body: bytes, *, content_type: str) -> dict[str, Part]:
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise MalformedRequest(
            "expected a form (multipart/form-data)", hint="curl -F file=@cat.jpg sends one"
        )
    boundary = boundary_of(content_type)
    return {part.name: part for part in read_parts(body, boundary=boundary, most=_MAX_FIELDS)}


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise MalformedRequest(f"the body is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise MalformedRequest("the JSON body must be an object")
    return document


def _threshold(value: object) -> float:
    threshold = -1.0
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            threshold = float(value)
    if not 0 <= threshold <= 1:
        raise MalformedRequest("threshold must be a number from 0 to 1")
    return threshold


def _percent(name: str, part: Part | None) -> float | None:
    text = part.text().strip() if part else ""
    if not text:
        return None
    number = -1.0
    with contextlib.suppress(ValueError):
        number = float(text)
    if not 0 <= number <= 100:
        raise MalformedRequest(f"{name} is {text[:40]!r}, expected percent, 0 to 100")
    return number
