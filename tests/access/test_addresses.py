"""Who asks, behind proxies that may be believed and callers that may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tintype.access.addresses import (
    Hop,
    caller_name,
    forwarded_hops,
    is_loopback,
    read_address,
    read_networks,
    real_peer,
    x_forwarded_hops,
)
from tintype.errors import SettingsError

PROXIES = read_networks(("10.0.0.0/8", "::1"))


def told(connection: str, header: str) -> str:
    return real_peer(connection, x_forwarded_hops([header], []), trusted=PROXIES).address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("1.2.3.4:80", "1.2.3.4"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("fe80::1%eth0", "fe80::1"),
        ("unknown", "None"),
        ("_hidden", "None"),
        ("", "None"),
        ("1.2.3.4.5", "None"),
        ("999.1.1.1", "None"),
        ("\uff11.2.3.4", "None"),
    ],
)
def test_addresses_in_every_form(text, expected):
    """With ports and brackets; what is none is none."""
    assert expected == str(read_address(text))


def test_ipv6_is_counted_by_its_prefix():
    """A customer has a whole /64, and must not have 2^64 limits."""
    assert caller_name("2001:db8::1") == caller_name("2001:db8::ffff:1")
    assert caller_name("2001:db8::1") != caller_name("2001:db8:0:1::1")
    assert "1.2.3.4" == caller_name("::ffff:1.2.3.4")


def test_this_machine_has_many_names():
    """All of 127/8, ::1, and localhost."""
    assert all(map(is_loopback, ["127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "", "localhost.example.org"]))


def test_a_stranger_is_not_believed():
    """Whatever it says of itself."""
    assert "5.5.5.5" == told("5.5.5.5", "1.1.1.1")


def test_a_trusted_proxy_is_believed():
    """It put the caller's address at the right end."""
    assert "7.7.7.7" == told("10.0.0.1", "7.7.7.7")


def test_what_the_caller_wrote_itself_is_not_believed():
    """It stands to the left of what the proxy added."""
    assert "7.7.7.7" == told("10.0.0.1", "1.1.1.1, 127.0.0.1, 7.7.7.7")


def test_proxies_behind_proxies_are_walked_through():
    """As long as each is trusted."""
    assert "7.7.7.7" == told("::1", "6.6.6.6, 7.7.7.7, 10.0.0.9, 10.0.0.8")


def test_a_caller_among_the_proxies_is_the_last_that_was_told():
    """All are trusted: the outermost is it."""
    assert "10.0.0.9" == told("10.0.0.1", "10.0.0.9")


@pytest.mark.parametrize("header", ["", ",", "unknown", "7.7.7.7, unknown", "7.7.7.7, <b>"])
def test_what_is_no_address_ends_the_walk(header):
    """At the proxy that told it: nothing to its left may be believed."""
    assert "10.0.0.1" == told("10.0.0.1", header)


def test_several_headers_are_one_list():
    """In their order."""
    hops = x_forwarded_hops(["1.1.1.1", "7.7.7.7"], [])
    assert "7.7.7.7" == real_peer("10.0.0.1", hops, trusted=PROXIES).address


def test_the_scheme_is_the_nearest_proxys_word():
    """A caller's own stands to the left; another word than http or https is none."""
    hops = x_forwarded_hops(["7.7.7.7"], ["http, https"])
    assert "https" == real_peer("10.0.0.1", hops, trusted=PROXIES).scheme
    hops = x_forwarded_hops(["7.7.7.7"], ["gopher"])
    assert "" == real_peer("10.0.0.1", hops, trusted=PROXIES).scheme
    assert "" == real_peer("5.5.5.5", x_forwarded_hops(["7.7.7.7"], ["https"]), trusted=()).scheme


def test_forwarded_is_read_as_its_standard_says():
    """RFC 7239: pairs in any case and order, quoted addresses with ports, several elements."""
    hops = forwarded_hops(
        ["for=192.0.2.60;proto=http;by=203.0.113.43", 'For="[2001:db8:cafe::17]:4711";Proto=HTTPS']
    )
    assert (Hop(address="192.0.2.60", scheme="http"),) == hops[:1]
    assert (Hop(address="[2001:db8:cafe::17]:4711", scheme="https"),) == hops[1:]


def test_a_comma_in_quotes_parts_nothing():
    """What a caller put into quotes cannot become an element of its own."""
    hops = forwarded_hops(['for="1.1.1.1, for=2.2.2.2"', "for=7.7.7.7"])
    assert ["7.7.7.7"] == [hop.address for hop in hops if read_address(hop.address)]
    assert "7.7.7.7" == real_peer("10.0.0.1", hops, trusted=PROXIES).address


@given(st.text(max_size=60), st.text(max_size=20))
def test_no_header_is_an_error(header, scheme):
    """Whatever is in it."""
    for hops in (x_forwarded_hops([header], [scheme]), forwarded_hops([header])):
        real_peer("10.0.0.1", hops, trusted=PROXIES)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "proxy.example.org", "", "*"])
def test_a_network_that_is_none_is_refused(text):
    """With a bit set that is outside its prefix, too: a slip that would trust too many."""
    with pytest.raises(SettingsError, match=r"server\.trusted_proxies"):
        read_networks((text,))
