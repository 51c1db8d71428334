"""Addresses and the routes that they lead to."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import Response

from tintype.web.access import Need
from tintype.web.routes import Route, Routes


async def answer(_: Request) -> Response:
    return Response(b"")


def route(path: str, *methods: str) -> Route:
    return Route(path, dict.fromkeys(methods or ("GET",), (answer, Need.OPEN)), door=None)


ROUTES = Routes(
    [
        route("/a"),
        route("/a/{name:path}/reload", "POST"),
        route("/a/{name:path}"),
        route("/b/{id}"),
        route("/b/{id}/c.d"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "found", "named"),
    [
        ("GET", "/a", "/a", {}),
        ("GET", "/a/x/y", "/a/{name:path}", {"name": "x/y"}),
        ("POST", "/a/x/y/reload", "/a/{name:path}/reload", {"name": "x/y"}),
        ("GET", "/a/x/y/reload", "/a/{name:path}", {"name": "x/y/reload"}),
        ("PUT", "/a/x/reload", "/a/{name:path}/reload", {"name": "x"}),
        ("PUT", "/a", "/a", {}),
        ("GET", "/b/7", "/b/{id}", {"id": "7"}),
        ("GET", "/b/7/c.d", "/b/{id}/c.d", {"id": "7"}),
    ],
)
def test_the_first_that_fits_is_found(method, path, found, named):
    """One that has the method before one that has not; with what its names stand for."""
    route, told = ROUTES.find(path, method)
    assert (found, named) == (route.path, told)


@pytest.mark.parametrize("path", ["", "/", "/a/", "/b/", "/b/7/8", "/b/7/cxd", "//a"])
def test_an_address_is_right_or_it_is_not(path):
    """Nothing is made of one that is nearly right; ``/a/`` has a name, which is empty."""
    found = ROUTES.find(path, "GET")
    assert ("/a/{name:path}" if path == "/a/" else None) == (found and found[0].path)


def test_an_address_tells_the_methods_of_all_its_routes():
    """Two may fit: a name may hold what the other's address ends with."""
    routes = Routes([route("/a/{name:path}/reload", "POST"), route("/a/{name:path}")])
    assert ["GET", "HEAD", "POST"] == routes.methods("/a/b/reload")
    assert ["GET", "HEAD"] == routes.methods("/a/b")


def test_head_is_get():
    """A route that is read may be asked for its head; one that is not may not."""
    assert {"GET", "HEAD"} == route("/a").methods
    assert {"POST"} == route("/a", "POST").methods


def test_logs_and_metrics_tell_the_route_without_its_kinds():
    """As the reference writes it."""
    assert "/a/{name}/reload" == route("/a/{name:path}/reload", "POST").told
