"""Pictures and options out of a request's body, in any of the forms it may take. No IO here.

A body that is a picture by its first bytes is a picture, whatever its content type says: curl
calls everything a form. Else the content type decides: ``multipart/form-data`` with the field
``image`` (or ``file``), or ``application/json`` with the key ``image`` (base64 or a data URL).

A picture may also be named, by ``path`` or ``url``: as an option of any form, or in a JSON list of
pictures. Whether the server takes that is decided where it is read, in ``inputs``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Struct

from tintype.errors import (
    BodyTooLarge,
    MalformedRequest,
    RequestError,
    TooManyImages,
    UnsupportedImageFormat,
)
from tintype.imaging.sniff import sniff
from tintype.web.multipart_form import Part, boundary_of, read_parts
from tintype.web.options import Options, Pairs, read_options

NameKind: TypeAlias = Literal["path", "url"]
"""How a picture may be named instead of sent."""

_NAMES: Final[tuple[NameKind, ...]] = get_args(NameKind)
_CURLS_FORM: Final = "application/x-www-form-urlencoded"
_TORN_BYTES: Final = 2048
_PICTURE_FIELDS: Final = ("image", "file")
_MAX_JSON_VALUES: Final = 4096
_MAX_FIELDS: Final = 256
_DATA_URL: Final = re.compile(r"data:[\w.+/-]*(?:;[\w.+=-]+)*?;base64,", re.ASCII | re.IGNORECASE)
_OTHER_ALPHABET: Final = str.maketrans("-_", "+/")
_HOW: Final = (
    "send a picture as the body, as the multipart field image, or as base64 in JSON: "
    '{"image": "..."}'
)


_EMPTY: Final = "the file is empty: copy or download it again, or choose another"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLimits:
    """What one request may bring: bytes of body, seconds to arrive, pictures, points.

    ``max_bytes_in_flight`` is for the bodies of all requests together.
    """

    max_body_bytes: int = 25 << 20
    max_body_seconds: float = 120.0
    max_bytes_in_flight: int = 512 << 20
    max_images: int = 32
    max_points: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPicture:
    """A picture that the server is asked to get: how it is named, and its name as it was sent."""

    kind: NameKind
    text: str


Picture: TypeAlias = bytes | NamedPicture
"""A picture as it comes with a request."""


class Upload(Struct, frozen=True, kw_only=True):
    """One picture and what is asked of it.

    ``name`` is the file's name as the client told it, for show only; it is never a path.
    """

    image: Picture
    options: Options
    name: str = ""


class BatchUpload(Struct, frozen=True, kw_only=True):
    """Many pictures. ``images`` holds each, or why there is none."""

    images: tuple[Picture | RequestError, ...]
    options: Options


class _Body(Struct, frozen=True, kw_only=True):
    images: tuple[Picture | RequestError, ...]
    options: Pairs = ()
    name: str = ""


def read_upload(
    body: bytes, *, content_type: str, query: Iterable[tuple[str, str]], limits: UploadLimits
) -> Upload:
    """Read a request for one picture. Raises RequestError: MalformedRequest, TooManyImages, ..."""
    read = _with_named(
        _read_body(body, content_type=content_type, key="image", limits=limits), query=query
    )
    if len(read.images) > 1:
        raise TooManyImages(
            f"{len(read.images)} pictures are given, expected one",
            hint="/api/predict/batch takes many",
            limit=1,
            actual=len(read.images),
        )
    options = _options(read, limits=limits)
    image = read.images[0]
    if isinstance(image, RequestError):
        raise image
    return Upload(image=image, options=options, name=read.name)


def read_batch(
    body: bytes, *, content_type: str, query: Iterable[tuple[str, str]], limits: UploadLimits
) -> BatchUpload:
    """Read a request for many pictures; one that cannot be read is an error in its place."""
    read = _with_named(
        _read_body(body, content_type=content_type, key="images", limits=limits), query=query
    )
    if len(read.images) > limits.max_images:
        raise TooManyImages(
            f"{len(read.images)} pictures are given, at most {limits.max_images} are allowed",
            hint="send them in several requests, or raise uploads.max_images",
            limit=limits.max_images,
            actual=len(read.images),
        )
    options = _options(read, limits=limits)
    return BatchUpload(images=read.images, options=options)


def _with_named(read: _Body, *, query: Iterable[tuple[str, str]]) -> _Body:
    """The body with the options of the query, and with the pictures that options name."""
    options: list[tuple[str, object]] = []
    images = [*read.images]
    name = read.name
    for key, value in [*query, *read.options]:
        if key not in _NAMES:
            options.append((key, value))
        elif value is not None and value != "":  # a form cannot leave a field out
            images.append(_named(key, value))
            name = name or str(value)
    return _Body(images=tuple(images), options=options, name=name)


def _named(kind: NameKind, value: object) -> NamedPicture | RequestError:
    if isinstance(value, str):
        return NamedPicture(kind=kind, text=value)
    return MalformedRequest(f"{kind} must be one text", hint=f'{{"{kind}": "..."}}')


def _options(read: _Body, *, limits: UploadLimits) -> Options:
    options = read_options(read.options, max_points=limits.max_points)
    if not read.images:
        raise MalformedRequest("there is no picture in the request", hint=_HOW)
    return options


def _read_body(body: bytes, *, content_type: str, key: str, limits: UploadLimits) -> _Body:
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        return _Body(images=())
    if kind == _CURLS_FORM:
        _refuse_torn(body)
    if _is_picture(body):
        return _Body(images=(body,))
    if kind == "multipart/form-data":
        return _from_parts(read_parts(body, boundary=boundary_of(content_type), most=_MAX_FIELDS))
    if kind == "application/json" or kind.endswith("+json"):
        return _from_json(body, key=key, limits=limits)
    if body.lstrip()[:1] == b"{" and kind in {"", "text/plain", _CURLS_FORM}:
        # What curl -d sends without a content type of its own.
        return _from_json(body, key=key, limits=limits)
    return _Body(images=(body,))


def _refuse_torn(body: bytes) -> None:
    """Tell who sent a picture by ``curl -d``, which leaves out line ends and zero bytes.

    A whole picture of this length without a single one of them does not occur: each byte is one
    of the three with odds of about 1 to 85. Raises MalformedRequest.
    """
    if len(body) < _TORN_BYTES or body.isascii():
        return
    if not any(missing in body for missing in (b"\n", b"\r", b"\0")):
        raise MalformedRequest(
            "the picture came without its line ends and zero bytes: curl -d leaves them out",
            hint="curl --data-binary @picture.jpg sends it whole",
        )


def _is_picture(body: bytes) -> bool:
    try:
        sniff(body)
    except UnsupportedImageFormat:
        return False
    return True


def _from_parts(parts: Iterable[Part]) -> _Body:
    images: list[Picture | RequestError] = []
    options: list[tuple[str, object]] = []
    name = ""
    for part in parts:
        if part.name not in _PICTURE_FIELDS:
            options.append((part.name, part.text()))
        elif part.data or part.filename:
            # A form without a chosen file sends a part with neither name nor bytes.
            images.append(part.data or MalformedRequest("the picture has no bytes", hint=_EMPTY))
            name = name or part.filename
    return _Body(images=tuple(images), options=options, name=name)


def _from_json(body: bytes, *, key: str, limits: UploadLimits) -> _Body:
    # Base64 has no comma: a body with very many holds very many small values, each of which
    # would cost far more memory than it has bytes.
    if body.count(b",") > _MAX_JSON_VALUES:
        raise MalformedRequest(f"the JSON body holds more than {_MAX_JSON_VALUES} values")
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise MalformedRequest(f"the body is no JSON: {error}", hint=_HOW) from error
    if not isinstance(document, dict):
        raise MalformedRequest("the JSON body must be an object", hint=_HOW)
    pictures = _json_pictures(document, key=key)
    return _Body(
        images=tuple(_decoded(picture, limits=limits) for picture in pictures),
        options=[(name, value) for name, value in document.items() if name != key],
    )


def _json_pictures(document: dict[str, Any], *, key: str) -> list[Any]:
    value = document.get(key)
    if value is None:
        return []
    if key == "image":
        return [value]
    if not isinstance(value, list):
        raise MalformedRequest("images must be a list", hint='{"images": ["<base64>", "..."]}')
    return value


def _decoded(value: object, *, limits: UploadLimits) -> Picture | RequestError:
    if isinstance(value, dict) and len(value) == 1:
        (key,) = value
        if key in _NAMES:
            return _named(key, value[key])
    if not isinstance(value, str):
        return MalformedRequest("a picture in JSON must be text in base64", hint=_HOW)
    try:
        return decode_base64(value, limit=limits.max_body_bytes)
    except RequestError as error:
        return error


def decode_base64(text: str, *, limit: int) -> bytes:
    """Bytes of base64 text: either alphabet, padded or not, with line ends or as a data URL.

    Raises BodyTooLarge, before anything is decoded, when there would be more than ``limit``
    bytes, and MalformedRequest. RFC 4648 sections 4 and 5; RFC 2397 for data URLs.
    """
    prefix = _DATA_URL.match(text[:256])
    if prefix:
        text = text[prefix.end() :]
    text = "".join(text.split()).rstrip("=")
    size = len(text) * 3 // 4
    if size > limit:
        raise BodyTooLarge(
            f"the picture has {size} bytes; the limit is {limit}",
            hint="send a smaller picture, or raise uploads.max_body_bytes",
            limit=limit,
            actual=size,
        )
    text = text.translate(_OTHER_ALPHABET)
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedRequest(f"the picture is no base64: {error}", hint=_HOW) from error
    if not data:
        raise MalformedRequest("the picture has no bytes", hint=_HOW)
    return data
