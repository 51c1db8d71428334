"""Calls come back in time with one shape of answer, whatever the server does."""

from __future__ import annotations

import io
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import trustme
from PIL import Image

from tintype.client import Answer, Client, ClientPolicy, Default, Feedback
from tintype.errors import Overloaded, SettingsError
from tintype.types import LabelScore, Point, Task

Behaviour = Callable[[socket.socket], None]

DEFAULTS = {"pets": Default(labels=("unknown", "dog")), "things": Default(task=Task.DETECT)}


@pytest.fixture(scope="module")
def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(file, "PNG")
    return file.getvalue()


def labels(given: Answer, model: str = "pets") -> list[str]:
    return [label.label for label in given.of(model).labels]


def hang(connection: socket.socket) -> None:
    """Say nothing until the client leaves."""
    connection.recv(1)


class Peer:
    """A server that behaves as the test says, one connection after the other."""

    def __init__(self, listener: socket.socket) -> None:
        host, port = listener.getsockname()
        self.url = f"http://{host}:{port}"
        self.requests: list[bytes] = []


@contextmanager
def peer(*behaviours: Behaviour | bytes) -> Iterator[Peer]:
    """Serve each connection by the next behaviour, the last one again and again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        told = Peer(listener)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                behaviour = behaviours[min(len(told.requests), len(behaviours) - 1)]
                with connection, suppress(OSError):
                    told.requests.append(read_request(connection))
                    if isinstance(behaviour, bytes):
                        connection.sendall(behaviour)
                    else:
                        behaviour(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield told
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def read_request(connection: socket.socket) -> bytes:
    """Head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536) or b"\r\n\r\n"
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += connection.recv(1 << 20)
    return head + b"\r\n\r\n" + body


def answer(body: bytes, *headers: str, status: int = 200) -> bytes:
    """An answer as bytes."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


# Answers of a server that is well.


def test_a_picture_is_answered_with_our_own_values(client, server, png):
    """Labels and boxes as the server's types, facts about the picture, no problem."""
    given = client(server, defaults=DEFAULTS).predict(png)
    assert given.of("pets").labels[0] == LabelScore(index=1, label="dog", score=0.98)
    assert "dog" == given.of("things").boxes[0].label
    assert (64, 48) == (given.prediction.image.width, given.prediction.image.height)
    assert given.problem is None


def test_options_reach_the_predictor(client, server, predictor, png):
    """To the last digit."""
    points = (Point(x=1 / 3, y=2), Point(x=30, y=40))
    client(server).predict(png, models=("pets",), points=points, top=2, threshold=1e-05)
    asked = predictor.asked[0]
    assert (("pets",), points, 2, 1e-05) == (
        asked.models,
        asked.points,
        asked.top,
        asked.threshold,
    )


def test_a_batch_is_answered_in_order(client, server, png):
    """A bad picture has a default in its place."""
    first, bad, last = client(server, defaults=DEFAULTS).predict_batch(
        [png, b"no picture", png], models=("pets",), top=2
    )
    assert ["dog", "cat", "<b>bird</b>"] == labels(first) == labels(last)
    assert ("unsupported-image-format", ["unknown", "dog"]) == (bad.problem.type, labels(bad))


def test_no_pictures_are_no_answers(client):
    """Nobody is asked."""
    assert () == client("http://127.0.0.1:1").predict_batch([])


def test_ready_follows_the_server(client, server, predictor):
    """True, then false; false too where nobody listens."""
    assert client(server).ready()
    predictor.is_ready = False
    assert not client(server, retries=0).ready()
    assert not client("http://127.0.0.1:1", seconds=1).ready()


@pytest.mark.parametrize(
    ("image", "models", "kind"),
    [(b"", (), "malformed-request"), (b"x", (), "unsupported-image-format")],
)
def test_a_refusal_is_told_and_answered_by_defaults(client, server, image, models, kind):
    """The caller's page goes on; who wants to know why, is told."""
    given = client(server, defaults=DEFAULTS).predict(image, models=models)
    assert (kind, None) == (given.problem.type, given.prediction)
    assert ["unknown", "dog"] == labels(given)
    assert () == given.of("things").boxes


def test_an_unknown_model_has_an_empty_answer(client, server, png):
    """No default was set for it: no labels, and the reason."""
    given = client(server, defaults=DEFAULTS).predict(png, models=("nix",))
    assert ("unknown-model", ()) == (given.of("nix").error.type, given.of("nix").labels)
    with pytest.raises(KeyError):
        given.of("pets")


def test_a_picture_above_the_limit_is_answered(client, server):
    """The server answers before it has read all."""
    given = client(server, defaults=DEFAULTS).predict(os.urandom(1 << 20))
    assert "unknown" == labels(given)[0]
    assert given.problem.type in {"body-too-large", "broken-answer"}


def test_a_model_that_fails_alone_has_its_default(client):
    """The others' answers are the server's; its error stays."""
    body = b"""{"id": "1", "image": {"width": 1, "height": 1, "format": "png", "sha256": ""},
    "results": [{"model": "pets", "version": "1", "task": "classify",
                 "error": {"type": "deadline-exceeded", "detail": "too late"}},
                {"model": "colours", "version": "1", "task": "classify", "new": [1],
                 "labels": [{"index": 6, "label": "red", "score": 1}]}]}"""
    with peer(answer(body)) as server:
        given = client(server.url, defaults=DEFAULTS).predict(b"x")
    assert ["unknown", "dog"] == labels(given)
    assert ["red"] == labels(given, "colours")
    assert ("deadline-exceeded", None) == (given.of("pets").error.type, given.problem)


def test_defaults_follow_models_and_points(client):
    """A result for each, as the server would give."""
    points = (Point(x=1, y=2), Point(x=3, y=4))
    given = client("http://127.0.0.1:1", retries=0, defaults=DEFAULTS).predict(
        b"x", models=("things", "pets"), points=points
    )
    assert [("things", *points), ("pets", *points)] == [
        (model, *(result.point for result in given.results if result.model == model))
        for model in ("things", "pets")
    ]
    assert given.of("pets").labels[0] == LabelScore(index=-1, label="unknown", score=0.0)
    assert all(result.fallback for result in given.results)
    assert ("unreachable", "unreachable") == (given.problem.type, given.of("pets").error.type)


# Late, dripping, broken.


def drip(piece: bytes, first: bytes = b""):
    """A byte now and then, for ever."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(piece)
            time.sleep(0.02)

    return behave


@pytest.mark.parametrize(
    "behaviour",
    [
        hang,
        drip(b"x"),
        drip(b"X: y\r\n", b"HTTP/1.1 200 OK\r\n"),
        drip(b" ", answer(bytes(9999))[:40]),
        drip(b"1\r\nx\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        drip(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    ],
    ids=["hangs", "head", "headers", "body", "chunks", "hints"],
)
def test_the_deadline_is_for_the_whole_call(client, behaviour):
    """However the server spreads its bytes."""
    with peer(behaviour) as server:
        begun = time.monotonic()
        given = client(server.url, seconds=0.3, defaults=DEFAULTS).predict(b"x")
        took = time.monotonic() - begun
    assert ("deadline-exceeded", ["unknown", "dog"]) == (given.problem.type, labels(given))
    assert 0.25 < took < 3


def test_a_server_that_does_not_read_is_left_at_the_deadline(client):
    """An upload larger than what the system holds for both."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        given = client(url, seconds=0.3).predict(bytes(64 << 20), models=("pets",))
    assert "deadline-exceeded" == given.problem.type


def test_a_handshake_that_hangs_is_left_at_the_deadline(client):
    """A server that takes the connection and never speaks TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        given = client(url, seconds=0.3).predict(b"x", models=("pets",))
    assert "deadline-exceeded" == given.problem.type


@pytest.mark.parametrize(
    "behaviour",
    [
        b"",
        b"no http\r\n\r\n",
        answer(b"half")[:-2],
        answer(b"no json"),
        answer(b"[]"),
        answer(b'{"results": []}'),
        answer(b'{"id": 5}'),
        answer(b"[" * 100_000),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        answer(b"x", "Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000,
    ],
    ids=lambda behaviour: repr(behaviour[-30:]),
)
def test_a_broken_answer_is_no_answer(client, behaviour):
    """Cut short, no JSON, another shape, without an end: the default, and why."""
    with peer(behaviour) as server:
        given = client(server.url, defaults=DEFAULTS).predict(b"x")
        batch = client(server.url, defaults=DEFAULTS).predict_batch([b"x", b"y"])
    assert {"broken-answer"} == {each.problem.type for each in (given, *batch)}
    assert ["unknown", "dog"] == labels(given) == labels(batch[1])


def test_a_proxy_that_answers_in_html_is_told_by_its_status(client):
    """502 and a page of words."""
    with peer(answer(b"<html>Bad Gateway", status=502)) as server:
        given = client(server.url).predict(b"x", models=("pets",))
    assert ("refused", "status 502") == (given.problem.type, given.problem.detail)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://nowhere.invalid"])
def test_a_server_that_is_not_there_is_told(client, url):
    """A closed port, a name that nobody has."""
    given = client(url, retries=0, defaults=DEFAULTS).predict(b"x")
    assert ("unreachable", ["unknown", "dog"]) == (given.problem.type, labels(given))


# Trying again.

FULL = answer(b'{"type": "/problems/overloaded"}', "Retry-After: 0", status=503)


def test_a_full_server_is_asked_again_when_it_says(client, server, predictor, png):
    """The second try is answered; nothing was done twice."""
    real = client(server).predict(png)
    assert real.problem is None
    predictor.failure = Overloaded("full")
    refused = client(server, retries=1, seconds=20).predict(png, models=("pets",))
    assert ("overloaded", 3) == (refused.problem.type, len(predictor.asked))


@pytest.mark.parametrize(("retries", "asked"), [(0, 1), (1, 2), (3, 4)])
def test_there_are_only_so_many_tries(client, retries, asked):
    """One and the retries."""
    with peer(FULL) as server:
        given = client(server.url, retries=retries).predict(b"x", models=("pets",))
    assert ("overloaded", asked) == (given.problem.type, len(server.requests))


@pytest.mark.parametrize(
    "behaviour",
    [
        b"",
        answer(b"half")[:-2],
        answer(b"{}", status=500),
        answer(b"{}", status=503),
        answer(b"{}", "Retry-After: soon", status=503),
        answer(b"{}", "Retry-After: 0", status=500),
        answer(b"{}", "Retry-After: 0", status=400),
    ],
    ids=lambda behaviour: repr(behaviour[:60]),
)
def test_what_may_have_been_done_is_not_asked_again(client, behaviour):
    """An answer that broke off, a failure, a server that does not say when to come back."""
    with peer(behaviour) as server:
        client(server.url, retries=3).predict(b"x", models=("pets",))
    assert 1 == len(server.requests)


def test_waiting_to_try_again_ends_at_the_deadline(client):
    """The server asks for an hour."""
    with peer(answer(b"{}", "Retry-After: 3600", status=503)) as server:
        begun = time.monotonic()
        given = client(server.url, seconds=0.3).predict(b"x", models=("pets",))
    assert time.monotonic() - begun < 3
    assert given.problem.type in {"deadline-exceeded", "refused"}


def test_a_server_that_comes_up_is_reached_by_a_retry(client):
    """Nothing was sent when the port was closed, so trying again is safe."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    facts = b'{"width": 1, "height": 1, "format": "png", "sha256": ""}'
    body = b'{"id": "1", "image": ' + facts + b', "results": []}'
    done: list[bytes] = []

    def come_up() -> None:
        with socket.create_server(("127.0.0.1", port)) as listener:
            connection, _ = listener.accept()
            with connection:
                done.append(connection.recv(65536))
                connection.sendall(answer(body))

    timer = threading.Timer(0.2, come_up)
    timer.start()
    given = client(f"http://127.0.0.1:{port}", retries=1000).predict(b"x")
    timer.join()
    assert (None, 1) == (given.problem, len(done))


def test_a_server_that_hangs_is_left_alone_after_some_calls():
    """Then defaults come at once, and one call tries again after the rest."""
    with peer(hang, hang, FULL) as server:
        policy = ClientPolicy(seconds=0.1, retries=0, rest_after=2, rest_seconds=0.3)
        caller = Client(server.url, policy=policy)
        kinds = [caller.predict(b"x").problem.type for _ in range(3)]
        begun = time.monotonic()
        while (last := caller.predict(b"x").problem.type) == "resting":
            time.sleep(0.01)
        assert time.monotonic() - begun < 5
    assert ["deadline-exceeded", "deadline-exceeded", "resting"] == kinds
    assert ("overloaded", 3) == (last, len(server.requests))


def test_feedback_is_said_again_where_the_answer_breaks_off(client):
    """It is kept once, however often it is said."""
    with peer(b"", answer(b"half")[:-2], answer(b"{}")) as server:
        said = Feedback(picked="cat", model="pets", point=Point(x=1, y=2))
        assert client(server.url).feedback("a/b", said) is None
    assert 3 == len(server.requests)
    head, _, body = server.requests[2].partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /api/predictions/a%2Fb/feedback HTTP/1.1")
    assert {"picked": "cat", "model": "pets", "x": 1, "y": 2} == json.loads(body)


def test_feedback_that_is_refused_is_told(client, server):
    """Here nothing is recorded."""
    problem = client(server).feedback("0" * 32, Feedback(correct=False))
    assert "record-disabled" == problem.type


# What is sent, and where to.


def test_headers_and_prefix_are_sent(client):
    """A key, and the path that a proxy has the server under."""
    with peer(FULL) as server:
        client(f"{server.url}/tintype/", headers={"Authorization": "Bearer k"}, retries=0).predict(
            b"xyz", models=("a b", "ü")
        )
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert "POST /tintype/api/predict?model=a+b&model=%C3%BC HTTP/1.1" == lines[0]
    assert {"Authorization: Bearer k", "Content-Length: 3"} <= {*lines}
    assert b"xyz" == body


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("127.0.0.1:8000", {}),
        ("ftp://x", {}),
        ("http://", {}),
        ("http://x:port", {}),
        ("http://user:secret@x", {}),
        ("http://x?y", {}),
        ("http://x/ä b", {}),
        ("http://x", {"Authorization": "a\r\nb"}),
        ("http://x", {"a b": "c"}),
    ],
)
def test_a_wrong_address_or_header_is_told_at_once(client, url, headers):
    """Before any call: calls never raise."""
    with pytest.raises(SettingsError):
        client(url, headers=headers)


def test_what_is_no_bytes_is_a_mistake_of_the_program(client):
    """A number of zero bytes would be sent otherwise."""
    with pytest.raises(TypeError):
        client("http://127.0.0.1:1").predict(5)


def test_tls_is_checked(client, png):
    """An authority of one's own is trusted, an unknown one is not."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"

        def serve() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                try:
                    with context.wrap_socket(connection, server_side=True) as safe:
                        safe.recv(65536)
                        safe.sendall(FULL)
                except OSError:
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        strange = client(url, retries=0).predict(png, models=("pets",))
        known = client(url, retries=0, tls=trusting).predict(png, models=("pets",))
        thread.join()
    assert ("unreachable", "overloaded") == (strange.problem.type, known.problem.type)
    assert "certificate" in strange.problem.detail


def test_proxies_of_the_environment_are_not_used(client, server, png, monkeypatch):
    """The address that was given is the one that is asked."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert client(server).predict(png).problem is None


def test_many_threads_share_a_client(server, png):
    """Each gets its own answer."""
    caller = Client(server, policy=ClientPolicy(seconds=20))
    seen: list[object] = []
    threads = [
        threading.Thread(target=lambda: seen.append(caller.predict(png).problem)) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [None] * 16 == seen


def test_importing_the_client_loads_no_part_of_the_server():
    """It is for other people's programs: no numpy, no web framework, no engine."""
    code = "import sys, tintype.client; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    ours = {".".join(name.split(".")[:2]) for name in loaded if name.startswith("tintype.")}
    assert {"tintype.client", "tintype.errors", "tintype.types", "tintype.wire"} == ours
    assert set() == loaded & {"numpy", "starlette", "uvicorn", "openvino", "PIL", "httpx", "anyio"}
