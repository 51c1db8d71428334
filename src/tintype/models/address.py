"""The address of a server that runs a model, as a card writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_EXAMPLES = "expected grpc://HOST:8500 or http://HOST:8501"


def read_address(text: str, *, environment: Mapping[str, str]) -> str:
    """The address with its variables filled in: ``${NAME}``, or ``${NAME:-what else}``.

    Raises ValueError, in words, for a variable that is not set and for what is no address.
    """

    def value(match: re.Match[str]) -> str:
        name, otherwise = match[1], match[2]
        found = environment.get(name) or otherwise
        if found is None:
            raise ValueError(f"the variable {name} is not set, and {text!r} wants it")
        return found

    address = _VARIABLE.sub(value, text.strip())
    _check(address)
    return address


def _check(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme not in {"grpc", "grpcs", "http", "https"} or not parts.hostname:
        raise ValueError(f"{address!r} is no address; {_EXAMPLES}")
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{address!r}: {error}; {_EXAMPLES}") from error
    if parts.scheme.startswith("grpc") and port is None:
        raise ValueError(f"{address!r} has no port; {_EXAMPLES}")
    if parts.scheme.startswith("grpc") and parts.path.strip("/"):
        raise ValueError(f"{address!r} has a path, which gRPC has not; {_EXAMPLES}")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"{address!r} has more than a host, a port and a path; {_EXAMPLES}")
