"""Behind a proxy: the caller's address and scheme as the trusted proxies tell them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from tintype.access.addresses import (
    Network,
    forwarded_hops,
    is_trusted,
    read_networks,
    real_peer,
    x_forwarded_hops,
)
from tintype.errors import SettingsError

FORWARDING_HEADERS: Final = frozenset({b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via"})
_PASSED_ON: Final = frozenset({b"x-forwarded-for", b"forwarded", b"x-real-ip"})
_HEADERS: Final = ("x-forwarded-for", "forwarded")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedProxies:
    """The proxies' addresses, and the one header they tell the caller's address in.

    One, because a proxy that writes ``X-Forwarded-For`` passes ``Forwarded`` on as the caller
    wrote it, and the other way round.
    """

    networks: tuple[Network, ...] = ()
    header: str = "x-forwarded-for"


def trusted_proxies(addresses: tuple[str, ...], *, header: str) -> TrustedProxies:
    """Read the two settings. Raises SettingsError."""
    if header.lower() not in _HEADERS:
        raise SettingsError(
            f"server.forwarded_header is {header!r}, expected {' or '.join(_HEADERS)}"
        )
    return TrustedProxies(networks=read_networks(addresses), header=header.lower())


class Forwarded:
    """Middleware: puts the real caller where the connection's other end stood.

    A request that was passed on by somebody who is not trusted is told in the log, once.
    """

    def __init__(self, app: ASGIApp, *, proxies: TrustedProxies) -> None:
        self._app = app
        self._proxies = proxies
        self._told_of_stranger = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the caller's own address and scheme."""
        client, networks = scope.get("client"), self._proxies.networks
        if client and networks and is_trusted(client[0], networks):
            changes = self._told(client[0], scope)
            scope = {**scope, **changes}
        elif not self._told_of_stranger and _is_passed_on(scope):
            self._told_of_stranger = True
            _tell_of_stranger(scope)
        await self._app(scope, receive, send)

    def _told(self, address: str, scope: Scope) -> Mapping[str, object]:
        headers = scope["headers"]

        def values(name: str) -> list[str]:
            return [value.decode("latin-1") for key, value in headers if key == name.encode()]

        if self._proxies.header == "forwarded":
            hops = forwarded_hops(values("forwarded"))
        else:
            hops = x_forwarded_hops(values("x-forwarded-for"), values("x-forwarded-proto"))
        peer = real_peer(address, hops, trusted=self._proxies.networks)
        return {"client": (peer.address, 0), "scheme": peer.scheme or scope["scheme"]}


def _is_passed_on(scope: Scope) -> bool:
    """Whether a proxy before this server has touched the request, or somebody says so."""
    return not _PASSED_ON.isdisjoint(dict(scope.get("headers", ())))


def _tell_of_stranger(scope: Scope) -> None:
    client = scope.get("client")
    log.warning(
        "a proxy that is not trusted passes requests on",
        peer=client[0] if client else "unknown",
        meaning="all its callers count as one, and keys or limits of addresses hold for the proxy",
        hint="name the proxy in server.trusted_proxies, and make a key: tintype keys add NAME",
    )
