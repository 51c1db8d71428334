"""The file of keys: whole, private, shared between processes."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tintype.access.keys import Scope
from tintype.access.store import SESSIONS_PER_KEY, KeyStore, Session, Use
from tintype.errors import SettingsError

DAY = "2023-11-15"


def test_a_key_comes_back_as_it_was_kept(store, add):
    """Every field of it."""
    _, key = add("ann", Scope.FEEDBACK, Scope.ADMIN, per_minute=3, per_day=9, expires=5.0)
    assert (key,) == store.all_keys()


def test_the_text_of_a_key_is_nowhere_in_the_file(store, add):
    """Nor its secret part."""
    text, _ = add()
    content = store.path.read_bytes()
    assert text.encode() not in content
    assert text[12:].encode() not in content


def test_the_file_is_its_owners_alone(store, add):
    """And so is the folder that was made for it."""
    add()
    assert 0o600 == stat.S_IMODE(store.path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(store.path.parent.stat().st_mode)


def test_a_file_that_others_may_read_is_closed_to_them(store, add):
    """The next key that is added sees to it."""
    add()
    store.path.chmod(0o644)
    add("bob")
    assert 0o600 == stat.S_IMODE(store.path.stat().st_mode)


def test_reading_makes_no_file(store):
    """A server without keys leaves no trace."""
    assert () == store.all_keys()
    assert {} == store.add_use(Use(), day=DAY)
    assert 0 == store.snapshot(known=-1).revision
    assert not store.path.parent.exists()


def test_a_name_is_taken_once(store, add):
    """Until its key is revoked."""
    add("ann")
    with pytest.raises(SettingsError, match="there is a key 'ann' already"):
        add("ann")
    store.revoke("ann", now=1.0)
    add("ann")
    assert [1.0, None] == sorted((key.revoked for key in store.all_keys()), key=lambda x: x is None)


def test_a_key_is_revoked_by_name_or_id(store, add):
    """Its sessions end with it; nobody else's do."""
    _, ann = add("ann")
    _, bob = add("bob")
    for key in (ann, bob):
        store.open_session(Session(digest=key.digest, key=key.id, expires=99.0), now=1.0)
    store.revoke(ann.id, now=2.0)
    found = store.snapshot(known=-1)
    assert 2.0 == found.keys[ann.id].revoked
    assert [bob.digest] == list(found.sessions)


def test_an_unknown_name_tells_the_known_ones(store, add):
    """Those that can be revoked."""
    add("ann")
    with pytest.raises(SettingsError, match="there is no key 'nan'; there are: ann"):
        store.revoke("nan", now=1.0)


def test_sessions_are_bounded(store, add):
    """The oldest of a key go; so do all that are past their time."""
    _, key = add()
    store.open_session(Session(digest=b"old", key=key.id, expires=5.0), now=1.0)
    for number in range(SESSIONS_PER_KEY + 5):
        store.open_session(Session(digest=b"%d" % number, key=key.id, expires=99.0), now=6.0)
    kept = store.snapshot(known=-1).sessions
    assert {b"%d" % number for number in range(5, SESSIONS_PER_KEY + 5)} == set(kept)


def test_counts_add_up_over_processes(store, add):
    """Two servers that share the file count together."""
    _, key = add()
    other = KeyStore(store.path.parent)
    store.add_use(Use(requests={(key.id, DAY): 3}, last={key.id: 7.0}), day=DAY)
    assert {key.id: 5} == other.add_use(
        Use(requests={(key.id, DAY): 2}, last={key.id: 6.0}), day=DAY
    )
    assert {} == other.used("2023-11-16")
    assert 7.0 == store.all_keys()[0].last_used


def test_nothing_new_is_told_as_nothing(store, add):
    """Counting changes no revision; adding a key does."""
    _, key = add()
    known = store.snapshot(known=-1).revision
    store.add_use(Use(requests={(key.id, DAY): 3}), day=DAY)
    assert store.snapshot(known=known) is None
    add("bob")
    assert 2 == len(store.snapshot(known=known).keys)


def test_a_file_that_is_gone_is_an_error_for_who_knew_it(store, add):
    """A disk that was lost must not look like a server without keys."""
    add()
    known = store.snapshot(known=-1).revision
    store.path.unlink()
    with pytest.raises(SettingsError, match="is gone"):
        store.snapshot(known=known)


@pytest.mark.parametrize("content", [b"no database" * 100, b"SQLite format 3\x00" + bytes(200)])
def test_a_damaged_file_is_told_in_words(store, content):
    """Never read as a file without keys."""
    store.path.parent.mkdir()
    store.path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"cannot use the keys in .*keys\.db"):
        store.snapshot(known=-1)


def test_a_newer_file_is_left_alone(store, add):
    """Rather than understood wrongly."""
    add()
    with sqlite3.connect(store.path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(SettingsError, match="newer version"):
        store.all_keys()


def test_a_folder_that_cannot_be_made_is_told(tmp_path, add):
    """With the flag that names another."""
    (tmp_path / "file").write_bytes(b"")
    _, key = add()
    with pytest.raises(SettingsError, match="cannot write"):
        KeyStore(tmp_path / "file").add(replace(key, name="bob"))


def test_many_processes_make_keys_at_once(store):
    """The first of them makes the file; none is lost, none fails."""
    code = (
        "import sys; from pathlib import Path; from tintype.access.keys import *;"
        "from tintype.access.store import KeyStore; t = new_text().encode();"
        "KeyStore(Path(sys.argv[1])).add(Key(id=id_of(t), name=sys.argv[2], digest=digest_of(t),"
        " scopes=frozenset()))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(store.path.parent), f"k{number}"])
        for number in range(4)
    ]
    assert [0, 0, 0, 0] == [process.wait(60) for process in started]
    assert {"k0", "k1", "k2", "k3"} == {key.name for key in store.all_keys()}


def test_processes_that_begin_at_once_make_one_store(store, add):
    """None fails, and nothing that any of them keeps is lost."""
    with ThreadPoolExecutor(8) as threads:
        names = [f"key {number}" for number in range(8)]
        kept = [key for _, key in threads.map(add, names)]
        use = Use(requests={(key.id, "2023-11-15"): 2 for key in kept})
        [*threads.map(lambda _: store.add_use(use, day="2023-11-15"), names)]
    assert {*names} == {key.name for key in store.all_keys()}
    assert {16} == set(store.used("2023-11-15").values())
