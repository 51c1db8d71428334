"""Pictures in a bucket: against a small store that checks every signature by Amazon's rules."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from tintype.errors import SettingsError
from tintype.record.picture_place import picture_name, picture_place
from tintype.record.policy import PicturePolicy

KEY, SECRET = "AKIDEXAMPLE", "a secret"  # of the store below
NAME = picture_name("ab" + "0" * 62, "jpeg")


class Store(BaseHTTPRequestHandler):
    """Buckets in memory. Signatures: AWS Signature Version 4, "signing requests"."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self, status: int, body: bytes = b"") -> None:
        """Send it."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/xml")
        self.send_header("ETag", '"0"')
        self.send_header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_any(self) -> None:
        """Do what is asked, if it is signed."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path, query = urlsplit(self.path).path, urlsplit(self.path).query
        if not self.is_signed(path, query, body):
            self.answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        elif query.startswith("location"):
            self.answer(200, b"<LocationConstraint></LocationConstraint>")
        elif self.command == "PUT":
            self.objects[path] = body
            self.answer(200)
        elif self.command == "DELETE":
            self.objects.pop(path, None)
            self.answer(204)
        elif path in self.objects:
            self.answer(200, self.objects[path])
        else:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    do_GET = do_PUT = do_DELETE = do_HEAD = handle_any  # noqa: N815 - their names

    def is_signed(self, path: str, query: str, body: bytes) -> bool:
        """Whether the signature is that of this request by the known key."""
        told = self.headers.get("Authorization", "")
        if not told.startswith("AWS4-HMAC-SHA256 Credential="):
            return False
        fields = dict(part.split("=", 1) for part in told.partition(" ")[2].split(", "))
        identity, *scope = fields["Credential"].split("/")
        names = fields["SignedHeaders"].split(";")
        digest = self.headers["x-amz-content-sha256"]
        if identity != KEY or digest not in {hashlib.sha256(body).hexdigest(), "UNSIGNED-PAYLOAD"}:
            return False
        pairs = sorted(parse_qsl(query, keep_blank_values=True))
        canonical = "\n".join(
            [
                self.command,
                path,
                "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in pairs),
                *(f"{name}:{' '.join(self.headers[name].split())}" for name in names),
                "",
                ";".join(names),
                digest,
            ]
        )
        text = "\n".join(
            [
                "AWS4-HMAC-SHA256",
                self.headers["x-amz-date"],
                "/".join(scope),
                hashlib.sha256(canonical.encode()).hexdigest(),
            ]
        )
        key = b"AWS4" + SECRET.encode()
        for part in (*scope, text):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.compare_digest(key.hex(), fields["Signature"])


@contextmanager
def running_store() -> Iterator[tuple[str, dict[str, bytes]]]:
    """The store on a free port: its address, and what it holds."""
    objects: dict[str, bytes] = {}
    handler = type("Handler", (Store,), {"objects": objects})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", objects
        server.shutdown()
        thread.join()


@pytest.fixture
def place(monkeypatch, tmp_path):
    """A bucket in a running store, and what the store holds."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with running_store() as (endpoint, objects):
        policy = PicturePolicy(place="s3://pets/kept/here", endpoint=endpoint)
        yield picture_place(policy, state=tmp_path), objects


def test_what_is_put_is_got_until_it_is_deleted(place):
    """Below the prefix, under its name; deleting twice is no error."""
    bucket, objects = place
    bucket.put(NAME, b"a picture")
    assert {f"/pets/kept/here/{NAME}": b"a picture"} == objects
    assert b"a picture" == bucket.get(NAME)
    bucket.delete(NAME)
    bucket.delete(NAME)
    assert {} == objects


def test_a_large_picture_is_whole(place):
    """25 MiB, the largest that a request may have: in parts or not, what comes out is the same."""
    bucket, objects = place
    large = hashlib.sha256(b"seed").digest() * (25 << 15)
    bucket.put(NAME, large)
    assert large == bucket.get(NAME)
    assert 1 == len(objects)


def test_what_the_store_refuses_is_an_error_of_the_system(place, monkeypatch, tmp_path):
    """What is not there, wrong keys, a store that is away: OSError, as of a disk."""
    bucket, _ = place
    with pytest.raises(OSError, match="store of pictures"):
        bucket.get(NAME)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with running_store() as (endpoint, _):
        other = picture_place(PicturePolicy(place="s3://b", endpoint=endpoint), state=tmp_path)
        with pytest.raises(OSError, match="store of pictures"):
            other.put(NAME, b"x")
    away = picture_place(
        PicturePolicy(place="s3://b", endpoint="http://127.0.0.1:9"), state=tmp_path
    )
    with pytest.raises(OSError, match="store of pictures"):
        away.delete(NAME)


@pytest.mark.parametrize(
    ("place", "endpoint"), [("s3://", "https://h"), ("s3://b", "h:9000"), ("s3://b", "ftp://h")]
)
def test_addresses_that_are_none_are_told(tmp_path, place, endpoint):
    """Before anything is served."""
    with pytest.raises(SettingsError, match="is no address"):
        picture_place(PicturePolicy(place=place, endpoint=endpoint), state=tmp_path)
