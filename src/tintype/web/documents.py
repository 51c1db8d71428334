"""The API's own documents: OpenAPI for programs, a page for people, the home of problem types."""

from __future__ import annotations

import msgspec
from litestar import Response
from litestar.exceptions import NotFoundException

from tintype.web.errors import HTTP_PROBLEMS, TABLE
from tintype.web.openapi import document, problem_rows
from tintype.web.render import render
from tintype.web.trace import AnyRequest

_SLUGS = frozenset(cls.type for cls in TABLE) | HTTP_PROBLEMS.keys()


class Documents:
    """``/docs``, ``/openapi.json`` and ``/problems/{slug}``."""

    def __init__(self, *, title: str) -> None:
        self._title = title

    async def openapi(self, request: AnyRequest) -> Response[bytes]:  # noqa: ARG002 - every handler takes the request
        """The OpenAPI document."""
        return Response(msgspec.json.encode(document()), media_type="application/json")

    async def docs(self, request: AnyRequest) -> Response[str]:
        """The same for people, drawn here: no script and no asset from elsewhere."""
        base = str(request.base_url).rstrip("/")
        html = render(
            "docs.html", title=self._title, api=document(), base=base, problems=problem_rows()
        )
        return Response(html, media_type="text/html")

    async def problem(self, request: AnyRequest) -> Response[bytes]:
        """Where the ``type`` of a problem leads. Raises NotFoundException."""
        slug = str(request.path_params["slug"])
        if slug not in _SLUGS:
            raise NotFoundException
        return Response(b"", status_code=303, headers={"Location": f"/docs#problem-{slug}"})
