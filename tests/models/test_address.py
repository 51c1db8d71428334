"""Addresses of servers as cards write them."""

from __future__ import annotations

import pytest

from tintype.models.address import read_address


@pytest.mark.parametrize(
    "text",
    [
        "grpc://localhost:8500",
        "grpcs://serving.example:443",
        "http://127.0.0.1:8501",
        "https://serving.example/models",
        "grpc://[::1]:8500",
    ],
)
def test_an_address_is_taken_as_it_is(text: str):
    """In either language, plain or over TLS."""
    assert text == read_address(text, environment={})


def test_variables_are_filled_in():
    """Of the environment; what stands behind :- where one is not set, or is empty."""
    text = "grpc://${APP_TFSERVING_HOST:-localhost}:${APP_TFSERVING_PORT:-8500}"
    assert "grpc://localhost:8500" == read_address(text, environment={"APP_TFSERVING_PORT": ""})
    given = {"APP_TFSERVING_HOST": "serving", "APP_TFSERVING_PORT": "9000"}
    assert "grpc://serving:9000" == read_address(text, environment=given)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("localhost:8500", "is no address"),
        ("ftp://localhost:8500", "is no address"),
        ("grpc://:8500", "is no address"),
        ("grpc://localhost", "has no port"),
        ("grpc://localhost:eight", "localhost:eight"),
        ("grpc://localhost:99999", "99999"),
        ("grpc://localhost:8500/v1", "has a path"),
        ("http://me:secret@localhost:8501", "more than a host"),
        ("http://localhost:8501/?a=b", "more than a host"),
        ("grpc://${NOT_SET}:8500", "NOT_SET is not set"),
    ],
)
def test_what_is_no_address_is_refused(text: str, words: str):
    """With what was expected."""
    with pytest.raises(ValueError, match=words):
        read_address(text, environment={})
