"""The API's own documents: OpenAPI for programs, a page for people, the home of problem types."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tintype.web.errors import HTTP_PROBLEMS, TABLE
from tintype.web.openapi import document
from tintype.web.openapi_parts import problem_rows
from tintype.web.render import render

_SLUGS = frozenset(cls.type for cls in TABLE) | HTTP_PROBLEMS.keys()


class Documents:
    """``/docs``, ``/openapi.json`` and ``/problems/{slug}``."""

    def __init__(self, *, title: str) -> None:
        self._title = title

    async def openapi(self, request: Request) -> Response:  # noqa: ARG002 - every handler takes the request
        """The OpenAPI document."""
        return Response(msgspec.json.encode(document()), media_type="application/json")

    async def docs(self, request: Request) -> Response:
        """The same for people, drawn here: no script and no asset from elsewhere."""
        base = str(request.base_url).rstrip("/")
        html = render(
            "docs.html", title=self._title, api=document(), base=base, problems=problem_rows()
        )
        return Response(html, media_type="text/html")

    async def problem(self, request: Request) -> Response:
        """Where the ``type`` of a problem leads. Raises HTTPException (404)."""
        slug = str(request.path_params["slug"])
        if slug not in _SLUGS:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return Response(b"", status_code=303, headers={"Location": f"/docs#problem-{slug}"})
