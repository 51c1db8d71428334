"""The nginx file, in a real nginx in front of a real server."""

from __future__ import annotations

import io
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
import trustme
from PIL import Image

from tintype.cli.connection import IDLE_SECONDS
from tintype.predict import PredictPolicy
from tintype.web.uploads import UploadLimits

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "deploy/nginx.conf"
DOG = (ROOT / "src/tintype/demo/pictures/dog.jpg").read_bytes()
NAME = "tintype.example.org"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

AROUND = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site;
}}
"""
"""What Debian's nginx.conf has around a site, for a process without privileges."""


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def changed(text: str, *changes: tuple[str, str]) -> str:
    """The text with what the file's reader is to change, changed; each must be there."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


class Proxy:
    """A running nginx with the shipped site."""

    def __init__(self, *, https: int, http: int, tls: ssl.SSLContext) -> None:
        self.url = f"https://{NAME}:{https}"
        self.plain = f"http://127.0.0.1:{http}"
        self.https = https
        self.tls = tls

    def client(self, **given) -> httpx.Client:
        """A client that knows the name's address and the test's authority."""
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.https}",
            headers={"Host": NAME},
            verify=self.tls,
            timeout=30,
            trust_env=False,
            **given,
        )


@contextmanager
def nginx(folder: Path, *, upstream: int) -> Iterator[Proxy]:
    """A real one on free ports, with a certificate of the test's own authority."""
    authority = trustme.CA()
    certificate = authority.issue_cert(NAME, "127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "pem")
    https, http = free_port(), free_port()
    live = f"/etc/letsencrypt/live/{NAME}"
    site = changed(
        SITE.read_text(),
        ("listen 80;", f"listen 127.0.0.1:{http};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{https} ssl;"),
        ("    listen [::]:80;\n", ""),
        ("    listen [::]:443 ssl;\n", ""),
        ("127.0.0.1:8000", f"127.0.0.1:{upstream}"),
        (f"{live}/fullchain.pem", f"{folder}/pem"),
        (f"{live}/privkey.pem", f"{folder}/pem"),
    )
    (folder / "site").write_text(site)
    (folder / "conf").write_text(AROUND.format(folder=folder))
    command = [NGINX, "-p", str(folder), "-c", str(folder / "conf"), "-e", "stderr"]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert (0, "") == (checked.returncode, "".join(re.findall("warn.*", checked.stderr)))
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        try:
            until_listening(https)
            yield Proxy(https=https, http=http, tls=tls)
        finally:
            running.terminate()
            running.communicate()


def until_listening(port: int) -> None:
    """Return when somebody listens there."""
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < end
        else:
            return


@pytest.fixture(scope="module")
def tintype(serving) -> Iterator[int]:
    """The port of a real server with the bundled models."""
    with serving("demo") as server:
        yield server.port


@pytest.fixture(scope="module")
def proxy(tintype, tmp_path_factory) -> Iterator[Proxy]:
    with nginx(tmp_path_factory.mktemp("nginx"), upstream=tintype) as running:
        yield running


def told(answer: httpx.Response) -> list:
    """Labels and scores of an answer."""
    assert 200 == answer.status_code, answer.text
    return [result["labels"] for result in answer.json()["results"]]


def test_a_picture_over_tls_is_answered_as_without(proxy, tintype):
    """To the last digit, and with our headers."""
    direct = httpx.post(f"http://127.0.0.1:{tintype}/api/predict?top=2", content=DOG, timeout=30)
    with proxy.client() as client:
        answer = client.post("/api/predict?top=2", content=DOG)
    assert told(direct) == told(answer)
    assert "max-age=31536000" == answer.headers["strict-transport-security"]
    assert {"server-timing", "x-request-id"} <= set(answer.headers)
    assert "nginx" == answer.headers["server"]


def test_the_page_is_there(proxy):
    """With its policy, and its curl line beginning with the name."""
    with proxy.client() as client:
        page = client.get("/", params={"sample": "dog.jpg"})
    assert 200 == page.status_code
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert f"{NAME}/api/predict" in page.text


def test_an_upload_of_twenty_mebibytes_is_answered(proxy, tintype):
    """A bitmap; the same answer as without the proxy."""
    noise = np.random.default_rng(0).integers(0, 255, (2645, 2645, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "BMP")
    body = file.getvalue()
    assert 20 << 20 <= len(body) < 21 << 20
    direct = httpx.post(f"http://127.0.0.1:{tintype}/api/predict", content=body, timeout=60)
    with proxy.client() as client:
        assert told(direct) == told(client.post("/api/predict", content=body))


@pytest.mark.parametrize("size", [(25 << 20) + 1, 27 << 20], ids=["by-tintype", "by-nginx"])
def test_a_body_above_the_limit_is_a_problem_document(proxy, size):
    """Whoever of the two says no."""
    with proxy.client() as client:
        answer = client.post("/api/predict", content=bytes(size))
    assert (413, "/problems/body-too-large") == (answer.status_code, answer.json()["type"])
    assert "application/problem+json" == answer.headers["content-type"]


def test_a_slow_client_is_answered_and_holds_nobody_up(proxy):
    """While its picture drips in, others are answered."""
    others = 0
    with (
        proxy.client() as client,
        socket.create_connection(("127.0.0.1", proxy.https)) as plain,
        proxy.tls.wrap_socket(plain, server_hostname=NAME) as slow,
    ):
        head = f"POST /api/predict HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n"
        slow.sendall(f"{head}Content-Length: {len(DOG)}\r\n\r\n".encode())
        step = len(DOG) // 20 + 1
        for start in range(0, len(DOG), step):
            slow.sendall(DOG[start : start + step])
            others += client.get("/live").status_code == 200
        with slow.makefile("rb") as reader:
            answer = reader.read()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"label":"dog"' in answer
    assert 20 == others


def test_plain_http_leads_to_https(proxy):
    """With the whole address."""
    headers = {"Host": NAME}
    answer = httpx.get(f"{proxy.plain}/docs?x=1", headers=headers, trust_env=False)
    assert (301, f"https://{NAME}/docs?x=1") == (answer.status_code, answer.headers["location"])


def test_metrics_are_not_for_the_world(proxy):
    """They are asked for on the machine itself."""
    with proxy.client() as client:
        assert 404 == client.get("/metrics").status_code


def test_what_a_caller_says_of_itself_is_thrown_away(tmp_path):
    """The server behind learns the address that nginx saw, and the scheme."""
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        port = upstream.getsockname()[1]
        with nginx(tmp_path, upstream=port) as proxy, proxy.client() as client:
            heads: list[bytes] = []
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

            def serve() -> None:
                connection, _ = upstream.accept()
                with connection:
                    heads.append(connection.recv(65536))
                    connection.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            spoofed = {"X-Forwarded-For": "8.8.8.8", "Forwarded": "for=8.8.8.8"}
            client.get("/", headers={**spoofed, "X-Forwarded-Proto": "http"})
            thread.join()
    lines = heads[0].decode().lower().split("\r\n")
    assert {"x-forwarded-for: 127.0.0.1", "x-forwarded-proto: https", f"host: {NAME}"} <= {*lines}
    assert "8.8.8.8" not in heads[0].decode()


def test_a_server_that_is_away_is_told_as_a_problem(tmp_path):
    """With a time to come back: a restart takes a second."""
    with nginx(tmp_path, upstream=free_port()) as proxy, proxy.client() as client:
        answer = client.post("/api/predict", content=DOG)
    assert (503, "/problems/serving") == (answer.status_code, answer.json()["type"])
    assert ("1", "application/problem+json") == (
        answer.headers["retry-after"],
        answer.headers["content-type"],
    )


def seconds(directive: str) -> list[int]:
    """Every value of a directive in the file, in seconds."""
    text = SITE.read_text()
    return [int(value) for value in re.findall(rf"^\s*{directive} (\d+)s;", text, re.MULTILINE)]


def test_sizes_and_times_fit_ours():
    """Tintype's own limits are met first: it says why, nginx does not."""
    size = int(re.search(r"client_max_body_size (\d+)m;", SITE.read_text())[1])
    assert UploadLimits().max_body_bytes < size << 20
    (answer,) = seconds("proxy_read_timeout")
    assert PredictPolicy().deadline_seconds < answer
    kept = seconds("keepalive_timeout")[0]  # the upstream's stands first
    assert kept < IDLE_SECONDS
