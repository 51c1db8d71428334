"""A small S3-compatible store in memory, for tests: ours and those of anyone who builds on Tintype.

It checks every signature by Amazon's rules, and lists a few keys at a time.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

KEY: Final = "AKIDEXAMPLE"
SECRET: Final = "a secret"  # noqa: S105 - of this store alone
_PAGE: Final = 3


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
        signed, path = self.is_signed(path, query, body), unquote(path)
        if not signed:
            self.answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        elif query.startswith("location"):
            self.answer(200, b"<LocationConstraint></LocationConstraint>")
        elif "list-type=2" in query:
            self.answer(200, self.listing(path.rstrip("/"), dict(parse_qsl(query))))
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

    def listing(self, bucket: str, asked: dict[str, str]) -> bytes:
        """Keys below a prefix after a place, a page of them (S3's ListObjectsV2)."""
        before = f"{bucket}/"
        keys = sorted(name.removeprefix(before) for name in self.objects if name.startswith(before))
        after = asked.get("continuation-token", "")
        fitting = [key for key in keys if key.startswith(asked.get("prefix", "")) and key > after]
        page, is_more = fitting[:_PAGE], len(fitting) > _PAGE
        found = "".join(
            f"<Contents><Key>{quote(key)}</Key><Size>{len(self.objects[before + key])}</Size>"
            "<LastModified>2015-10-21T07:28:00.000Z</LastModified><ETag>0</ETag></Contents>"
            for key in page
        )
        more = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if is_more else ""
        return (
            f"<ListBucketResult><Name>{bucket[1:]}</Name><EncodingType>url</EncodingType>"
            f"<IsTruncated>{str(is_more).lower()}</IsTruncated>{more}{found}</ListBucketResult>"
        ).encode()

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
