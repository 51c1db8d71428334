"""One exchange, byte by byte, without a socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tintype.wire.http_exchange import (
    MAX_HEAD_BYTES,
    AnswerBroken,
    AnswerTooLarge,
    Exchange,
    Request,
)

GET = Request(method="GET", target="/a", host="x.test")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a: 2\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: v\r\n\r\n"
)


def started(request: Request = GET, *, limit: int = 100) -> Exchange:
    exchange = Exchange(request, limit=limit)
    exchange.first_bytes()
    return exchange


def test_a_request_is_written_whole():
    """Head and body at once, with the length told."""
    request = Request(
        method="POST", target="/p?q", host="x.test:1", headers=(("A", "b"),), body=b"hi"
    )
    assert (
        b"POST /p?q HTTP/1.1\r\nHost: x.test:1\r\nConnection: close\r\nA: b\r\n"
        b"Content-Length: 2\r\n\r\nhi"
    ) == Exchange(request, limit=0).first_bytes()


@pytest.mark.parametrize(
    "request_",
    [
        Request(method="GET", target="/a b", host="x"),
        Request(method="GET", target="/é", host="x"),
        Request(method="GET", target="/", host="x\r\nY: z"),
        Request(method="GET", target="/", host="x", headers=(("Authorization", "a\nb"),)),
        Request(method="G T", target="/", host="x"),
    ],
)
def test_what_is_no_request_cannot_be_written(request_):
    """No line end gets from a value into the head."""
    with pytest.raises(ValueError, match="cannot be written"):
        Exchange(request_, limit=0).first_bytes()


@pytest.mark.parametrize("answer", [ANSWER, CHUNKED])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_answer_may_come_in_any_pieces(answer, size):
    """The result is the same, byte by byte or at once."""
    exchange = started()
    for start in range(0, len(answer), size):
        exchange.feed(answer[start : start + size])
    assert (True, b"hello", 200) == (exchange.done, exchange.body(), exchange.head.status)


def test_names_of_headers_are_small_and_the_first_value_wins():
    """There is one way to look one up."""
    exchange = started()
    exchange.feed(ANSWER)
    assert {"content-length": "5", "x-a": "1"} == exchange.head.headers


def test_an_answer_may_end_with_its_connection():
    """Without a length, no more bytes mean that it is whole."""
    exchange = started()
    exchange.feed(b"HTTP/1.0 200 OK\r\n\r\nhello")
    assert not exchange.done
    exchange.feed(b"")
    assert (True, b"hello") == (exchange.done, exchange.body())


def test_early_answers_are_passed_over():
    """103 and its kin come before the answer."""
    exchange = started()
    exchange.feed(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ANSWER)
    assert 200 == exchange.head.status


@pytest.mark.parametrize(
    "answer",
    [ANSWER, CHUNKED, b"HTTP/1.0 200 OK\r\n\r\nhello", b"HTTP/1.1 200 OK\r\n\r\nhello"],
)
def test_the_limit_is_exact(answer):
    """As many bytes pass, one more does not; where a length is declared, before they come."""
    exchange = started(limit=5)
    exchange.feed(answer)
    exchange = started(limit=4)
    with pytest.raises(AnswerTooLarge):
        exchange.feed(answer)


def test_a_head_without_end_is_broken():
    """It is never held beyond the bound."""
    exchange = started()
    with pytest.raises(AnswerBroken):
        exchange.feed(b"HTTP/1.1 200 OK\r\nX: " + b"a" * (2 * MAX_HEAD_BYTES))


@given(st.binary(max_size=200), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", CHUNKED[:60]]))
def test_any_bytes_are_an_answer_or_broken(data, start):
    """Nothing else escapes, and the end of the connection ends it."""
    exchange = started()
    try:
        exchange.feed(start + data)
        if not exchange.done:
            exchange.feed(b"")
    except (AnswerBroken, AnswerTooLarge):
        return
    assert exchange.done
