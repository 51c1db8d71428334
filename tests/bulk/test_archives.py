"""Archives come from strangers: members are read where they lie, within caps."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from tintype.bulk import archives
from tintype.bulk.archives import ArchiveLimits, is_archive, members
from tintype.errors import TintypeError

LIMITS = ArchiveLimits(member_bytes=1000, members=20)
FILES = {"cats/1.jpg": b"one", "cats/2.jpg": b"two", "dog.jpg": b"three"}


def make_zip(path: Path, files: dict[str, bytes], **options) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def make_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def read(path: Path, limits: ArchiveLimits = LIMITS) -> list[tuple[str, bytes | str]]:
    """Names below the archive with the bytes, or the slug of the error."""
    found = []
    for item in members(path, limits):
        try:
            told: bytes | str = item.read()
        except TintypeError as error:
            told = error.type
        found.append((item.name.removeprefix(f"{path}/"), told))
    return found


@pytest.mark.parametrize(
    "make",
    [
        lambda path: make_zip(path, FILES),
        lambda path: make_zip(path, FILES, compression=zipfile.ZIP_DEFLATED),
        lambda path: make_tar(path, FILES),
        lambda path: make_tar(path, FILES, "w:gz"),
    ],
)
def test_members_come_with_their_bytes_in_order(make, tmp_path):
    """The content says what it is, whatever the name."""
    path = make(tmp_path / "pictures.bin")
    assert is_archive(path)
    assert [*FILES.items()] == read(path)


def test_a_picture_is_no_archive(tmp_path):
    """Nor is what is not there."""
    (tmp_path / "a.zip").write_bytes(b"\xff\xd8\xff\xe0")
    assert not is_archive(tmp_path / "a.zip")
    assert not is_archive(tmp_path / "gone.zip")


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_names_are_no_paths(make, tmp_path, monkeypatch):
    """Nothing is written anywhere, whatever a member is called."""
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    path = make(tmp_path / "a", {"../../evil.jpg": b"x", "/etc/evil.jpg": b"y"})
    assert [b"x", b"y"] == [data for _, data in read(path)]
    assert [] == [*inside.iterdir()]
    assert [path] == [each for each in tmp_path.iterdir() if each != inside]


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_a_member_above_the_cap_is_told_and_stops_no_other(make, tmp_path):
    """By what it declares, before it is unpacked."""
    path = make(tmp_path / "a", {"big.jpg": bytes(1001), "fits.jpg": bytes(1000)})
    assert [("big.jpg", "body-too-large"), ("fits.jpg", bytes(1000))] == read(path)


def test_a_size_that_lies_is_not_believed(tmp_path):
    """A zip that unpacks to more than it says is stopped at the cap, or found damaged."""
    path = make_zip(tmp_path / "a.zip", {"a.jpg": bytes(100_000)}, compression=zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    path.write_bytes(data.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    ((_, told),) = read(path)
    assert told == "image-corrupt" or len(told) <= 1000


def test_links_and_devices_are_no_pictures(tmp_path):
    """Only files of the archive itself are read."""
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("l", tarfile.SYMTYPE), ("h", tarfile.LNKTYPE), ("d", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert [] == read(tmp_path / "a.tar")


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_what_systems_leave_behind_is_no_picture(make, tmp_path):
    """As in folders."""
    files = {"__MACOSX/._1.jpg": b"", ".DS_Store": b"", "a/Thumbs.db": b"", "./a/1.jpg": b"x"}
    assert [b"x"] == [data for _, data in read(make(tmp_path / "a", files))]


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_too_many_members_end_the_archive(make, tmp_path):
    """What came before is answered; the archive itself says why there is no more."""
    path = make(tmp_path / "a", {f"{number:02}.jpg": b"x" for number in range(30)})
    found = read(path)
    assert 21 == len(found)
    assert (str(path), "too-many-images") == found[-1]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("left", [3072, 3200, 4000])
def test_a_tar_cut_short_gives_what_it_has(tmp_path, mode, left):
    """And says that it is damaged, in the place of the rest: cut anywhere, also between members."""
    files = {f"{number}.jpg": bytes(900) for number in range(4)}
    path = make_tar(tmp_path / "a.tar", files)
    path.write_bytes(path.read_bytes()[:left])
    if mode == "w:gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    found = read(path)
    assert [("0.jpg", bytes(900)), ("1.jpg", bytes(900))] == found[:2]
    assert (str(path), "image-corrupt") == found[-1]


@pytest.mark.parametrize(
    "content", [b"\x1f\x8b not gzip", b"PK\x03\x04 no zip", b"x" * 257 + b"ustar"]
)
def test_what_only_begins_like_an_archive_is_one_error(content, tmp_path):
    """Never a traceback."""
    (tmp_path / "a").write_bytes(content)
    assert [(str(tmp_path / "a"), "image-corrupt")] == read(tmp_path / "a")


def test_a_packed_member_that_is_damaged_stops_no_other(tmp_path):
    """Its checksum tells."""
    path = make_zip(tmp_path / "a.zip", {"a.jpg": b"aaaaaaa", "b.jpg": b"bbbbbbb"})
    path.write_bytes(path.read_bytes().replace(b"aaaaaaa", b"aaaabaa"))
    assert [("a.jpg", "image-corrupt"), ("b.jpg", b"bbbbbbb")] == read(path)


def test_a_header_that_asks_for_much_memory_is_refused(tmp_path, monkeypatch):
    """Of a tar, a name of its own length; of a zip, its table."""
    monkeypatch.setattr(archives, "_MOST_AT_ONCE", 2000)
    long = tmp_path / "long.tar"
    with tarfile.open(long, "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("n" * 5000))
    table = make_zip(tmp_path / "a.zip", {f"{number}.jpg": b"" for number in range(100)})
    assert [(str(long), "body-too-large")] == read(long)
    assert [(str(table), "body-too-large")] == read(table)


def test_a_tar_of_many_members_is_a_stream(tmp_path):
    """What was given is not held: tarfile would keep the header of every member."""
    path = make_tar(tmp_path / "a.tar", {f"{number}.jpg": b"x" * 900 for number in range(2000)})
    limits = ArchiveLimits(member_bytes=1000)
    listed = members(path, limits)
    for _ in range(100):
        next(listed)
    tracemalloc.start()
    begun = tracemalloc.get_traced_memory()[0]
    for item in listed:
        assert 900 == item.size
    grown = tracemalloc.get_traced_memory()[0] - begun
    tracemalloc.stop()
    assert grown < 100_000
