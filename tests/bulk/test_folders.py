"""Files below folders come by name, and patterns find what a shell would."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tintype.bulk import folders
from tintype.bulk.folders import files_below, is_pattern, matching


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two folders, files beside them, and what is no picture."""
    for name in ("b/2.jpg", "b/10.jpg", "a/x/deep.png", "c.jpg", ".hidden/1.jpg", "b/Thumbs.db"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(tree: Path, found) -> list[str]:
    return [str(path.relative_to(tree)) for path in found]


def test_files_come_by_name(tree):
    """Folder by folder; hidden files and litter are left out."""
    assert ["a/x/deep.png", "b/10.jpg", "b/2.jpg", "c.jpg"] == names(tree, files_below(tree))


def test_links_to_folders_are_not_followed(tree):
    """They may lead round in a ring; links to files are files, also where they lead nowhere."""
    (tree / "ring").symlink_to(tree)
    (tree / "z.jpg").symlink_to(tree / "c.jpg")
    (tree / "zz.jpg").symlink_to(tree / "gone.jpg")
    assert ["c.jpg", "z.jpg", "zz.jpg"] == names(tree, files_below(tree))[-3:]


def test_a_pipe_is_no_picture(tree):
    """Reading it would wait for ever."""
    os.mkfifo(tree / "pipe.jpg")
    assert "pipe.jpg" not in names(tree, files_below(tree))


def test_a_large_folder_is_read_some_names_at_a_time(tree, monkeypatch):
    """The order is the same, however few names are held."""
    for number in range(50):
        (tree / f"{number * 7 % 50:02}.jpg").touch()
    monkeypatch.setattr(folders, "_HELD", 8)
    assert [f"{number:02}.jpg" for number in range(50)] == names(tree, files_below(tree))[:50]
    assert 54 == len(names(tree, files_below(tree)))


def test_a_very_deep_tree_is_walked(tmp_path):
    """Deeper than Python would call."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    found = [path for path in files_below(tmp_path) if path.suffix]
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)  # too deep for pytest
    assert [] == found


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.jpg", ["c.jpg"]),
        ("b/*.jpg", ["b/10.jpg", "b/2.jpg"]),
        ("b/?.jpg", ["b/2.jpg"]),
        ("b/[0-9].jpg", ["b/2.jpg"]),
        ("*", ["a", "b", "c.jpg"]),
        ("**/*.png", ["a/x/deep.png"]),
        ("**/*.jpg", ["c.jpg", "b/10.jpg", "b/2.jpg"]),
        ("a/*/deep.png", ["a/x/deep.png"]),
        (".h*/*.jpg", [".hidden/1.jpg"]),
        ("*/nothing", []),
        ("nowhere/*.jpg", []),
    ],
)
def test_patterns_find_what_a_shell_would(tree, pattern, found):
    """By name; nothing hidden unless it is asked for."""
    assert found == names(tree, matching(str(tree / pattern)))


def test_what_a_pattern_is():
    """A name with a wildcard in it."""
    assert [True, True, False] == [is_pattern(text) for text in ("a*", "[ab]", "a b")]
