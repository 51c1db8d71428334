"""Addresses over TLS: the remote's certificate is checked."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from tintype.engines.tfserving.client import connect
from tintype.errors import RemoteUnreachable
from tintype.types import RemoteModel
from tintype.wire.protobuf import encode
from tintype.wire.tensors import tensor_parts

grpc = pytest.importorskip("grpc")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that nobody signed but itself, for localhost, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, made = folder / "key.pem", folder / "cert.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    more = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(made)]
    subprocess.run([*command.split(), *more], check=True, capture_output=True, timeout=60)
    return made, key


@pytest.fixture
def grpc_port(certificate):
    """A server over TLS that answers Predict with ones."""
    made, key = certificate
    tensor = b"".join(tensor_parts(np.ones((1, 3), np.float32)))
    answer = encode(1, encode(1, b"y") + encode(2, tensor))
    handler = grpc.unary_unary_rpc_method_handler(lambda _request, _context: answer)
    server = grpc.server(ThreadPoolExecutor(2))
    service = "tensorflow.serving.PredictionService"
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {"Predict": handler}),)
    )
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), made.read_bytes())])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    yield port
    server.stop(None).wait(20)


@pytest.fixture
def https_port(certificate):
    """The same over REST."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"predictions": [[1, 1, 1]]}')

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join(20)
    server.server_close()


def ask(address: str, ca: Path | None) -> np.ndarray:
    client = connect(RemoteModel(address=address, name="pets", ca=ca))
    try:
        batch = np.zeros((1, 2, 2, 3), np.float32)
        return client.predict(batch, input_name="x", outputs=("y",), timeout=10)["y"]
    finally:
        client.close()


def test_a_certificate_of_one_s_own_authority_is_taken(certificate, grpc_port, https_port):
    """In both languages, where the card names it."""
    for address in (f"grpcs://localhost:{grpc_port}", f"https://localhost:{https_port}"):
        np.testing.assert_array_equal(ask(address, certificate[0]), np.ones((1, 3)))


def test_a_certificate_that_nobody_signed_is_refused(grpc_port, https_port):
    """Nothing is sent."""
    for address in (f"grpcs://localhost:{grpc_port}", f"https://localhost:{https_port}"):
        with pytest.raises(RemoteUnreachable):
            ask(address, None)
