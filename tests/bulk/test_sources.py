"""Sources as a person names them come to one stream of pictures."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from tintype.bulk.items import Item
from tintype.bulk.sources import Sources, Store
from tintype.errors import SettingsError, TintypeError


def no_store() -> Store:
    raise AssertionError("no store was asked for")


def sources(*named: object, **options) -> Sources:
    options = {"max_bytes": 100, "store": no_store, **options}
    return Sources(named=tuple(map(str, named)), **options)


def names(found: Sources, folder: Path) -> list[str]:
    return [item.name.removeprefix(f"{folder}/") for item in found.items()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures in folders, and a tar beside them."""
    for name in ("a/1.jpg", "a/2.png", "b/3.jpg", "4.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    with tarfile.open(tmp_path / "z.tar", "w") as archive:
        for name in ("in/5.jpg", "in/6.png"):
            info = tarfile.TarInfo(name)
            info.size = 2
            archive.addfile(info, io.BytesIO(b"xy"))
    return tmp_path


def test_sources_come_in_the_order_they_are_named(folder):
    """A folder, a pattern, a file and an archive."""
    found = sources(folder / "b", folder / "a/*.png", folder / "z.tar", folder / "4.jpg")
    found.check()
    assert ["b/3.jpg", "a/2.png", "z.tar/in/5.jpg", "z.tar/in/6.png", "4.jpg"] == names(
        found, folder
    )


def test_items_give_their_bytes_and_sizes(folder):
    """Of files and of members."""
    items = [*sources(folder / "a", folder / "z.tar").items()]
    assert [b"a/1.jpg", b"a/2.png", b"xy", b"xy"] == [item.read() for item in items]
    assert [7, 7, 2, 2] == [item.size for item in items]


def test_an_archive_below_a_folder_is_a_file_like_others(folder):
    """It is opened only where somebody named it."""
    assert "z.tar" == names(sources(folder), folder)[-1]


def test_include_and_exclude_are_for_what_lies_below(folder):
    """A file that is named itself is wanted. With a slash, the whole path must fit."""
    every = (folder / "a", folder / "b", folder / "z.tar", folder / "4.jpg")
    assert ["a/2.png", "z.tar/in/6.png", "4.jpg"] == names(
        sources(*every, include=("*.png",)), folder
    )
    assert ["b/3.jpg", "z.tar/in/5.jpg", "4.jpg"] == names(
        sources(*every, exclude=("*.png", "*/a/*")), folder
    )


def test_a_list_is_a_path_a_line(folder, tmp_path):
    """Empty lines say nothing; a name may be any bytes; a missing file is an item that fails."""
    strange = os.fsencode(tmp_path / "odd") + b"\xff.jpg"
    Path(os.fsdecode(strange)).write_bytes(b"odd")
    lines = [os.fsencode(folder / "4.jpg"), b"", strange + b"\r", os.fsencode(folder / "gone.jpg")]
    (tmp_path / "list.txt").write_bytes(b"\n".join(lines))
    found = sources(f"@{tmp_path / 'list.txt'}")
    assert ["4.jpg", "odd\\xff.jpg", "gone.jpg"] == names(found, folder)
    present, odd, gone = found.items()
    assert [b"4.jpg", b"odd"] == [present.read(), odd.read()]
    with pytest.raises(TintypeError, match="No such file") as told:
        gone.read()
    assert "input-unreachable" == told.value.type


def test_a_list_comes_from_standard_input(folder, monkeypatch):
    """As ``-``."""
    piped = io.TextIOWrapper(io.BytesIO(f"{folder}/4.jpg\n".encode()))
    monkeypatch.setattr("sys.stdin", piped)
    assert ["4.jpg"] == names(sources("-"), folder)


@pytest.mark.parametrize("line", ["", "a", "pipe", "nul\0byte"])
def test_lines_that_are_no_picture_fail_when_read(folder, line):
    """A folder, a pipe, an impossible name: an error each, and nobody waits."""
    os.mkfifo(folder / "pipe")
    (folder / "list").write_text(f"{folder}/{line}\n")
    (item,) = sources(f"@{folder / 'list'}").items()
    with pytest.raises(TintypeError):
        item.read()


def test_a_file_above_the_cap_is_told(folder):
    """It is not read whole."""
    (item,) = sources(folder / "4.jpg", max_bytes=3).items()
    with pytest.raises(TintypeError, match="more than 3 bytes"):
        item.read()


def test_stores_are_asked_for_what_lies_in_them(folder):
    """A prefix as a source, an object as a line of a list."""
    (folder / "list").write_text("s3://pets/one.jpg\n")

    def item(name: str) -> Item:
        return Item(name=name, size=1, read=bytes)

    store = Store(
        objects=lambda address: [item(f"{address}/{name}") for name in ("1.jpg", "2.txt")],
        one=item,
    )
    found = sources(
        "s3://pets/kept", f"@{folder / 'list'}", include=("*.jpg",), store=lambda: store
    )
    found.check()
    assert ["s3://pets/kept/1.jpg", "s3://pets/one.jpg"] == names(found, folder)


def test_a_store_that_cannot_be_opened_is_told_at_the_start(folder):
    """Not when the folders before it are done."""

    def no_keys() -> Store:
        raise SettingsError("no keys")

    with pytest.raises(SettingsError, match="no keys"):
        sources(folder / "a", "s3://pets", store=no_keys).check()


@pytest.mark.parametrize("name", ["gone", "gone.jpg", "*.gone", "@gone.txt"])
def test_a_source_that_is_not_there_is_told_at_the_start(folder, name):
    """A slip in a name must not cost the hours before it."""
    text = f"@{folder / name[1:]}" if name[0] == "@" else folder / name
    with pytest.raises(SettingsError, match="there is no"):
        sources(folder, text).check()


def test_pictures_are_counted_where_that_is_cheap(folder):
    """An archive must be gone through, and standard input comes once."""
    (folder / "list").write_text("1\n2\n\n3\n")
    assert 7 == sources(folder / "a", folder / "4.jpg", folder / "b", f"@{folder}/list").count()
    assert 1 == sources(folder / "a", include=("*.png",)).count()
    assert None is sources(folder / "a", folder / "z.tar").count()
    assert None is sources(folder / "*.tar").count()
    assert None is sources("-").count()
