"""Who is at the other end: addresses, and what trusted proxies say of them. No IO here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

from tintype.errors import SettingsError

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_IPV6_PREFIX: Final = 64
_MOST_HOPS: Final = 32
_PAIR: Final = re.compile(r"""\s*([\w!#$%&'*+.^`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s;,"]*)\s*""")


def read_address(text: str) -> Address | None:
    """An address with or without a port, in brackets or not; None where it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def caller_name(text: str) -> str:
    """What limits are counted under: the address; of IPv6 its /64, which one customer is given."""
    address = read_address(text)
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address), _IPV6_PREFIX), strict=False))
    return str(address) if address is not None else text[:64]


def is_loopback(text: str) -> bool:
    """Whether the address is this machine's own."""
    if text == "localhost":
        return True
    address = read_address(text)
    return address is not None and address.is_loopback


def read_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks such as ``10.0.0.0/8``. Raises SettingsError."""
    networks = []
    for text in texts:
        try:
            networks.append(ip_network(text))
        except ValueError as error:
            raise SettingsError(
                f"server.trusted_proxies: {text!r} is no address and no network: {error}",
                hint='such as ["127.0.0.1", "10.0.0.0/8", "fd00::/8"]',
            ) from error
    return tuple(networks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One proxy's word: who it was asked by, and by which scheme (empty where not told)."""

    address: str
    scheme: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who asks, as far as it can be trusted."""

    address: str
    scheme: str = ""


def real_peer(address: str, hops: tuple[Hop, ...], *, trusted: tuple[Network, ...]) -> Peer:
    """Walk from the connection outwards as long as those who speak are trusted.

    Each proxy adds at the right end whom it was asked by. The first address that is no trusted
    proxy is the caller, and everything to its left is only what the caller says. Something that
    is no address ends the walk at the proxy that told it.

    Args:
        address: the other end of the connection.
        hops: what the header tells, as it stands, from left to right.
        trusted: the proxies' own addresses.
    """
    scheme = ""
    for hop in reversed(hops[-_MOST_HOPS:]):
        if not _is_in(address, trusted):
            break
        if read_address(hop.address) is None:
            break
        address, scheme = hop.address, hop.scheme or scheme
    found = read_address(address)
    return Peer(address=str(found) if found is not None else address, scheme=scheme)


def is_trusted(address: str, trusted: tuple[Network, ...]) -> bool:
    """Whether the address is that of a trusted proxy."""
    return _is_in(address, trusted)


def _is_in(address: str, networks: tuple[Network, ...]) -> bool:
    found = read_address(address)
    return found is not None and any(
        found.version == network.version and found in network for network in networks
    )


def x_forwarded_hops(values: Iterable[str], schemes: Iterable[str]) -> tuple[Hop, ...]:
    """``X-Forwarded-For``; the last word of ``X-Forwarded-Proto`` is the nearest proxy's."""
    names = [name.strip() for name in ",".join(values).split(",")]
    told = [scheme.strip() for scheme in ",".join(schemes).split(",")][-1]
    last = len(names) - 1
    return tuple(
        Hop(address=name, scheme=_scheme(told) if index == last else "")
        for index, name in enumerate(names)
        if name
    )


def forwarded_hops(values: Iterable[str]) -> tuple[Hop, ...]:
    """``Forwarded`` (RFC 7239). What cannot be read is a hop without an address."""
    hops = []
    for element in re.findall(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+', ",".join(values)):
        pairs = {
            found[1].lower(): found[2].strip('"')
            for part in element.split(";")
            for found in (_PAIR.fullmatch(part),)
            if found
        }
        hops.append(Hop(address=pairs.get("for", ""), scheme=_scheme(pairs.get("proto", ""))))
    return tuple(hops)


def _scheme(text: str) -> str:
    return text.lower() if text.lower() in {"http", "https"} else ""
