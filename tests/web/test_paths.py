"""Pictures by path: what lies beneath an allowed folder is read, and nothing else."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tintype.errors import (
    BodyTooLarge,
    InputDisabled,
    InputNotAllowed,
    InputUnreachable,
    MalformedRequest,
    SettingsError,
    TintypeError,
)
from tintype.web.paths import allowed_roots, read_path

LIMIT = 1 << 20
SECRET = b"nobody may read this"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``pictures/`` is allowed, ``secret`` beside it is not."""
    (tmp_path / "secret").write_bytes(SECRET)
    pictures = tmp_path / "pictures"
    (pictures / "2026").mkdir(parents=True)
    (pictures / "cat.jpg").write_bytes(b"cat")
    (pictures / "2026/dog.jpg").write_bytes(b"dog")
    return pictures


@pytest.fixture
def read(folder: Path):
    roots = allowed_roots([str(folder)])

    def read(text: object) -> bytes:
        return read_path(str(text), roots=roots, limit=LIMIT)

    return read


@pytest.mark.parametrize(
    "text", ["2026/dog.jpg", "./2026//dog.jpg", "2026/./dog.jpg", "{}/2026/dog.jpg"]
)
def test_a_file_beneath_the_folder_is_read(read, folder, text):
    """By its name from the folder on, or by its whole path."""
    assert b"dog" == read(text.format(folder))


@pytest.mark.parametrize(
    "text",
    [
        "../secret",
        "2026/../../secret",
        "2026/../cat.jpg",
        "{}/../secret",
        "{}-secret",
        "/etc/passwd",
        "//etc/passwd",
        "/proc/self/environ",
        "/",
        ".",
        "./",
        "{}",
        "{}/",
        "..",
    ],
)
def test_what_is_not_beneath_it_is_refused(read, folder, text):
    """Also a '..' that would stay inside: there is no need for one. Folders are no pictures."""
    (folder.parent / "pictures-secret").write_bytes(SECRET)
    with pytest.raises(InputNotAllowed) as caught:
        read(text.format(folder))
    assert str(folder.parent) not in caught.value.message + str(caught.value.hint)


@pytest.mark.parametrize("text", ["", "\0", "cat.jpg\0.png", "\ud800", "a" * 5000, "é" * 2100])
def test_what_can_be_no_path_is_malformed(read, text):
    """Empty, with a zero byte, no text of the system's encoding, or longer than any path."""
    with pytest.raises(MalformedRequest, match="can be no path"):
        read(text)


@pytest.mark.parametrize("text", ["nix.jpg", "2026/nix.jpg", "nix/cat.jpg", "%2e%2e/secret", "~"])
def test_a_file_that_is_not_there_is_told(read, text):
    """Nothing is decoded or expanded in a path: these are names like any other."""
    with pytest.raises(InputUnreachable, match="no such file"):
        read(text)


def test_a_name_longer_than_the_system_takes_is_told(read):
    """A single name of 300 letters."""
    with pytest.raises(InputUnreachable, match="cannot be read"):
        read("a" * 300)


def test_names_may_have_any_letters(read, folder):
    """Umlauts, pictographs, spaces, line ends, and bytes that are no UTF-8."""
    for name in ("grün 猫\n😀.jpg", os.fsdecode(b"old-\xfc.jpg"), "-rf", "a\\b", "..."):
        (folder / name).write_bytes(b"here")
        assert b"here" == read(name)


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", "cat.jpg", "link", "nowhere"])
def test_no_link_is_followed(read, folder, target):
    """Wherever it leads: outside, inside, to itself, to nothing."""
    (folder / "link").symlink_to(target)
    with pytest.raises(InputNotAllowed, match="link"):
        read("link")


@pytest.mark.parametrize("target", ["..", "/", "2026", "."])
def test_no_link_on_the_way_is_followed(read, folder, target):
    """A folder that is a link leads nowhere."""
    (folder / "way").symlink_to(target)
    with pytest.raises(InputNotAllowed, match="link"):
        read("way/secret")


def test_a_file_is_no_folder(read):
    """A path that goes on beyond a file."""
    with pytest.raises(InputNotAllowed, match="link or a file"):
        read("cat.jpg/x")


def test_the_folder_itself_may_be_a_link(folder, tmp_path):
    """It is the operator's own; files go by the name of the link, and by where it leads."""
    (tmp_path / "current").symlink_to(folder)
    roots = allowed_roots([str(tmp_path / "current")])
    for text in ("cat.jpg", tmp_path / "current/cat.jpg", folder / "cat.jpg"):
        assert b"cat" == read_path(str(text), roots=roots, limit=LIMIT)


def test_a_queue_is_refused_without_waiting_for_its_writer(read, folder):
    """Opening a FIFO would block for ever."""
    os.mkfifo(folder / "fifo")
    with pytest.raises(InputNotAllowed, match="no regular file"):
        read("fifo")


def test_sockets_and_folders_are_refused(read, folder, monkeypatch):
    """Only regular files are opened."""
    monkeypatch.chdir(folder)  # a socket's path may be only about a hundred bytes long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for name in ("socket", "2026"):
            with pytest.raises(InputNotAllowed, match="no regular file"):
                read(name)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices here")
def test_devices_are_refused():
    """Where the operator allows such a folder: /dev/zero has no end."""
    roots = allowed_roots(["/dev"])
    for name in ("zero", "null", "tty"):
        with pytest.raises(InputNotAllowed, match="no regular file"):
            read_path(name, roots=roots, limit=LIMIT)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
@pytest.mark.parametrize("text", ["{}/environ", "{}/root/etc/passwd", "{}/cwd/x", "self/environ"])
def test_files_of_proc_are_refused(text):
    """Its files say that they are empty, its links lead out."""
    roots = allowed_roots(["/proc"])
    with pytest.raises((InputNotAllowed, InputUnreachable)):
        read_path(text.format(os.getpid()), roots=roots, limit=LIMIT)


def test_a_huge_file_is_refused_before_it_is_read(read, folder):
    """A sparse file of a tebibyte; the size and the limit are told."""
    with (folder / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(BodyTooLarge) as caught:
        read("huge")
    assert {"limit": LIMIT, "actual": 1 << 40} == caught.value.facts


def test_a_file_of_just_the_limit_is_read(read, folder):
    """One byte more is too many."""
    (folder / "full").write_bytes(bytes(LIMIT))
    assert LIMIT == len(read("full"))
    (folder / "more").write_bytes(bytes(LIMIT + 1))
    with pytest.raises(BodyTooLarge):
        read("more")


def test_an_empty_file_is_told(read, folder):
    """There is no picture in it."""
    (folder / "empty").touch()
    with pytest.raises(InputUnreachable, match="empty"):
        read("empty")


def test_several_folders_are_looked_through_in_turn(folder, tmp_path):
    """A name may lie in any; the first that has it answers."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more/bird.jpg").write_bytes(b"bird")
    (tmp_path / "more/cat.jpg").write_bytes(b"another cat")
    roots = allowed_roots([str(folder), str(tmp_path / "more")])
    assert (b"cat", b"bird", b"bird", b"another cat") == tuple(
        read_path(text, roots=roots, limit=LIMIT)
        for text in (
            "cat.jpg",
            "bird.jpg",
            f"{tmp_path}/more/bird.jpg",
            f"{tmp_path}/more/cat.jpg",
        )
    )


def test_nothing_is_read_where_nothing_is_allowed():
    """The default."""
    with pytest.raises(InputDisabled, match="not switched on"):
        read_path("/etc/passwd", roots=(), limit=LIMIT)


def test_a_relative_folder_lies_in_the_working_folder(folder, monkeypatch):
    """As it was when the server started: a later change of folder moves nothing."""
    monkeypatch.chdir(folder.parent)
    roots = allowed_roots(["pictures"])
    monkeypatch.chdir("/")
    assert b"cat" == read_path("cat.jpg", roots=roots, limit=LIMIT)
    assert b"cat" == read_path(str(folder / "cat.jpg"), roots=roots, limit=LIMIT)


@pytest.mark.parametrize("wrong", ["nix", "secret", "/", "loop", "a\0b"])
def test_a_folder_that_cannot_be_one_is_told_at_start(folder, monkeypatch, wrong):
    """Absent, a file, the whole disk, a link to itself, no path."""
    monkeypatch.chdir(folder.parent)
    Path("loop").symlink_to("loop")
    with pytest.raises(SettingsError, match=r"inputs\.paths"):
        allowed_roots([wrong])


def test_a_folder_that_goes_away_has_no_files(folder, read):
    """The operator moved it; nobody gets a traceback."""
    folder.rename(folder.with_name("moved"))
    with pytest.raises(InputUnreachable, match="no such file"):
        read("cat.jpg")


def test_a_file_nobody_may_read_is_told(read, folder):
    """Without the system's own words, which name the whole path."""
    (folder / "mine").write_bytes(SECRET)
    (folder / "mine").chmod(0)
    if os.access(folder / "mine", os.R_OK):  # root reads everything: there is no such file for it
        assert SECRET == read("mine")
        return
    with pytest.raises(InputUnreachable, match="may not read"):
        read("mine")


@pytest.mark.parametrize("victim", ["way", "way/file"])
def test_a_race_never_leads_out(folder, read, victim):
    """A name that turns from a file or folder into a link and back, thousands of times."""
    (folder / "way").mkdir()
    (folder / "way/file").write_bytes(b"inside")
    (folder.parent / "file").write_bytes(SECRET)
    target = folder.parent if victim == "way" else folder.parent / "file"
    good, link = folder / "good", folder / "link"
    stop = threading.Event()

    def swap() -> None:
        link.symlink_to(target)
        while not stop.is_set():
            (folder / victim).rename(good)
            link.rename(folder / victim)
            (folder / victim).rename(link)
            good.rename(folder / victim)

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen: set[object] = set()
    try:
        for _ in range(3000):
            try:
                seen.add(read("way/file"))
            except (InputNotAllowed, InputUnreachable) as error:
                seen.add(type(error))
    finally:
        stop.set()
        swapper.join()
    assert SECRET not in seen
    assert {b"inside", InputNotAllowed, InputUnreachable} >= seen


@given(
    st.text() | st.lists(st.sampled_from(["..", ".", "/", "a", "\0", "", "x/y", "~"])).map("/".join)
)
def test_any_text_gives_bytes_from_inside_or_a_clear_error(tmp_path_factory, text):
    """Whatever is asked, nothing but our own errors escapes."""
    folder = _fixed(tmp_path_factory)
    roots = allowed_roots([str(folder)])
    try:
        assert b"inside" == read_path(text, roots=roots, limit=LIMIT)
    except TintypeError as error:
        assert str(folder) not in error.message  # noqa: PT017 - either way is right


def _fixed(factory: pytest.TempPathFactory) -> Path:
    """One folder for every example."""
    folder = factory.getbasetemp() / "any"
    (folder / "x").mkdir(parents=True, exist_ok=True)
    (folder / "x/y").write_bytes(b"inside")
    (folder / "a").write_bytes(b"inside")
    (folder.parent / "secret").write_bytes(SECRET)
    return folder
