"""Pictures in a bucket: against a small store that checks every signature by Amazon's rules."""

from __future__ import annotations

import hashlib

import pytest

from tintype.errors import SettingsError
from tintype.record.fake_store import KEY, SECRET, running_store
from tintype.record.picture_bucket import PictureBucket
from tintype.record.picture_place import picture_name, picture_place
from tintype.record.policy import PicturePolicy

NAME = picture_name("ab" + "0" * 62, "jpeg")


@pytest.fixture
def place(monkeypatch, tmp_path):
    """A bucket in a running store, and what the store holds."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with running_store() as (endpoint, objects):
        policy = PicturePolicy(place="s3://pets/kept/here", endpoint=endpoint)
        yield picture_place(policy, state=tmp_path), objects


def test_what_is_put_is_got_until_it_is_deleted(place):
    """Below the prefix, under its name; deleting twice is no error."""
    bucket, objects = place
    bucket.put(NAME, b"a picture")
    assert {f"/pets/kept/here/{NAME}": b"a picture"} == objects
    assert b"a picture" == bucket.get(NAME)
    bucket.delete(NAME)
    bucket.delete(NAME)
    assert {} == objects


def test_a_large_picture_is_whole(place):
    """25 MiB, the largest that a request may have: in parts or not, what comes out is the same."""
    bucket, objects = place
    large = hashlib.sha256(b"seed").digest() * (25 << 15)
    bucket.put(NAME, large)
    assert large == bucket.get(NAME)
    assert 1 == len(objects)


def test_what_the_store_refuses_is_an_error_of_the_system(place, monkeypatch, tmp_path):
    """What is not there, wrong keys, a store that is away: OSError, as of a disk."""
    bucket, _ = place
    with pytest.raises(OSError, match="store of pictures"):
        bucket.get(NAME)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with running_store() as (endpoint, _):
        other = picture_place(PicturePolicy(place="s3://b", endpoint=endpoint), state=tmp_path)
        with pytest.raises(OSError, match="store of pictures"):
            other.put(NAME, b"x")
    away = picture_place(
        PicturePolicy(place="s3://b", endpoint="http://127.0.0.1:9"), state=tmp_path
    )
    with pytest.raises(OSError, match="store of pictures"):
        away.delete(NAME)


@pytest.mark.parametrize(
    ("place", "endpoint"), [("s3://", "https://h"), ("s3://b", "h:9000"), ("s3://b", "ftp://h")]
)
def test_addresses_that_are_none_are_told(tmp_path, place, endpoint):
    """Before anything is served."""
    with pytest.raises(SettingsError, match="is no address"):
        picture_place(PicturePolicy(place=place, endpoint=endpoint), state=tmp_path)


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A machine without keys: no variables, no file of AWS, no role; the path of that file."""
    file = tmp_path / "credentials"
    for variable in ("ACCESS_KEY_ID", "ACCESS_KEY", "SECRET_ACCESS_KEY", "SECRET_KEY", "PROFILE"):
        monkeypatch.delenv(f"AWS_{variable}", raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/role")
    return file


@pytest.mark.usefixtures("nowhere")
def test_a_store_without_keys_is_told_at_once(tmp_path):
    """With what to set, before the first picture is lost."""
    policy = PicturePolicy(place="s3://pets", endpoint="https://store.example")
    with pytest.raises(SettingsError, match=r"no keys .* at store\.example") as raised:
        picture_place(policy, state=tmp_path)
    assert "AWS_ACCESS_KEY_ID" in raised.value.hint


def test_keys_may_lie_in_the_file_of_aws(nowhere, tmp_path):
    """And a file that is none is told."""
    policy = PicturePolicy(place="s3://pets", endpoint="https://store.example")
    nowhere.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    assert isinstance(picture_place(policy, state=tmp_path), PictureBucket)
    nowhere.write_text("no section")
    with pytest.raises(SettingsError, match="file of keys cannot be read"):
        picture_place(policy, state=tmp_path)
