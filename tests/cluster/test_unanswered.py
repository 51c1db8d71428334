"""What Ray's own HTTP server says when it knows no answer."""

from __future__ import annotations

import asyncio
import json

import pytest

from tintype.cluster.unanswered import VARIABLES, Unanswered, middlewares


def heard(app, *, kind: str = "http") -> list[dict]:
    """What goes out around an application."""
    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": kind, "method": "POST", "path": "/", "headers": [(b"x-request-id", b"one")]}
    asyncio.run(Unanswered(app)(scope, receive, send))
    return sent


async def silent(scope, receive, send):
    """As Ray's server is when a front ended with a request in it."""


def test_silence_becomes_a_503_with_a_time_to_come_back():
    """A problem document like any other, under the id that the request came with."""
    start, body = heard(silent)
    headers = dict(start["headers"])
    assert (503, b"1", b"one") == (
        start["status"],
        headers[b"retry-after"],
        headers[b"x-request-id"],
    )
    assert b"application/problem+json" == headers[b"content-type"]
    assert b"nosniff" == headers[b"x-content-type-options"]
    told = json.loads(body["body"])
    assert ("/problems/model-unavailable", "urn:request:one") == (told["type"], told["instance"])


@pytest.mark.parametrize("messages", [["start", "body"], ["start"]])
def test_what_was_begun_is_left_alone(messages):
    """An answer, whole or broken off."""
    told = [{"type": f"http.response.{each}"} for each in messages]

    async def begins(_, __, send):
        for each in told:
            await send(each)

    assert told == heard(begins)


def test_other_connections_are_left_alone():
    """A 503 is nothing to a web socket."""
    assert [] == heard(silent, kind="websocket")


def test_ray_finds_it_by_the_name_that_it_is_told():
    """The variable names this module's function."""
    (path,) = VARIABLES.values()
    assert f"{middlewares.__module__}:{middlewares.__name__}" == path
