"""Small files kept in memory and served by name: the page's own, and the sample pictures.

Nothing is looked up on disk while serving, so no address can reach outside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file: its bytes, media type, and a tag that changes with the bytes."""

    data: bytes
    media_type: str
    tag: str


def read_files(paths: Iterable[Path]) -> dict[str, File]:
    """Read files by name. Files of a kind that no page needs are left out."""
    return {
        path.name: File(data=data, media_type=_TYPES[path.suffix.lower()], tag=_tag(data))
        for path in paths
        if path.suffix.lower() in _TYPES
        for data in (path.read_bytes(),)
    }


def _tag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:24]}"'


class Files:
    """Serves some files under ``{name}``."""

    def __init__(self, files: Mapping[str, File]) -> None:
        self._files = files

    async def serve(self, request: Request) -> Response:
        """One file; 304 when the client has it already. Raises HTTPException (404)."""
        file = self._files.get(str(request.path_params["name"]))
        if file is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == file.tag:
            return Response(b"", status_code=304, headers=headers)
        return Response(file.data, media_type=file.media_type, headers=headers)
