"""API keys: their form, their digest, what they allow."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tintype.access.keys import (
    Key,
    Scope,
    check_name,
    digest_of,
    id_of,
    is_text_of,
    new_text,
)
from tintype.errors import SettingsError

KEY = Key(id="abcdefgh", name="ann", digest=digest_of(b"x"), scopes=frozenset({Scope.PREDICT}))


def test_a_key_is_one_plain_word_with_256_bits():
    """Letters and digits, so that a double click takes it whole."""
    text = new_text()
    assert re.fullmatch(r"tt_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}", text)
    assert text[3:11] == id_of(text.encode())
    assert 43 * 5.95 > 255


def test_no_two_keys_are_alike():
    """Neither their ids nor their secrets."""
    texts = {new_text() for _ in range(200)}
    assert (200, 200) == (len(texts), len({text[12:] for text in texts}))


@given(st.binary(max_size=100))
def test_what_is_no_key_has_no_id(text):
    """Whatever bytes a stranger sends."""
    assert id_of(text) is None
    assert not is_text_of(text, None)


def test_only_the_text_itself_is_the_text_of_a_key():
    """Not one with a letter changed, cut or added."""
    text = new_text().encode()
    key = replace(KEY, digest=digest_of(text))
    assert is_text_of(text, key)
    assert not is_text_of(text[:-1] + b"\x00", key)
    assert not is_text_of(text[:-1], key)
    assert not is_text_of(text + b"0", key)


def test_a_missing_key_is_as_wrong_as_a_wrong_one():
    """The digest of nobody is no way in, even for whoever finds its text."""
    assert not is_text_of(b"x", replace(KEY, digest=digest_of(b"y")))
    assert not is_text_of(b"x", None)


def test_admin_may_do_everything():
    """The other scopes do only what they say."""
    admin = replace(KEY, scopes=frozenset({Scope.ADMIN}))
    assert [True, True, True] == [admin.allows(scope) for scope in Scope]
    assert [True, False, False] == [KEY.allows(scope) for scope in Scope]


def test_a_key_holds_until_its_time_or_its_end():
    """At the very second it expires it holds no more."""
    assert KEY.holds(5)
    assert replace(KEY, expires=10.0).holds(9.9)
    assert not replace(KEY, expires=10.0).holds(10.0)
    assert not replace(KEY, revoked=1.0).holds(5)


@pytest.mark.parametrize("name", ["a", "ann@work", "camera 3", "müller", "a" * 64])
def test_names_for_people_are_taken(name):
    """Words, addresses, numbers."""
    assert name == check_name(name)


@pytest.mark.parametrize("name", ["", " a", "a ", "-a", "a\nb", "a\x1b[0m", "a" * 65, "a/b", "<a>"])
def test_names_that_would_spoil_a_log_are_refused(name):
    """Or that the command line would take for a flag."""
    with pytest.raises(SettingsError, match="no name for a key"):
        check_name(name)
