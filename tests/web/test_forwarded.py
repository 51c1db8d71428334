"""What is told of proxies; whom they name is tested with access."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from tintype.access.addresses import read_networks
from tintype.web.forwarded import Forwarded, TrustedProxies


async def told(*headers: tuple[bytes, bytes], trusted: tuple[str, ...] = (), times: int = 1):
    """The log after requests with these headers, from 127.0.0.1."""

    async def app(scope, receive, send) -> None:
        """Answers nothing."""

    proxies = TrustedProxies(networks=read_networks(trusted))
    middleware = Forwarded(app, proxies=proxies)
    scope = {"type": "http", "client": ("127.0.0.1", 1), "scheme": "http", "headers": [*headers]}
    with capture_logs() as lines:
        for _ in range(times):
            await middleware(scope, None, None)
    return lines


@pytest.mark.parametrize("name", [b"x-forwarded-for", b"forwarded", b"x-real-ip"])
async def test_a_proxy_that_is_not_trusted_is_told_once(name):
    """With its address and what to do; never with what the header says."""
    (line,) = await told((name, b"203.0.113.9"), times=3)
    assert ("warning", "127.0.0.1") == (line["log_level"], line["peer"])
    assert "server.trusted_proxies" in line["hint"]
    assert "203.0.113.9" not in str(line)


async def test_nothing_is_told_of_a_trusted_proxy_nor_of_a_caller():
    """The one is known, the other is no proxy."""
    passed_on = (b"x-forwarded-for", b"203.0.113.9")
    assert [] == await told(passed_on, trusted=("127.0.0.1",))
    assert [] == await told((b"user-agent", b"curl"))
