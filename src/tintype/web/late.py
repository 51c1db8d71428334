"""Handlers whose modules are imported with the first request that needs them.

Most of the time until a server is ready goes to imports. What few servers are asked for waits.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tintype.web.access import Handler


class Late:
    """A handler that is made of a module of ours when it is first asked."""

    def __init__(self, module: str, make: Callable[[Any], Handler]) -> None:
        self._module = module
        self._make = make
        self._handler: Handler | None = None

    async def __call__(self, request: Request) -> Response:
        """Answer; the first time, import and make the handler before."""
        if self._handler is None:
            module = await asyncio.to_thread(importlib.import_module, self._module)
            self._handler = self._handler or self._make(module)
        return await self._handler(request)
