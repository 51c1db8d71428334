"""No input makes a 500: requests of every kind, straight into the application."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tintype.web.app import create_app
from tintype.web.compat.policy import CompatPolicy
from tintype.web.fake import FakePredictor
from tintype.web.services import Services
from tintype.web.uploads import UploadLimits

APP = create_app(
    Services(predictor=FakePredictor()),
    limits=UploadLimits(max_body_bytes=4096, max_images=3),
    compat=CompatPolicy(enabled=True),
)
PAGES = {"", "/", "/file/", "/classify"}
ALLOWED = {200, 201, 204, 302, 303, 304, 400, 403, 404, 405, 413, 415, 422, 503}
GIF = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002014400 3b"
)
FORM = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'


def ask(
    *,
    method: str = "POST",
    path: str = "/api/predict",
    query: bytes = b"",
    headers: tuple[tuple[str, bytes], ...] = (),
    body: bytes = b"",
) -> tuple[int, dict[str, str], bytes]:
    """One request, as a server would hand it over."""
    sent: list[dict] = []
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict:
        return messages.pop() if messages else await asyncio.Event().wait()

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogateescape"),
        "query_string": query,
        "headers": [(name.encode(), value) for name, value in headers],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
    asyncio.run(APP(scope, receive, send))
    told = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return sent[0]["status"], told, b"".join(each.get("body", b"") for each in sent[1:])


def check(status: int, headers: dict[str, str], body: bytes, *, page: bool = False) -> None:
    assert status in ALLOWED, body
    if status >= 400 and not page:
        assert "application/problem+json" == headers["content-type"]
        problem = json.loads(body)
        assert status == problem["status"]
        assert len(problem["detail"]) < 400


PATHS = st.sampled_from(
    [
        "/",
        "/api/predict",
        "/api/predict/batch",
        "/api/models",
        "/api/models/pets",
        "/docs",
        "/openapi.json",
        "/problems/overloaded",
        "/static/app.js",
        "/samples/x",
        "/classification",
        "/file/",
        "/classify",
        "/score/x",
        "/services/classify/pets",
        "/imageDetection",
    ]
) | st.text(max_size=12).map("/".__add__)
HEADER_VALUES = st.binary(max_size=40) | st.sampled_from(
    [FORM.encode(), b"application/json", b"gzip", b"0", b"99999999", b"-1", b"%s" % ("é".encode())]
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "accept",
                "content-encoding",
                "content-length",
                "content-type",
                "cookie",
                "host",
                "if-none-match",
                "x-fragment",
                "x-request-id",
            ]
        ),
        HEADER_VALUES,
    ),
    max_size=4,
).map(tuple)


@settings(max_examples=150, deadline=None)
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "NIX"]),
    path=PATHS,
    query=st.binary(max_size=40) | st.sampled_from([b"x=1", b"sample=x", b"x=%ff&=&&a", b"top=1"]),
    headers=HEADERS,
    body=st.binary(max_size=60) | st.just(GIF),
)
@example(method="GET", path="/api/models/\udcff", query=b"", headers=(), body=b"")
@example(method="GET", path="//", query=b"\xff", headers=(("host", b"a:b:c"),), body=b"")
def test_no_request_makes_a_500(method, path, query, headers, body):
    """Any method, path, query, header and body is answered with a status that means something."""
    status, told, text = ask(method=method, path=path, query=query, headers=headers, body=body)
    if method != "HEAD":
        check(status, told, text, page=path in PAGES or not path.strip("/"))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        "image",
        "images",
        "model",
        "x",
        "y",
        "points",
        "top",
        "threshold",
        "explain",
        "url",
        "file",
        "model_name",
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    document=st.dictionaries(KEYS | st.text(max_size=5), VALUES, max_size=5) | VALUES,
    path=st.sampled_from(["/api/predict", "/api/predict/batch", "/", "/imageDetection"]),
)
def test_no_json_makes_a_500(document, path):
    """Keys that mean something, with values of every shape."""
    body = json.dumps(document).encode()
    status, told, text = ask(path=path, body=body, headers=(("content-type", b"application/json"),))
    check(status, told, text, page=path in PAGES)


@settings(max_examples=150, deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from(
            [
                PART,
                PART.replace(b"image", b"top"),
                PART.replace(b"image", b"imageFile"),
                PART.replace(b"image", b"x"),
                PART.replace(b"image", b"y"),
                PART.replace(b"image", b"\xc3\x28"),
                PART.replace(b'"image"', b"image*=utf-8''%ff"),
                PART.replace(b"form-data", b"form-data; charset=nix"),
                b"--b\r\n",
                b"--b--\r\n",
                b"\r\n",
                b"\n",
                GIF,
                b"Content-Type: text/plain; charset=nix\r\n",
                b"Content-Length: 3\r\n",
            ]
        )
        | st.binary(max_size=8),
        max_size=8,
    ),
    path=st.sampled_from(
        [
            "/api/predict",
            "/api/predict/batch",
            "/",
            "/file/",
            "/classify",
            "/services/classify/pets",
        ]
    ),
)
def test_no_form_makes_a_500(pieces, path):
    """Parts, boundaries and line ends in any order."""
    headers = (("content-type", FORM.encode()),)
    status, told, text = ask(path=path, body=b"".join(pieces), headers=headers)
    check(status, told, text, page=path in PAGES)


@pytest.mark.parametrize("scope_type", ["websocket"])
async def test_a_websocket_is_closed(scope_type):
    """There is none here; it is refused and not crashed into."""
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "websocket.connect"}

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {"type": scope_type, "path": "/api/predict", "headers": [], "query_string": b""}
    await APP(scope, receive, send)
    assert "websocket.close" == sent[0]["type"]
