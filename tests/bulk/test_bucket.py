"""Pictures in a bucket, against a small store that checks every signature."""

from __future__ import annotations

import pytest

from tintype.bulk.bucket import open_store
from tintype.errors import TintypeError
from tintype.record.fake_store import KEY, SECRET, running_store


@pytest.fixture
def store(monkeypatch):
    """A store with eight objects, of which it lists three at a time."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with running_store() as (endpoint, objects):
        for key in ("cats/1.jpg", "cats/2 b.jpg", "cats/3.jpg", "cats/4.jpg", "cats/.x", "dog.jpg"):
            objects[f"/pets/{key}"] = key.encode()
        objects["/pets/cats/empty/"] = b""
        objects["/pets/cats-old/9.jpg"] = b"nine"
        yield open_store(endpoint, max_bytes=20)


def test_everything_below_a_prefix_is_listed_by_key(store):
    """Page after page; not what only begins with the same letters, is hidden, or is a folder."""
    items = [*store.objects("s3://pets/cats")]
    assert [
        "s3://pets/cats/1.jpg",
        "s3://pets/cats/2 b.jpg",
        "s3://pets/cats/3.jpg",
        "s3://pets/cats/4.jpg",
    ] == [item.name for item in items]
    assert b"cats/2 b.jpg" == items[1].read()
    assert 12 == items[1].size
    assert 6 == len([*store.objects("s3://pets")])


def test_an_object_is_got_by_its_address(store):
    """As a line of a list names it."""
    assert b"dog.jpg" == store.one("s3://pets/dog.jpg").read()


@pytest.mark.parametrize("address", ["s3://pets/gone.jpg", "s3://pets", "s3:///x"])
def test_what_is_not_there_is_an_error_of_that_picture(store, address):
    """And of no other."""
    with pytest.raises(TintypeError) as told:
        store.one(address).read()
    assert "input-unreachable" == told.value.type


def test_an_object_above_the_cap_is_told(store):
    """Whatever was listed."""
    (item,) = store.objects("s3://pets/cats-old/9.jpg")
    assert b"nine" == item.read()
    with running_store() as (endpoint, objects):
        objects["/pets/a"] = b"abc"
        one = open_store(endpoint, max_bytes=2).one("s3://pets/a")
        with pytest.raises(TintypeError, match="more than 2 bytes"):
            one.read()


@pytest.mark.usefixtures("store")
def test_a_store_that_is_away_or_refuses_stops_the_work(monkeypatch):
    """It says nothing of the picture: OSError, as of a disk."""
    away = open_store("http://127.0.0.1:9", max_bytes=9)
    with pytest.raises(OSError, match="store"):
        away.one("s3://pets/dog.jpg").read()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with running_store() as (endpoint, _), pytest.raises(OSError, match="store"):
        list(open_store(endpoint, max_bytes=9).objects("s3://pets"))
