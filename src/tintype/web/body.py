"""A request's body, read with limits on bytes and on time, and work that ends with its client."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.types import Receive

from tintype.errors import BodyTooLarge, BodyTooSlow, MalformedRequest, UnsupportedEncoding
from tintype.web.errors import ClientGone
from tintype.web.trace import headers_of
from tintype.web.uploads import UploadLimits

T = TypeVar("T")
_LONGEST_NUMBER: Final = 18
_PATIENCE_SECONDS: Final = 0.05


async def read_body(request: Request, *, limits: UploadLimits) -> bytes:
    """Read the body whole. Never holds more than ``max_body_bytes``, whatever was declared.

    Raises UnsupportedEncoding for a compressed body, BodyTooLarge as soon as the declared or the
    received length is above the limit, BodyTooSlow when it takes longer than
    ``max_body_seconds``, and ClientGone when the client leaves.
    """
    headers = headers_of(request.scope)
    _refuse_compression(headers.get(b"content-encoding", b""))
    _refuse_declared_length(headers.get(b"content-length", b"0"), limits=limits)
    try:
        async with asyncio.timeout(limits.max_body_seconds):
            return await _receive_all(request.receive, limits=limits)
    except TimeoutError:
        raise BodyTooSlow(
            f"the body did not arrive within {limits.max_body_seconds:g} seconds",
            hint="send a smaller picture, or raise uploads.max_body_seconds",
            limit=limits.max_body_seconds,
        ) from None


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Wait for ``work``, and cancel it when the client goes away. The body must have been read.

    It runs in the caller's own task, and the client is looked after when it has taken
    ``_PATIENCE_SECONDS``: most work is done before that, and a watch is a task of its own. Raises
    ClientGone, or whatever ``work`` raises.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine of asyncio is awaited by one
    cancelled_before, gone, waits = task.cancelling(), False, True
    watch: asyncio.Task[None] | None = None

    def begin() -> None:
        nonlocal watch
        watch = asyncio.create_task(_until_disconnect(receive))
        watch.add_done_callback(leave)

    def leave(watch: asyncio.Task[None]) -> None:
        nonlocal gone
        if not watch.cancelled():
            watch.exception()  # a connection that breaks is one that has gone
            if waits:
                gone = True
                task.cancel()

    later = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, begin)
    try:
        return await work
    except asyncio.CancelledError:
        if gone and task.uncancel() <= cancelled_before:
            raise ClientGone from None
        raise
    finally:
        waits = False
        later.cancel()
        if watch is not None:
            watch.cancel()


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _receive_all(receive: Receive, *, limits: UploadLimits) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        if len(body) + len(chunk) > limits.max_body_bytes:
            raise _too_large(None, limits=limits)
        if not message.get("more_body", False):
            return bytes(body + chunk) if body else chunk
        body += chunk


def _refuse_compression(told: bytes) -> None:
    encoding = told.decode("latin-1").strip().lower()
    if encoding not in {"", "identity"}:
        raise UnsupportedEncoding(
            f"the request body is compressed ({encoding[:40]}); pictures already are",
            hint="send the body without Content-Encoding",
        )


def _refuse_declared_length(declared: bytes, *, limits: UploadLimits) -> None:
    if not declared.isdigit():
        shown = declared[:40].decode("latin-1")
        raise MalformedRequest(f"Content-Length is {shown!r}, expected a number")
    # A number of more digits is above every limit; making an int of it could take long.
    length = int(declared) if len(declared) <= _LONGEST_NUMBER else 10**_LONGEST_NUMBER
    if length > limits.max_body_bytes:
        raise _too_large(length, limits=limits)


def _too_large(actual: int | None, *, limits: UploadLimits) -> BodyTooLarge:
    limit = limits.max_body_bytes
    size = "is longer than allowed" if actual is None else f"has {actual} bytes"
    return BodyTooLarge(
        f"the body {size}; the limit is {limit} bytes ({limit / (1 << 20):.4g} MiB)",
        hint="send a smaller picture, or raise uploads.max_body_bytes",
        limit=limit,
        **({} if actual is None else {"actual": actual}),
    )
