"""What is sent again, and what never: a small gRPC server in this process, without TensorFlow."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tintype.engines.tfserving.client import connect
from tintype.errors import DeadlineExceeded, RemoteFailed, RemoteRefused, RemoteUnreachable
from tintype.types import RemoteModel
from tintype.wire.protobuf import encode
from tintype.wire.tensors import tensor_parts

grpc = pytest.importorskip("grpc")


class Server:
    """Answers Predict as it is told, and counts."""

    def __init__(self, port: int = 0) -> None:
        self.calls = 0
        self.code: grpc.StatusCode | None = None
        self.hold = threading.Event()
        self.hold.set()
        self._server = grpc.server(ThreadPoolExecutor(4))
        handler = grpc.unary_unary_rpc_method_handler(self._predict)
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "tensorflow.serving.PredictionService", {"Predict": handler}
                ),
            )
        )
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")

    def start(self) -> None:
        """Listen."""
        self._server.start()

    def stop(self) -> None:
        """End at once."""
        self.hold.set()
        self._server.stop(None).wait(20)

    def _predict(self, _: bytes, context: grpc.ServicerContext) -> bytes:
        self.calls += 1
        self.hold.wait(20)
        if self.code is not None:
            context.abort(self.code, "no room left\nat   all")
        tensor = b"".join(tensor_parts(np.ones((1, 3), np.float32)))
        return encode(1, encode(1, b"y") + encode(2, tensor))


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    made.start()
    yield made
    made.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def ask(port: int, *, timeout: float = 10.0, client=None):
    made = client or connect(RemoteModel(address=f"grpc://127.0.0.1:{port}", name="pets"))
    try:
        batch = np.zeros((1, 2, 2, 3), np.float32)
        return made.predict(batch, input_name="x", outputs=("y",), timeout=timeout)["y"]
    finally:
        if client is None:
            made.close()


def test_one_call_is_sent(server: Server):
    """And its answer read."""
    np.testing.assert_array_equal(ask(server.port), np.ones((1, 3)))
    assert 1 == server.calls


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("UNAVAILABLE", RemoteFailed),
        ("INTERNAL", RemoteFailed),
        ("RESOURCE_EXHAUSTED", RemoteFailed),
        ("NOT_FOUND", RemoteFailed),
        ("INVALID_ARGUMENT", RemoteRefused),
    ],
)
def test_what_was_seen_is_never_sent_again(server: Server, code: str, error: type[Exception]):
    """Not even UNAVAILABLE, once the remote itself said it; its words are told on one line."""
    server.code = grpc.StatusCode[code]
    with pytest.raises(error, match=f"{code}: no room left at all"):
        ask(server.port)
    assert 1 == server.calls


def test_nothing_is_sent_again_after_a_deadline(server: Server):
    """The one call is under way still."""
    server.hold.clear()
    with pytest.raises(DeadlineExceeded, match=r"within 0\.2 s"):
        ask(server.port, timeout=0.2)
    assert 1 == server.calls


def test_without_a_connection_it_is_told_soon():
    """No longer than the patience for a lost connection."""
    with pytest.raises(RemoteUnreachable, match="no connection to the TensorFlow Serving"):
        ask(free_port(), timeout=20)


def test_without_a_connection_it_is_tried_once_more():
    """A remote that comes back meanwhile answers: nothing had been sent."""
    port = free_port()
    client = connect(RemoteModel(address=f"grpc://127.0.0.1:{port}", name="pets"))
    failed = threading.Event()
    client._channel.subscribe(
        lambda state: state is grpc.ChannelConnectivity.TRANSIENT_FAILURE and failed.set()
    )
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, port, client=client)
        assert failed.wait(20)
        server = Server(port)
        server.start()
        np.testing.assert_array_equal(answer.result(20), np.ones((1, 3)))
    client.close()
    server.stop()
    assert 1 == server.calls


def test_a_channel_is_used_again_after_a_loss():
    """The same client, a new server on the old port."""
    first = Server()
    first.start()
    client = connect(RemoteModel(address=f"grpc://127.0.0.1:{first.port}", name="pets"))
    ask(first.port, client=client)
    first.stop()
    second = Server(first.port)
    second.start()
    np.testing.assert_array_equal(ask(first.port, client=client), np.ones((1, 3)))
    client.close()
    second.stop()
