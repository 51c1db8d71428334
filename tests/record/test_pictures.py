"""Pictures are kept when asked for, stripped, bounded, and deleted with their prediction."""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from tintype.errors import ImageInvalid, SettingsError
from tintype.record import pictures as keeping
from tintype.record import store
from tintype.record.fake import PETS, FakeRequest, predicted
from tintype.record.picture_place import PictureFolder, picture_name, picture_place
from tintype.record.pictures import PictureKeeper
from tintype.record.place import Place
from tintype.record.policy import PicturePolicy, RecordPolicy
from tintype.record.recorder import Recorder
from tintype.record.tables import pictures


def bare(image: bytes, *, kind: str, orientation: int) -> bytes:
    """Stands for the stripping: the tests of the imaging part prove that."""
    assert ("jpeg", 6) == (kind, orientation)
    if image.startswith(b"odd"):
        raise ImageInvalid("cannot be followed")
    return b"bare " + image


@contextmanager
def keeper(place: Place, folder: Path, **policy):
    """A running keeper and its record."""
    chosen = PicturePolicy(keep=True, **policy)
    with Recorder(place, state=folder, policy=RecordPolicy()) as record:
        record.know([PETS])
        where = PictureFolder(folder / "pictures")
        with PictureKeeper(record, place=where, policy=chosen, strip=bare) as one:
            yield record, one


def send(record: Recorder, one: PictureKeeper, image: bytes) -> str:
    """A prediction of a picture; its id."""
    prediction = predicted(sha256=hashlib.sha256(image).hexdigest())
    request = FakeRequest(image=image)
    record.answered(request, prediction)
    one.answered(request, prediction)
    return prediction.id


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (folder / "pictures").rglob("*") if p.is_file()}


async def test_a_picture_is_kept_once_and_stripped(place: Place, tmp_path: Path):
    """Named by the hash of what was sent, for its owner only."""
    with keeper(place, tmp_path) as (record, one):
        first, _ = send(record, one, b"one"), send(record, one, b"one")
        send(record, one, b"two")
    digest = hashlib.sha256(b"one").hexdigest()
    assert {b"bare one", b"bare two"} == {*files(tmp_path).values()}
    kept = tmp_path / "pictures" / digest[:2] / f"{digest}.jpg"
    assert 0o600 == kept.stat().st_mode & 0o777
    with keeper(place, tmp_path) as (record, _):
        assert (await record.find(first)).image.kept


async def test_what_cannot_be_stripped_is_not_kept(place: Place, tmp_path: Path):
    """It may hold anything."""
    with keeper(place, tmp_path) as (record, one):
        send(record, one, b"odd")
        send(record, one, b"sound")
    assert {b"bare sound"} == {*files(tmp_path).values()}
    assert 1 == one.dropped


async def test_a_picture_goes_with_its_last_prediction(place: Place, tmp_path: Path):
    """Not before: another prediction may be of the same picture."""
    with keeper(place, tmp_path) as (record, one):
        first, second = send(record, one, b"one"), send(record, one, b"one")
        await record.forget(first)
    assert {b"bare one"} == {*files(tmp_path).values()}
    with keeper(place, tmp_path) as (record, _):
        await record.forget(second)
    assert {} == files(tmp_path)


async def test_a_prediction_deleted_before_its_picture_was_written_leaves_none(
    place: Place, tmp_path: Path
):
    """The row is only made for a prediction that is there."""
    with Recorder(place, state=tmp_path, policy=RecordPolicy()) as record:
        record.know([PETS])
        where = PictureFolder(tmp_path / "pictures")
        one = PictureKeeper(record, place=where, policy=PicturePolicy(keep=True), strip=bare)
        await record.forget(send(record, one, b"one"))
        with one:
            pass
    assert {} == files(tmp_path)


async def test_the_oldest_go_when_it_is_too_old_or_too_much(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By age, then by size, the oldest first."""
    monkeypatch.setattr(keeping, "_FIRST_SWEEP_SECONDS", 0.0)
    with keeper(place, tmp_path) as (record, one):
        for name in (b"old", b"mid", b"new"):
            send(record, one, name * 200_000)
    ages = {b"old": 1, b"mid": 2_000_000_000_000, b"new": 2_000_000_000_001}
    with Recorder(place, state=tmp_path, policy=RecordPolicy()) as record:
        for name, at_ms in ages.items():
            digest = hashlib.sha256(name * 200_000).hexdigest()
            statement = pictures.update().where(pictures.c.sha256 == digest).values(at_ms=at_ms)
            await record.ask(lambda c, statement=statement: c.execute(statement))
    with keeper(place, tmp_path, keep_days=1):
        pass
    assert [b"bare mid", b"bare new"] == sorted(data[:8] for data in files(tmp_path).values())
    with keeper(place, tmp_path, keep_days=0, max_mib=1):
        pass
    assert [b"bare new"] == [data[:8] for data in files(tmp_path).values()]


async def test_a_place_that_cannot_be_written_stops_nobody(tmp_path: Path, logs: list):
    """Counted, told once; no row is left without its file; kept again when it can be."""
    blocked = tmp_path / "pictures"
    blocked.write_text("a file where the folder should be")
    with keeper(tmp_path / "record.db", tmp_path) as (record, one):
        for number in range(3):
            send(record, one, b"%d" % number)
    assert 3 == one.dropped
    assert ["pictures cannot be kept or deleted; predictions go on"] == [e["event"] for e in logs]
    blocked.unlink()
    with keeper(tmp_path / "record.db", tmp_path) as (record, one):
        assert 0 == await record.ask(lambda c: store.count(c, pictures))
        send(record, one, b"1")
    assert {b"bare 1"} == {*files(tmp_path).values()}


async def test_bytes_that_wait_are_bounded(tmp_path: Path):
    """A slow disk drops pictures; memory stays small."""
    with Recorder(tmp_path / "record.db", state=tmp_path, policy=RecordPolicy()) as record:
        where = PictureFolder(tmp_path / "pictures")
        one = PictureKeeper(record, place=where, policy=PicturePolicy(keep=True), strip=bare)
        image = bytes(keeping.MOST_BYTES // 4)
        for _ in range(6):
            one.answered(FakeRequest(image=image), replace(predicted()))
    assert 2 == one.dropped


async def test_nothing_is_kept_unless_asked_for(tmp_path: Path):
    """The default."""
    before = threading.active_count()
    with Recorder(tmp_path / "record.db", state=tmp_path, policy=RecordPolicy()) as record:
        where = PictureFolder(tmp_path / "pictures")
        with PictureKeeper(record, place=where, policy=PicturePolicy(), strip=bare) as one:
            send(record, one, b"one")
    assert not (tmp_path / "pictures").exists()
    assert before == threading.active_count()


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "ab/" + "0" * 64 + ".jpg/../x", "", "ab/x.jpg"]
)
def test_a_name_that_no_picture_has_reaches_no_file(tmp_path: Path, name: str):
    """Paths are made of hashes only."""
    folder = PictureFolder(tmp_path)
    for act in (folder.get, folder.delete, lambda name: folder.put(name, b"")):
        with pytest.raises(FileNotFoundError):
            act(name)


def test_names_and_places(tmp_path: Path):
    """Spread over folders by the first two digits; a folder is named, or in the state folder."""
    digest = "ab" + "0" * 62
    assert f"ab/{digest}.jpg" == picture_name(digest, "mpo")
    assert f"ab/{digest}.webp" == picture_name(digest, "webp")
    chosen = picture_place(PicturePolicy(place=str(tmp_path / "mine")), state=tmp_path)
    chosen.put(picture_name(digest, "png"), b"x")
    assert (tmp_path / "mine/ab" / f"{digest}.png").is_file()
    with pytest.raises(SettingsError, match=r"pictures\.place"):
        picture_place(PicturePolicy(place="ftp://h/x"), state=tmp_path)
