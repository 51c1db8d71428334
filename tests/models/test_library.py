"""Paths become cards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tintype.errors import UnknownModelFormat
from tintype.models.library import find_cards

TFLITE = b"\x18\x00\x00\x00TFL3" + bytes(64)


def model(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(TFLITE)
    return path


def names(*paths: Path) -> list[str]:
    return [card.name for card in find_cards(paths)]


def test_a_file_is_a_model(tmp_path: Path):
    """Whatever its ending, what it is is told later."""
    assert ["flowers"] == names(model(tmp_path / "flowers.bin"))


def test_a_folder_with_a_card_is_one_model(tmp_path: Path):
    """The card decides, other files are not looked at."""
    model(tmp_path / "pets/a.tflite")
    model(tmp_path / "pets/b.tflite")
    (tmp_path / "pets/model.toml").write_text('file = "a.tflite"')
    assert ["pets"] == names(tmp_path / "pets")


def test_a_folder_of_models_is_all_of_them(tmp_path: Path):
    """Cards, bare files and SavedModels, in the order of their names; other files are passed."""
    model(tmp_path / "models/b.tflite")
    model(tmp_path / "models/a/x.tflite")
    (tmp_path / "models/a/model.toml").write_text('file = "x.tflite"')
    (tmp_path / "models/c").mkdir()
    (tmp_path / "models/c/saved_model.pb").write_bytes(b"")
    (tmp_path / "models/readme.txt").write_text("hello")
    (tmp_path / "models/.hidden").write_bytes(TFLITE)
    assert ["a", "b", "c"] == names(tmp_path / "models")


def test_two_of_one_name_are_told_apart(tmp_path: Path):
    """The second gets a number."""
    one, two = model(tmp_path / "1/pets.tflite"), model(tmp_path / "2/pets.tflite")
    assert ["pets", "pets-2"] == names(one, two)


def test_a_folder_without_a_model_is_told(tmp_path: Path):
    """The folder is named."""
    with pytest.raises(UnknownModelFormat, match="no model found"):
        names(tmp_path)


def test_a_path_that_is_not_there_is_told(tmp_path: Path):
    """The path is named."""
    with pytest.raises(UnknownModelFormat, match="there is no file or folder"):
        names(tmp_path / "nosuch")


def test_a_name_that_is_no_text_is_written_out(tmp_path: Path):
    """A file from an old disk: its name can be printed and sent."""
    try:
        path = model(tmp_path / "caf\udce9.bin")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such name")
    assert ["caf\\xe9"] == names(path)


def test_what_is_neither_file_nor_folder_is_left_to_the_reader(tmp_path: Path):
    """A pipe is no folder: it becomes a card, and reading it says what is wrong."""
    os.mkfifo(tmp_path / "pipe")
    assert ["pipe"] == names(tmp_path / "pipe")


def test_a_link_back_into_the_folder_adds_nothing(tmp_path: Path):
    """A link to the folder above does not show its models again."""
    model(tmp_path / "models/pets.tflite")
    (tmp_path / "models/up").symlink_to(tmp_path / "models")
    assert ["pets"] == names(tmp_path / "models")
