"""Requests whose end is beyond doubt are read in one look; all others are left to the parser."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tintype.cli.plain_head import plain_post

HEAD = b"POST /api/predict?top=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"


def read(data: bytes, start: int = 0) -> tuple[bytes, int, int] | None:
    """The URL, where the body begins, and its bytes."""
    found = plain_post(data, start)
    return None if found is None else (found[1], found.end(), int(found[2]))


def test_url_and_lengths_are_read():
    """The body may still be on its way."""
    assert (b"/api/predict?top=1", len(HEAD) + 2, 5) == read(HEAD + b"\r\nab")


def test_a_request_behind_another_is_read_from_where_it_begins():
    """A pipeline is read on."""
    behind = b"abcPOST /x HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
    assert (b"/x", 42, 0) == read(behind, 3)


@pytest.mark.parametrize("line", [b"Connection: keep-alive\r\n", b"connection:Keep-Alive\r\n"])
def test_the_usual_word_on_the_connection_is_plain(line):
    """Requests' and browsers' own."""
    assert plain_post(HEAD + line + b"\r\n") is not None


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"POST /x HTT",
        HEAD,
        b"GET" + HEAD[4:] + b"\r\n",
        b"POST x HTTP/1.1\r\nContent-Length: 1\r\n\r\n",
        b"POST /x HTTP/1.0\r\nContent-Length: 1\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /x HTTP/1.1\nContent-Length: 1\n\n",
        HEAD + b"Content-Length: 5\r\n\r\n",
        HEAD + b"content-length: 6\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
        HEAD + b"Expect: 100-continue\r\n\r\n",
        HEAD + b"Upgrade: h2c\r\n\r\n",
        HEAD + b"Connection: close\r\n\r\n",
        HEAD + b"Connection: keep-alive, upgrade\r\n\r\n",
        HEAD + b"Proxy-Connection: close\r\n\r\n",  # the parser takes it for the same
        HEAD + b" folded: yes\r\n\r\n",
        HEAD + b"odd : space\r\n\r\n",
        HEAD + b"X: a\nContent-Length: 9\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: +5\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 0x5\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: \r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 5 5\r\n\r\n",
    ],
)
def test_where_there_is_doubt_the_parser_decides(head):
    """Two readers that differ about where a request ends are how requests are smuggled."""
    assert plain_post(head) is None


class Heard:
    """What the parser says."""

    def __init__(self) -> None:
        self.url = b""
        self.ended = False

    def on_url(self, url: bytes) -> None:
        """A piece of it."""
        self.url += url

    def on_message_complete(self) -> None:
        """It ended."""
        self.ended = True


NAMES = st.sampled_from(
    [b"Content-Length", b"content-length", b"Connection", b"Host", b"Transfer-Encoding", b"X-A"]
)
VALUES = st.sampled_from(
    [b"0", b"3", b" 3", b"3 ", b"+3", b"keep-alive", b"close", b"chunked", b"", b"a b", b"\t3"]
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5), st.sampled_from([b"\r\n", b"\r\n ", b"\n"]))
def test_what_is_read_here_ends_where_the_parser_says(lines, end):
    """Whatever headers come together."""
    head = b"POST /a HTTP/1.1\r\n" + b"".join(b"%s:%s%s" % (*line, end) for line in lines) + b"\r\n"
    found = read(head)
    if found is None:
        return
    _, _, body = found
    heard = Heard()
    parser = httptools.HttpRequestParser(heard)
    parser.feed_data(head + b"z" * max(0, body - 1))
    assert (b"/a", body == 0) == (heard.url, heard.ended)
    if body:
        parser.feed_data(b"z")
    assert heard.ended
    assert parser.should_keep_alive()
