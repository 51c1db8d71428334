"""Which URLs and which addresses may be fetched from."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tintype.errors import InputNotAllowed, MalformedRequest, RequestError
from tintype.web.urls import Target, UrlPolicy, is_public, target_of

POLICY = UrlPolicy()


@pytest.mark.parametrize(
    ("url", "host_header", "path"),
    [
        ("https://example.org", "example.org", "/"),
        (
            "https://example.org/a/cat.jpg?size=2&x=%20#part",
            "example.org",
            "/a/cat.jpg?size=2&x=%20",
        ),
        ("HTTPS://Example.ORG:443/", "example.org", "/"),
        ("https://example.org/grün/猫.jpg?q=ü", "example.org", "/gr%C3%BCn/%E7%8C%AB.jpg?q=%C3%BC"),
        ("https://[2606:4700::1]/x", "[2606:4700::1]", "/x"),
        ("https://93.184.216.34/x", "93.184.216.34", "/x"),
        ("https://xn--mnchen-3ya.de/", "xn--mnchen-3ya.de", "/"),
        ("https://example.org//double", "example.org", "//double"),
    ],
)
def test_a_plain_url_is_taken_apart(url, host_header, path):
    """Host in small letters, the path in ASCII, no fragment."""
    target = target_of(url, policy=POLICY)
    assert ("https", host_header, path) == (target.scheme, target.host_header, target.path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "https:///x",
        "https://exa mple.org/",
        "https://example.org/a b",
        "https://example.org/\r\nHost: evil",
        "https://exam\tple.org/",
        "https://example.org\\@127.0.0.1/",
        "https://example.org:port/",
        "https://example.org:99999/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[v1.x]/",
        "https://münchen.de/",
        "https://\u2488.\u2488/",
        "https://127。0。0。1/",
        "https://-x.org/",
        "https://" + "a" * 300 + "/",
        "https://example.org/" + "a" * 5000,
        "https://exam%70le.org/",
    ],
)
def test_what_is_not_plain_is_malformed(url):
    """Blanks, control letters, backslashes, other alphabets in the host, what has no end."""
    with pytest.raises(MalformedRequest, match="cannot be read"):
        target_of(url, policy=POLICY)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "file:///etc/passwd",
        "ftp://example.org/",
        "gopher://example.org/",
        "data:image/png;base64,AAAA",
        "//example.org/x",
        "example.org/x",
        "https://user@example.org/",
        "https://user:secret@example.org/",
        "https://example.org:22/",
        "https://example.org:8443/",
        "https://@/",
    ],
)
def test_what_the_policy_does_not_allow_is_refused(url):
    """Another scheme, another port, a user."""
    with pytest.raises(InputNotAllowed):
        target_of(url, policy=POLICY)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("pictures.example.org", True),
        ("PICTURES.example.org.", True),
        ("a.cdn.example.org", True),
        ("a.b.cdn.example.org", True),
        ("cdn.example.org", False),
        ("evilcdn.example.org", False),
        ("example.org", False),
        ("pictures.example.org.evil.org", False),
        ("x-pictures.example.org", False),
    ],
)
def test_hosts_may_be_named(host, allowed):
    """A name is that name; a star is everything below a name, and not the name itself."""
    policy = UrlPolicy(hosts=("pictures.example.org", "*.cdn.example.org"))
    try:
        target_of(f"https://{host}/", policy=policy)
    except InputNotAllowed:
        assert not allowed
    else:
        assert allowed


@given(st.text() | st.text("htps:/.@[]%\\#?:0127", max_size=40).map("https://{}".format))
def test_any_text_is_a_target_or_refused(url):
    """Nothing but our own errors escapes; what passes is safe to write into a request."""
    try:
        target = target_of(url, policy=POLICY)
    except RequestError:
        return
    assert (443, True) == (target.port, target.path.startswith("/"))
    for part in (target.path, target.host_header):
        assert part.isascii()
        assert part.isprintable()
        assert " " not in part


PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.9",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::127.0.0.1",
    "::93.184.216.34",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::5db8:d822",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:5db8:d822::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2606:4700::1%1",
    "",
    "localhost",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_the_public_internet_is_refused(address):
    """This machine, private networks, the clouds' metadata, groups, and all their disguises."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "93.184.216.34",
        "172.15.0.1",
        "172.32.0.1",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
    ],
)
def test_the_public_internet_is_allowed(address):
    """Also from behind a translator."""
    assert is_public(address)


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_public(address):
    """Our tables are never wider than Python's; mapped addresses count as what they carry."""
    inner = getattr(address, "ipv4_mapped", None) or address
    if isinstance(inner, ipaddress.IPv6Address) and inner in ipaddress.ip_network("64:ff9b::/96"):
        return
    if is_public(str(address)):
        assert inner.is_global
        assert not inner.is_multicast


def test_a_target_is_told_as_a_url_again():
    """A redirect is read against it."""
    target = Target(scheme="http", host="::1", port=81, path="/a?b")
    assert "http://[::1]:81/a?b" == target.url
