"""What the door costs a request: no door, a door that stands open, a key, a key with limits.

    .venv/bin/python bench/access.py

In one process, without a network, ``GET /api/models`` around a predictor without models. The four
take turns in small portions, so that what else the machine does falls on all alike.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog

from tintype.access.door import AccessPolicy, Door, LimitPolicy
from tintype.access.keyring import Keyring
from tintype.access.keys import Key, Scope, digest_of, id_of, new_text
from tintype.access.limits import MemoryLimiter
from tintype.access.store import KeyStore
from tintype.web.app import create_app
from tintype.web.fake import FakePredictor
from tintype.web.services import Services
from tintype.web.uploads import UploadLimits

PORTION, TURNS = 20, 300

App = Callable[..., Awaitable[None]]


async def ask(app: App, headers: list[tuple[bytes, bytes]]) -> None:
    """One request."""
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/models",
        "raw_path": b"/api/models",
        "query_string": b"",
        "headers": headers,
        "client": ("192.0.2.1", 1),
        "server": ("127.0.0.1", 80),
        "root_path": "",
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise AssertionError(message["status"])

    await app(scope, receive, send)


async def main() -> None:
    """Print the quickest portion of each, and the ratio to no door."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), processors=[_drop])
    with tempfile.TemporaryDirectory() as folder:
        store = KeyStore(Path(folder))
        async with Keyring(KeyStore(Path(folder, "none")), session_seconds=60) as empty:
            plain, limited = _add(store, "a", 0), _add(store, "b", 1_000_000_000)
            async with Keyring(store, session_seconds=60) as full:
                cases = {
                    "no door": (_app(None), []),
                    "open door": (_app(_door(empty)), []),
                    "key": (_app(_door(full)), [(b"x-api-key", plain)]),
                    "key with limits": (_app(_door(full)), [(b"x-api-key", limited)]),
                }
                times: dict[str, list[float]] = {name: [] for name in cases}
                for _ in range(TURNS):
                    for name, (app, headers) in cases.items():
                        begun = time.perf_counter()
                        for _ in range(PORTION):
                            await ask(app, headers)
                        times[name].append((time.perf_counter() - begun) / PORTION)
    base = min(times["no door"])
    for name, portions in times.items():
        print(f"{name:16} {min(portions) * 1e6:7.1f} us  {min(portions) / base:.3f}")


def _drop(_logger: object, _name: str, _event: dict[str, Any]) -> Any:
    raise structlog.DropEvent


def _app(door: Door | None) -> App:
    return create_app(Services(predictor=FakePredictor(), door=door), limits=UploadLimits())


def _door(keyring: Keyring) -> Door:
    return Door(keyring, policy=AccessPolicy(), limits=LimitPolicy(), limiter=MemoryLimiter())


def _add(store: KeyStore, name: str, most: int) -> bytes:
    text = new_text().encode()
    scopes, digest = frozenset({Scope.PREDICT}), digest_of(text)
    store.add(
        Key(
            id=id_of(text) or "",
            name=name,
            digest=digest,
            scopes=scopes,
            per_minute=most,
            per_day=most,
        )
    )
    return text


if __name__ == "__main__":
    asyncio.run(main())
