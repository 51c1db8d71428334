from __future__ import annotations

import pickle

import pytest

from tintype.errors import ModelFileTooLarge, UnsafeModel
from tintype.modelfiles.safety import (
    DeclaredBytes,
    archive_member,
    beside,
    is_pickle,
    pickled_names,
    read_small,
)


def test_declared_bytes_add_up_to_the_limit():
    """The tensor that goes above the limit is named, before any memory is set aside."""
    budget = DeclaredBytes(100)

    assert budget.add((2, None, 5), 4, what="first") == 40
    with pytest.raises(ModelFileTooLarge, match="'second'"):
        budget.add((1 << 40, 1 << 40), 4, what="'second'")


@pytest.mark.parametrize(
    "location", ["../x", "/etc/passwd", "a/../../x", "C:\\x", "..\\x", "", "a\0b", "link/x"]
)
def test_files_outside_the_folder_are_refused(tmp_path, location):
    """No model reads what does not lie beside it, not even through a link."""
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path)
    with pytest.raises(UnsafeModel, match="outside its own folder"):
        beside(inside, location, what="it")


def test_files_beside_are_allowed(tmp_path):
    """A name and a subfolder are fine."""
    assert tmp_path.resolve() / "w" / "x.bin" == beside(tmp_path, "w/x.bin", what="it")


@pytest.mark.parametrize("text", [b"cat\ndog\n", b"(a)\n", b"[]", b"{}", b"", b"c", b"]}"])
def test_short_texts_are_no_pickles(text):
    """Texts that begin with an opcode's letter are not mistaken."""
    assert not is_pickle(text)


def test_names_a_pickle_would_import_are_read():
    """The opcodes tell what opening it would call."""
    assert "builtins.eval" in pickled_names(pickle.dumps(eval))


def test_a_member_above_the_limit_is_not_unpacked(write, zipped):
    """A bomb inside an archive counts as absent."""
    path = write("a.zip", zipped({"big": b"x" * 1000, "small": b"y"}))

    assert archive_member(path, "big", limit=999) is None
    assert archive_member(path, "small", limit=999) == b"y"
    assert archive_member(path, "absent", limit=999) is None


def test_small_files_only(write):
    """Above the limit nothing is kept."""
    path = write("a.txt", b"12345")

    assert read_small(path, 5) == b"12345"
    with pytest.raises(ModelFileTooLarge):
        read_small(path, 4)
