"""The application with the older routes, around the fake predictor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tintype.web.app import create_app
from tintype.web.compat.policy import CompatPolicy
from tintype.web.inputs import Inputs
from tintype.web.paths import allowed_roots
from tintype.web.services import Services


@pytest.fixture
def policy() -> CompatPolicy:
    return CompatPolicy(enabled=True)


@pytest.fixture
def folder(tmp_path: Path, png: bytes) -> Path:
    """An allowed folder with ``cat.png`` in it."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/cat.png").write_bytes(png)
    return tmp_path / "pictures"


@pytest.fixture
def compat_app(predictor, limits, policy, folder):
    services = Services(predictor=predictor, inputs=Inputs(roots=allowed_roots([str(folder)])))
    return create_app(services, limits=limits, compat=policy)


@pytest.fixture
async def compat(compat_app) -> AsyncIterator[httpx.AsyncClient]:
    """A client that follows no redirect."""
    transport = httpx.ASGITransport(app=compat_app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://tintype.test") as client:
        yield client
