"""HTTP with one deadline for all, against servers that misbehave."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from tintype.engines.tfserving.http_client import HttpClient, NotConnected, TooMuch

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Script = Callable[[socket.socket], None]


class Scripted:
    """A server that runs one script a connection."""

    def __init__(self, scripts: list[Script]) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self.closed = threading.Semaphore(0)
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(scripts,), daemon=True)
        self._thread.start()

    @property
    def client(self) -> HttpClient:
        """A client of it."""
        port = self.listener.getsockname()[1]
        return HttpClient(urlsplit(f"http://127.0.0.1:{port}"), max_bytes=1000)

    def _serve(self, scripts: list[Script]) -> None:
        for script in scripts:
            connection, _ = self.listener.accept()
            self.connections += 1
            with connection:
                script(connection)
            self.closed.release()

    def close(self) -> None:
        """Stop listening, and wait for the script to end."""
        self.ended.set()
        self._thread.join(20)
        self.listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Scripted]]:
    made: list[Scripted] = []

    def serve(*scripts: Script) -> Scripted:
        made.append(Scripted([*scripts]))
        return made[-1]

    yield serve
    for each in made:
        each.close()


def hear(connection: socket.socket) -> None:
    """Read a request whole: who closes with something unread resets the connection."""
    with connection.makefile("rb", buffering=0) as stream:
        length = 0
        while (line := stream.readline()) not in {b"", b"\r\n"}:
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        while length > 0 and (piece := stream.read(length)):
            length -= len(piece)


def answers(times: int) -> Script:
    def script(connection: socket.socket) -> None:
        for _ in range(times):
            hear(connection)
            connection.sendall(ANSWER)

    return script


def ask(client: HttpClient, timeout: float = 10.0) -> bytes:
    return client.ask("POST", "/x", body=b"{}", timeout=timeout).body


def test_a_connection_is_kept(serve):
    """Two exchanges, one connection."""
    server = serve(answers(2))
    client = server.client
    assert [b"ok", b"ok"] == [ask(client), ask(client)]
    client.close()
    assert 1 == server.connections


def test_a_connection_in_use_at_the_end_is_closed_after_its_use(serve):
    """The client was let go while a thread waited for an answer."""
    heard, answer = threading.Event(), threading.Event()

    def slowly(connection: socket.socket) -> None:
        hear(connection)
        heard.set()
        answer.wait(20)
        connection.sendall(ANSWER)
        assert b"" == connection.recv(1)  # closed by the client

    server = serve(slowly)
    client = server.client
    asking = threading.Thread(target=ask, args=(client,))
    asking.start()
    assert heard.wait(20)
    client.close()
    answer.set()
    asking.join(20)
    assert server.closed.acquire(timeout=20)


def test_a_connection_closed_meanwhile_is_not_used(serve):
    """A new one is made: nothing was sent on the old one."""
    server = serve(answers(1), answers(1))
    client = server.client
    assert b"ok" == ask(client)
    assert server.closed.acquire(timeout=20)
    assert b"ok" == ask(client)
    client.close()
    assert 2 == server.connections


def test_drops_that_come_for_ever_end_at_the_deadline(serve):
    """Each read is quick, all together are not."""

    def drip(connection: socket.socket) -> None:
        hear(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        try:
            while not server.ended.wait(0.02):
                connection.sendall(b"x")
        except OSError:
            pass  # the client has given up

    server = serve(drip)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        ask(server.client, timeout=0.3)
    assert time.monotonic() - begun < 3


def test_a_head_that_never_ends_ends_at_the_deadline(serve):
    """The same for the lines before the body."""

    def drip(connection: socket.socket) -> None:
        hear(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        try:
            while not server.ended.wait(0.02):
                connection.sendall(b"X: y\r\n")
        except OSError:
            pass

    server = serve(drip)
    with pytest.raises((TimeoutError, http.client.HTTPException)):
        ask(server.client, timeout=0.3)


@pytest.mark.parametrize("head", [b"Content-Length: 5000\r\n\r\n", b"Connection: close\r\n\r\n"])
def test_more_bytes_than_allowed_are_not_read(serve, head):
    """With and without a declared length."""

    def much(connection: socket.socket) -> None:
        hear(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + bytes(5000))

    with pytest.raises(TooMuch):
        ask(serve(much).client)


def test_half_an_answer_is_none(serve):
    """It ended before the length it declared."""

    def half(connection: socket.socket) -> None:
        hear(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    with pytest.raises(http.client.IncompleteRead):
        ask(serve(half).client)


def test_no_connection_is_told_apart():
    """Nothing was sent: it may be tried again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotConnected):
        ask(HttpClient(urlsplit(f"http://127.0.0.1:{port}"), max_bytes=1000))
