"""Which URLs a picture may be fetched from, and which network addresses. Pure: nothing is asked.

The check of a URL decides about its words; the check of an address decides about the place. Both
are asked again for every redirect. The address that was checked is the one that is connected to,
so a name that changes its meaning in between (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from tintype.errors import InputNotAllowed, MalformedRequest

_LONGEST_URL: Final = 4096
_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})")
_PORTS: Final = {"http": 80, "https": 443}
_KEPT: Final = "/%:@!$&'()*+,;=~-._?"
_HINT: Final = "the operator's settings are inputs.url_schemes, inputs.url_ports, inputs.url_hosts"

# What Python's own tables did not know in every version that is served here; the rest of what is
# not global it knows. IANA's registries of special-purpose addresses, RFC 6890 and its updates.
_NOT_PUBLIC_V4: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",  # the clouds' metadata, 169.254.169.254
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",  # multicast, reserved, broadcast
        ),
    )
)
_PUBLIC_V6: Final = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_V6: Final = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # Teredo and other protocols
            "2001:db8::/32",
            "2002::/16",  # 6to4: an IPv4 address in IPv6 clothes
            "3fff::/20",
        ),
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlPolicy:
    """Which URLs may be asked for. No ``hosts`` allow every host on the public internet.

    ``hosts`` are names, or ``*.name`` for everything below a name.
    """

    schemes: tuple[str, ...] = ("https",)
    ports: tuple[int, ...] = (443,)
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to connect to and what to ask for there. ``path`` has the query; all of it ASCII."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        """The host as HTTP tells it: an IPv6 address in brackets, the port where it is unusual."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The target as a URL again, to resolve a redirect against."""
        return f"{self.scheme}://{self.host_header}{self.path}"


def target_of(url: str, *, policy: UrlPolicy) -> Target:
    """Take a URL apart. Raises MalformedRequest, and InputNotAllowed for what the policy forbids.

    What is not plain is refused: users and passwords, backslashes, blanks, letters beyond ASCII in
    the host, zones of IPv6 addresses.
    """
    if not 0 < len(url) <= _LONGEST_URL or not url.isprintable() or set(url) & {" ", "\\"}:
        raise _malformed()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _malformed() from None
    scheme = parts.scheme
    if scheme not in policy.schemes:
        allowed = " or ".join(policy.schemes)
        raise InputNotAllowed(f"the URL must begin with {allowed}:", hint=_HINT)
    if "@" in parts.netloc:
        raise InputNotAllowed("the URL has a user or a password in it", hint="leave it out")
    host = _host(parts.hostname or "", bracketed="[" in parts.netloc)
    port = _PORTS[scheme] if port is None else port
    if port not in policy.ports:
        allowed = ", ".join(map(str, policy.ports))
        raise InputNotAllowed(f"port {port} is not allowed, expected {allowed}", hint=_HINT)
    if policy.hosts and not any(_matches(host, entry) for entry in policy.hosts):
        raise InputNotAllowed("this host is not among those that are allowed", hint=_HINT)
    path = quote(parts.path or "/", safe=_KEPT)
    query = f"?{quote(parts.query, safe=_KEPT)}" if parts.query else ""
    return Target(scheme=scheme, host=host, port=port, path=path + query)


def _host(host: str, *, bracketed: bool) -> str:
    if bracketed:
        try:
            return str(ipaddress.IPv6Address(host if "%" not in host else ""))
        except ValueError:
            raise _malformed() from None
    if not _HOST.fullmatch(host):
        raise _malformed()
    return host.lower()


def _matches(host: str, entry: str) -> bool:
    host, entry = host.rstrip("."), entry.rstrip(".").lower()
    return host.endswith(entry[1:]) if entry.startswith("*.") else host == entry


def _malformed() -> MalformedRequest:
    return MalformedRequest(
        "the url cannot be read",
        hint="an address such as https://example.org/cat.jpg; a host's other letters as xn--",
    )


def is_public(address: str) -> bool:
    """Whether a network address (as text) lies on the public internet.

    An IPv4 address inside an IPv6 one counts as what it is: mapped (``::ffff:127.0.0.1``), or
    behind NAT64. Other ways of carrying one (6to4, Teredo, ``::127.0.0.1``) are not public.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # no address at all, or one with a zone: fe80::1%eth0
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is None:
            return _is_public_v6(found)
        found = inner
    return found.is_global and not any(found in network for network in _NOT_PUBLIC_V4)


def _is_public_v6(address: ipaddress.IPv6Address) -> bool:
    return (
        address.is_global
        and address.scope_id is None
        and address in _PUBLIC_V6
        and not any(address in network for network in _NOT_PUBLIC_V6)
    )
