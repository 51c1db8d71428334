"""Both clients, and a real server for them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from tintype.client import AsyncClient, Client, ClientPolicy
from tintype.web.app import create_app
from tintype.web.fake import FakePredictor
from tintype.web.services import Services
from tintype.web.uploads import UploadLimits


class Both:
    """The blocking client, or the asynchronous one made to block: the same calls."""

    def __init__(self, kind: str, url: str, **given) -> None:
        self._kind = kind
        self._client = {"blocking": Client, "asynchronous": AsyncClient}[kind](url, **given)

    def __getattr__(self, name: str):
        method = getattr(self._client, name)
        if self._kind == "blocking":
            return method
        return lambda *args, **options: asyncio.run(method(*args, **options))


@pytest.fixture(params=["blocking", "asynchronous"])
def client(request):
    """Makes a client of one kind: ``client(url, seconds=1)``."""

    def make(url: str, *, headers=None, tls=None, **policy) -> Both:
        given = ClientPolicy(**{"seconds": 20, **policy})
        return Both(request.param, url, policy=given, headers=headers, tls=tls)

    return make


@pytest.fixture
def predictor() -> FakePredictor:
    return FakePredictor()


@pytest.fixture
def server(predictor) -> Iterator[str]:
    """The address of a real server around the fake predictor."""
    app = create_app(Services(predictor=predictor), limits=UploadLimits(max_body_bytes=256 << 10))
    config = uvicorn.Config(app, port=0, lifespan="off", log_level="critical", access_log=False)
    running = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        running.should_exit = True
        thread.join()
