"""HTTP with a deadline for the whole exchange, on connections that are kept.

``http.client`` speaks; its sockets allow a time for each read, so a remote that drips could hold a
thread for ever. Here what is left until the deadline is allowed before every read.

Not ``wire.http_exchange``, which bounds whatever a stranger may send and closes the connection
after one answer. This address is the operator's own: every batch is asked over it, in megabytes of
JSON, so connections are kept and ``http.client``, the quickest of what Python has, reads them.
"""

from __future__ import annotations

import http.client
import io
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import SplitResult

_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
_MOST_KEPT = 64


class NotConnected(OSError):
    """No connection could be had: nothing was sent."""


class TooMuch(ValueError):
    """The answer has more bytes than allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """An answer read to its end."""

    status: int
    body: bytes


class HttpClient:
    """Sends requests to one address, from several threads. Raises OSError and HTTPException."""

    def __init__(
        self, address: SplitResult, *, max_bytes: int, tls: ssl.SSLContext | None = None
    ) -> None:
        self._address = address
        self._tls = tls
        self._max_bytes = max_bytes
        self._kept: deque[http.client.HTTPConnection] = deque()
        self._closed = False

    def ask(self, method: str, path: str, *, body: bytes | None, timeout: float) -> HttpAnswer:
        """One exchange. Raises TimeoutError, NotConnected, TooMuch, OSError, HTTPException."""
        ends = time.monotonic() + timeout
        connection = self._connection(ends)
        try:
            _allow(connection.sock, ends)
            headers: Mapping[str, str] = _JSON
            connection.request(method, f"{self._address.path}{path}", body, headers)
            connection.sock = cast("socket.socket", _Timed(connection.sock, ends))
            response = connection.getresponse()
            content = _read(response, max_bytes=self._max_bytes)
        except BaseException:
            connection.close()
            raise
        if self._closed or response.will_close or len(self._kept) >= _MOST_KEPT:
            connection.close()
        else:
            connection.sock = cast("_Timed", connection.sock).plain
            self._kept.append(connection)
        return HttpAnswer(status=response.status, body=content)

    def close(self) -> None:
        """Close the connections that are not in use, and the others after their use."""
        self._closed = True
        while self._kept:
            self._kept.pop().close()

    def _connection(self, ends: float) -> http.client.HTTPConnection:
        while self._kept:
            try:
                connection = self._kept.pop()
            except IndexError:  # another thread was faster
                break
            if not select.select([connection.sock], [], [], 0)[0]:
                return connection
            connection.close()  # closed by the other side meanwhile
        return self._connect(ends)

    def _connect(self, ends: float) -> http.client.HTTPConnection:
        """A new connection. Raises NotConnected, TimeoutError."""
        host, port = self._address.hostname or "", self._address.port
        left = max(0.001, ends - time.monotonic())
        connection: http.client.HTTPConnection
        if self._tls is not None:
            connection = http.client.HTTPSConnection(host, port, timeout=left, context=self._tls)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=left)
        try:
            connection.connect()
        except TimeoutError:
            raise
        except OSError as error:
            raise NotConnected(*error.args) from error
        return connection


class _Timed:
    """A socket as ``http.client`` reads from it, with a deadline for all reads together."""

    def __init__(self, plain: socket.socket, ends: float) -> None:
        self.plain = plain
        self._ends = ends

    def makefile(self, mode: str) -> io.BufferedReader:
        """The stream an answer is read from; "rb" is all that is asked for."""
        del mode
        return io.BufferedReader(_TimedReads(self.plain.makefile("rb", buffering=0), self))

    def allow(self) -> None:
        """Allow the next read what is left."""
        _allow(self.plain, self._ends)

    def close(self) -> None:
        """Close the socket."""
        self.plain.close()


class _TimedReads(io.RawIOBase):
    def __init__(self, raw: Any, timed: _Timed) -> None:
        self._raw = raw
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._timed.allow()
        return cast("int | None", self._raw.readinto(buffer))

    def close(self) -> None:
        self._raw.close()
        super().close()


def _allow(plain: socket.socket, ends: float) -> None:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is over")
    plain.settimeout(left)


def _read(response: http.client.HTTPResponse, *, max_bytes: int) -> bytes:
    """All of an answer. Raises TooMuch, IncompleteRead where it ended before its length."""
    content = response.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise TooMuch(f"the answer has more than {max_bytes} bytes")
    if response.length:
        raise http.client.IncompleteRead(content, response.length)
    return content
