"""``multipart/form-data`` (RFC 7578) of a body that was read whole. No IO here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from multipart import (  # type: ignore[import-untyped]  # it ships no types
    PushMultipartParser,
    parse_options_header,
)

from tintype.errors import MalformedRequest

_MAX_TEXT_BYTES: Final = 64 << 10
_HINT: Final = "curl -F image=@picture.jpg sends a form as it is expected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One field of a form. ``filename`` is empty where there is none."""

    name: str
    filename: str
    data: bytes

    def text(self) -> str:
        """The field's value as text. Raises MalformedRequest."""
        if len(self.data) > _MAX_TEXT_BYTES:
            raise MalformedRequest(
                f"the field {self.name[:64]!r} has {len(self.data)} bytes, expected a short text",
                hint="pictures go into the field image",
            )
        try:
            return self.data.decode()
        except UnicodeDecodeError as error:
            raise MalformedRequest(f"the field {self.name[:64]!r} is no UTF-8 text") from error


def boundary_of(content_type: str) -> str:
    """The boundary told by a content type. Raises MalformedRequest where there is none."""
    boundary = _options(content_type).get("boundary", "")
    if not boundary or len(boundary) > 200 or not boundary.isascii():
        raise MalformedRequest("the form's content type has no usable boundary", hint=_HINT)
    return boundary


def read_parts(body: bytes, *, boundary: str, most: int) -> list[Part]:
    """Every field of the form, in its order. Raises MalformedRequest: damaged, or too many."""
    try:
        return list(_parts(body, boundary=boundary, most=most))
    except ValueError as error:  # MultipartError is one, and so is a name that is no text
        raise MalformedRequest(
            f"the form cannot be read: {str(error)[:200]}", hint=_HINT
        ) from error


def _parts(body: bytes, *, boundary: str, most: int) -> Iterator[Part]:
    with PushMultipartParser(boundary, max_segment_count=most) as parser:
        segment: Any = None
        data: list[bytes] = []
        for event in parser.parse(body):
            if event is None:
                yield Part(name=segment.name, filename=segment.filename or "", data=b"".join(data))
                data = []
            elif isinstance(event, bytes | bytearray):
                data.append(bytes(event))
            else:
                segment = event


def _options(content_type: str) -> dict[str, str]:
    try:
        _, options = parse_options_header(content_type)
    except (ValueError, IndexError) as error:
        raise MalformedRequest("the content type cannot be read", hint=_HINT) from error
    return dict(options)
