"""Handlers that are imported with their first request."""

from __future__ import annotations

import subprocess
import sys

from starlette.requests import Request
from starlette.responses import Response

from tintype.web.late import Late


async def answer(request: Request) -> Response:
    """Answers anything."""
    return Response(request.url.path)


async def test_the_handler_is_made_once_of_its_module():
    """The first request makes it; the next ones use it."""
    made = []
    late = Late("tintype.web.late", lambda module: made.append(module.Late) or answer)
    request = Request({"type": "http", "path": "/x", "headers": [], "server": ("x", 80)})
    answers = [await late(request), await late(request)]
    assert [b"/x", b"/x"] == [each.body for each in answers]
    assert [Late] == made


def test_what_is_late_is_not_imported_at_the_start():
    """Neither the dashboard nor the documents, nor what they draw with."""
    late = {"tintype.web.dashboard", "tintype.web.documents", "tintype.web.plots"}
    code = f"import sys, tintype.cli.serve; print(sorted({late} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == ran.stdout.strip()
