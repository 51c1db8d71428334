"""Who is let in, and what it costs when nobody is asked."""

from __future__ import annotations

import pytest

from tintype.access.door import AccessPolicy, Door, LimitPolicy, Visitor
from tintype.access.keyring import Keyring
from tintype.access.keys import Scope
from tintype.access.limits import MemoryLimiter
from tintype.errors import Forbidden, RateLimited, SettingsError, Unauthorized

HERE = "192.0.2.1"


@pytest.fixture
async def keyring(store, clock):
    async with Keyring(store, session_seconds=3600, clock=clock) as keyring:
        yield keyring


def door(keyring, clock, *, mode: str = "auto", **limits) -> Door:
    return Door(
        keyring,
        policy=AccessPolicy(mode=mode),
        limits=LimitPolicy(**limits),
        limiter=MemoryLimiter(clock=clock),
    )


async def test_the_door_shuts_with_the_first_key_and_stays_shut(keyring, store, add, clock):
    """Also when the last key is revoked."""
    it = door(keyring, clock)
    assert it.stands_open
    add()
    await keyring.sync()
    assert not it.stands_open
    store.revoke("ann", now=1.0)
    await keyring.sync()
    assert it.asks_for_keys
    with pytest.raises(Unauthorized):
        it.enter(Visitor(address=HERE), Scope.PREDICT)


async def test_an_unknown_mode_is_refused(keyring, clock):
    """A slip must not open the door."""
    with pytest.raises(SettingsError, match=r"access\.mode is 'yes', expected one of auto, on, of"):
        door(keyring, clock, mode="yes")


async def test_a_key_does_what_its_scopes_say(keyring, add, clock):
    """And admin everything."""
    it = door(keyring, clock)
    predict, _ = add("ann", Scope.PREDICT)
    admin, _ = add("root", Scope.ADMIN)
    await keyring.sync()
    assert "ann" == it.enter(Visitor(address=HERE, key=predict.encode()), Scope.PREDICT).name
    assert "root" == it.enter(Visitor(address=HERE, key=admin.encode()), Scope.FEEDBACK).name
    with pytest.raises(Forbidden, match="scopes predict, and admin is needed"):
        it.enter(Visitor(address=HERE, key=predict.encode()), Scope.ADMIN)


async def test_refused_requests_do_not_count_against_the_day(keyring, add, clock):
    """Only the minute refuses; the day is spared, and the key's last use is noted."""
    it = door(keyring, clock)
    _, key = add(per_minute=1, per_day=10)
    await keyring.sync()
    verdicts = [await it.take(key, HERE) for _ in range(3)]
    assert [None, "minute", "minute"] == [v.broken.name if v.broken else None for v in verdicts]
    assert 1 == keyring.used_today(key)


async def test_wrong_keys_are_counted_for_each_address(keyring, add, clock):
    """Somebody else's mistakes are not held against a neighbour."""
    add()
    await keyring.sync()
    it = door(keyring, clock, wrong_keys_per_minute=1)
    wrong = Visitor(address=HERE, key=b"x")
    for expected in (Unauthorized, RateLimited):
        with pytest.raises(expected):
            await it.known(wrong)
    with pytest.raises(Unauthorized):
        await it.known(Visitor(address="192.0.2.2", key=b"x"))


async def test_who_is_not_known_yet_is_looked_for(keyring, add, clock):
    """A key of a moment ago: the quick way does not know it, the other way does."""
    add("root")
    await keyring.sync()
    text, _ = add("ann", Scope.PREDICT)
    it, ann = door(keyring, clock), Visitor(address=HERE, key=text.encode())
    with pytest.raises(Unauthorized):
        it.enter(ann, Scope.PREDICT)
    with pytest.raises(Forbidden):
        await it.enter_late(ann, Scope.ADMIN)
    assert "ann" == (await it.enter_late(ann, Scope.PREDICT)).name
    assert "ann" == it.enter(ann, Scope.PREDICT).name


async def test_who_was_only_not_known_yet_is_no_wrong_key(keyring, add, clock):
    """It does not count against its address."""
    add("root")
    await keyring.sync()
    it = door(keyring, clock, wrong_keys_per_minute=1)
    for name in ("ann", "bob", "cid"):
        text, _ = add(name)
        assert name == (await it.known(Visitor(address=HERE, key=text.encode()))).name


async def test_where_no_key_is_asked_for_nobody_is_late(keyring, clock):
    """The door stands open both ways."""
    assert await door(keyring, clock).enter_late(Visitor(address=HERE), Scope.ADMIN) is None
