"""What a client holds itself to, and where its server is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tintype.client.answers import Default
from tintype.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPolicy:
    """How long a call may take, how often it may be tried, and what is answered instead.

    ``seconds`` is for a call as a whole: name, connection, upload, waiting, answer, and every
    further try. ``retries`` are made only where the server has certainly done nothing yet.
    After ``rest_after`` calls in a row without an answer the server is left alone for
    ``rest_seconds``: meanwhile calls get their defaults at once; then one call tries again.
    """

    seconds: float = 2.0
    retries: int = 2
    rest_after: int = 5
    rest_seconds: float = 5.0
    defaults: Mapping[str, Default] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the server is. ``prefix``: the path under which a proxy has it, no slash at its end."""

    host: str
    port: int
    tls: bool
    prefix: str

    @property
    def host_header(self) -> str:
        """The host as HTTP tells it: an IPv6 address in brackets, the port where it is unusual."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def server_of(url: str) -> Server:
    """Read the address of a server, such as ``http://127.0.0.1:8000``. Raises SettingsError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in {"http", "https"} or parts.username or parts.query:
        raise SettingsError(
            f"the server's address is {url!r}, expected http:// or https:// and a host",
            hint="http://127.0.0.1:8000, say; a key goes into the client's headers",
        )
    tls = parts.scheme == "https"
    return Server(
        host=host,
        port=port or (443 if tls else 80),
        tls=tls,
        prefix=parts.path.rstrip("/"),
    )
