"""What a running server knows of the keys, and how soon."""

from __future__ import annotations

import asyncio

import pytest

from tintype.access.keyring import Keyring
from tintype.access.store import KeyStore


@pytest.fixture
async def keyring(store, clock):
    """Entered, with sessions of an hour."""
    async with Keyring(store, session_seconds=3600, clock=clock) as keyring:
        yield keyring


async def test_a_key_that_is_added_while_running_is_found(keyring, add):
    """After the next look at the store."""
    text, _ = add()
    assert not keyring.has_keys
    await keyring.sync()
    assert "ann" == keyring.find(text.encode()).name


async def test_a_key_that_is_revoked_while_running_is_lost(keyring, store, add):
    """With the sessions that were opened with it; the door stays shut."""
    text, key = add()
    await keyring.sync()
    session = await keyring.open_session(key)
    assert "ann" == keyring.find_session(session.encode()).name
    store.revoke("ann", now=1.0)
    await keyring.sync()
    assert keyring.find(text.encode()) is None
    assert keyring.find_session(session.encode()) is None
    assert keyring.has_keys


async def test_a_key_past_its_time_is_lost_at_that_second(keyring, add, clock):
    """Without another look at the store; its sessions are too."""
    text, key = add(expires=clock.now + 10)
    await keyring.sync()
    session = await keyring.open_session(key)
    assert keyring.find(text.encode())
    clock.now += 10
    assert keyring.find(text.encode()) is None
    assert keyring.find_session(session.encode()) is None


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: t + "0", lambda t: t[:12] + "x" * 43]
)
async def test_a_wrong_secret_finds_nothing(keyring, add, change):
    """Though its id is right."""
    text, _ = add()
    await keyring.sync()
    assert keyring.find(change(text).encode()) is None


@pytest.mark.parametrize("text", [b"", b"x" * 10_000, "tt_ä".encode(), b"tt_" + b"A" * 48])
async def test_a_stranger_finds_nothing(keyring, add, text):
    """Whatever it sends, as a key or as a session."""
    add()
    await keyring.sync()
    assert keyring.find(text) is None
    assert keyring.find_session(text) is None


async def test_a_session_lasts_its_time_and_a_restart(keyring, add, clock, store):
    """It is kept in the store, as a digest."""
    _, key = add()
    await keyring.sync()
    text = (await keyring.open_session(key)).encode()
    assert text not in store.path.read_bytes()
    async with Keyring(store, session_seconds=3600, clock=clock) as again:
        assert "ann" == again.find_session(text).name
        clock.now += 3600
        assert again.find_session(text) is None


async def test_signing_out_ends_a_session(keyring, add):
    """At once, and no other."""
    _, key = add()
    await keyring.sync()
    one, two = [(await keyring.open_session(key)).encode() for _ in range(2)]
    await keyring.close_session(one)
    assert keyring.find_session(one) is None
    assert keyring.find_session(two)


async def test_counts_last_over_a_restart(keyring, add, store, clock):
    """And end with the day."""
    _, key = add()
    await keyring.sync()
    keyring.count(key, 3)
    assert 3 == keyring.used_today(key)
    await keyring.sync()
    keyring.count(key, 1)
    assert 4 == keyring.used_today(key)
    async with Keyring(store, session_seconds=3600, clock=clock) as again:
        assert 3 == again.used_today(key)
        clock.now += 43_200
        assert (0, 86_400) == (again.used_today(key), again.seconds_left_today())


async def test_leaving_writes_what_was_counted(store, add, clock):
    """A server that ends loses no count."""
    _, key = add()
    async with Keyring(store, session_seconds=3600, clock=clock) as keyring:
        keyring.count(key, 2)
    assert {key.id: 2} == store.used("2023-11-15")
    assert clock.now == store.all_keys()[0].last_used


async def test_a_store_that_fails_takes_no_key_away(keyring, add, store, logs):
    """What was known holds, counts go on, and the log says so once."""
    text, key = add()
    await keyring.sync()
    content = store.path.read_bytes()
    store.path.write_bytes(b"damaged" * 1000)
    keyring.count(key, 2)
    await keyring.sync()
    await keyring.sync()
    assert keyring.find(text.encode())
    assert 2 == keyring.used_today(key)
    assert 1 == len(logs)
    store.path.write_bytes(content)
    await keyring.sync()
    assert {key.id: 2} == store.used("2023-11-15")


async def test_a_store_that_is_gone_leaves_the_door_shut(keyring, add, store):
    """A lost disk is no server without keys."""
    add()
    await keyring.sync()
    store.path.unlink()
    await keyring.sync()
    assert keyring.has_keys


async def test_an_empty_folder_has_no_keys(tmp_path, clock):
    """And none is made."""
    async with Keyring(KeyStore(tmp_path / "no"), session_seconds=1, clock=clock) as keyring:
        assert not keyring.has_keys
    assert not (tmp_path / "no").exists()


class CountedStore(KeyStore):
    """Counts how often it is looked at."""

    def __init__(self, folder) -> None:
        super().__init__(folder)
        self.looks = 0

    def snapshot(self, *, known: int):
        """What it has."""
        self.looks += 1
        return super().snapshot(known=known)


async def test_who_signed_in_to_one_process_is_known_to_another_at_once(keyring, add, store, clock):
    """Without waiting for its next look; and so is a key that was just added."""
    _, key = add()
    await keyring.sync()
    async with Keyring(store, session_seconds=3600, clock=clock) as other:
        session = (await keyring.open_session(key)).encode()
        text, _ = add("bob")
        assert (None, None) == (other.find_session(session), other.find(text.encode()))
        assert await other.look_again()
        assert ("ann", "bob") == (
            other.find_session(session).name,
            other.find(text.encode()).name,
        )


async def test_a_crowd_of_strangers_does_not_hammer_the_disk(add, store, clock):
    """They share a look, however many they are; those that are too many get none."""
    add()
    counted = CountedStore(store.path.parent)
    async with Keyring(counted, session_seconds=3600, clock=clock) as keyring:
        counted.looks = 0
        told = await asyncio.gather(*(keyring.look_again() for _ in range(1000)))
    assert counted.looks <= 3  # one for all, one on leaving, and one by the clock
    assert {True, False} == set(told)


async def test_a_session_that_is_closed_is_told(keyring, add, store, clock):
    """Others look at once, and do not know it any more."""
    _, key = add()
    await keyring.sync()
    session = (await keyring.open_session(key)).encode()
    async with Keyring(store, session_seconds=3600, clock=clock) as other:
        keyring.when_closed(other.look_again)
        assert other.find_session(session)
        await keyring.close_session(session)
        assert other.find_session(session) is None


async def test_a_store_that_fails_finds_nobody(keyring, add, store):
    """Looking again is no error, and what was known holds."""
    text, _ = add()
    await keyring.sync()
    store.path.write_bytes(b"damaged" * 1000)
    assert await keyring.look_again()
    assert keyring.find(text.encode())


async def test_counts_of_processes_are_added(keyring, add, store, clock):
    """Whoever writes last overwrites nobody."""
    _, key = add()
    await keyring.sync()
    async with Keyring(store, session_seconds=3600, clock=clock) as other:
        for each, count in ((keyring, 3), (other, 4), (keyring, 5)):
            each.count(key, count)
            await each.sync()
        assert (12, 7) == (keyring.used_today(key), other.used_today(key))
        await other.sync()
        assert 12 == other.used_today(key)
    assert {key.id: 12} == store.used("2023-11-15")


async def test_whether_a_key_has_a_limit_a_minute(keyring, add, store):
    """One that was revoked has none."""
    add("ann", per_day=5)
    add("bob", per_minute=5)
    assert not keyring.has_rates
    await keyring.sync()
    assert keyring.has_rates
    store.revoke("bob", now=1.0)
    await keyring.sync()
    assert not keyring.has_rates
