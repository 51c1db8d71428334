"""Corrected pictures as folders and a table."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tintype.errors import SettingsError
from tintype.record import store
from tintype.record.batch import KnownModels
from tintype.record.export import Exported, folder_names, labelled, write_export
from tintype.record.fake import classified, entry, predicted
from tintype.record.picture_place import PictureFolder, picture_name
from tintype.record.values import KeptPicture, Said
from tintype.types import Point


class Shelf:
    """A record with kept pictures."""

    def __init__(self, connection, folder: Path) -> None:
        self.connection = connection
        self.pictures = PictureFolder(folder / "pictures")
        self._models = KnownModels()
        self._at = 0

    def add(self, image: bytes, *, kept: bool = True, point: Point | None = None, **said) -> str:
        """A prediction of dog (cat second), judged; gives the picture's hash."""
        sha256 = image.hex().ljust(64, "0")
        self._at += 1000
        prediction = predicted(classified(("dog", 0.75), ("cat", 0.25), point=point), sha256=sha256)
        store.add_predictions(
            self.connection,
            [entry(prediction, at_ms=self._at)],
            model_id=self._models.ids(self.connection),
        )
        if said:
            store.put_feedback(
                self.connection, prediction.id, Said(**said), key="", at_ms=self._at + 1
            )
        if kept:
            name = picture_name(sha256, "jpeg")
            row = KeptPicture(sha256=sha256, at_ms=1, name=name, bytes=len(image))
            store.add_pictures(self.connection, [row])
            self.pictures.put(name, image)
        return sha256


@pytest.fixture
def shelf(connection, tmp_path: Path) -> Shelf:
    return Shelf(connection, tmp_path)


def export(shelf: Shelf, folder: Path, *, only_wrong: bool = False) -> tuple[Exported, list[dict]]:
    found = labelled(shelf.connection, model=None, only_wrong=only_wrong)
    heard: list[str] = []
    done = write_export(found, folder, place=shelf.pictures, told=heard.append)
    assert len(found) == len(heard)
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        return done, [*csv.DictReader(file)]


def test_a_folder_a_label_and_a_line_a_picture(shelf: Shelf, tmp_path: Path):
    """The bytes that were kept; what the model said stands beside what is right."""
    right, wrong = shelf.add(b"one", correct=True), shelf.add(b"two", label="cat")
    shelf.add(b"three", correct=False)
    shelf.add(b"four")
    done, rows = export(shelf, tmp_path / "out")
    assert Exported(pictures=2, missing=0) == done
    assert b"one" == (tmp_path / "out/dog" / f"{right}.jpg").read_bytes()
    assert b"two" == (tmp_path / "out/cat" / f"{wrong}.jpg").read_bytes()
    told = [
        (row["file"], row["label"], row["predicted"], row["score"], row["correct"]) for row in rows
    ]
    assert [
        (f"dog/{right}.jpg", "dog", "dog", "0.75", "true"),
        (f"cat/{wrong}.jpg", "cat", "dog", "0.75", "false"),
    ] == told
    assert "1970-01-01T00:00:01+00:00" == rows[0]["predicted_at"]


def test_only_what_was_wrong(shelf: Shelf, tmp_path: Path):
    """For teaching what it does not know."""
    shelf.add(b"one", correct=True)
    shelf.add(b"two", label="cat")
    _, rows = export(shelf, tmp_path / "out", only_wrong=True)
    assert ["cat"] == [row["label"] for row in rows]


def test_the_last_word_about_a_picture_counts(shelf: Shelf, tmp_path: Path):
    """The same picture sent twice is one; at another point it is another."""
    shelf.add(b"one", label="cat")
    shelf.add(b"one", label="bird")
    shelf.add(b"one", label="dog", point=Point(x=3, y=4.5))
    _, rows = export(shelf, tmp_path / "out")
    assert [("bird", ""), ("dog", "3.0")] == [(row["label"], row["point_x"]) for row in rows]
    assert rows[1]["file"].endswith("-3-4.5.jpg")


def test_pictures_that_are_not_kept_are_counted(shelf: Shelf, tmp_path: Path):
    """They are not in the table."""
    shelf.add(b"one", label="cat")
    shelf.add(b"two", kept=False, label="cat")
    shelf.pictures.delete(picture_name(shelf.add(b"three", label="cat"), "jpeg"))
    done, rows = export(shelf, tmp_path / "out")
    assert (Exported(pictures=1, missing=2), 1) == (done, len(rows))


def test_a_folder_that_is_not_empty_is_left_alone(shelf: Shelf, tmp_path: Path):
    """Nothing is mixed with what is there."""
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SettingsError, match="not empty"):
        export(shelf, tmp_path)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["cat", "rose gold", "犬"], ["cat", "rose gold", "犬"]),
        (["a/b", "a\\b", "../etc"], ["_._etc", "a_b", "a_b-2"]),
        (["Cat", "cat"], ["Cat", "cat-2"]),
        (["", " ", ".hidden", "CON", "nul.txt"], ["_", "_-2", "_hidden", "_CON", "_nul.txt"]),
        (["end. ", "x" * 999], ["end", "x" * 60]),
        (["tab\tnul\0", "\u202eback"], ["tab_nul_", "_back"]),
    ],
)
def test_a_folders_name_is_one_on_every_system(labels, names):
    """Nothing leads out of the folder, and no two labels share one."""
    assert names == [*folder_names(iter(labels)).values()]


def test_a_label_is_no_formula_in_a_spreadsheet(shelf: Shelf, tmp_path: Path):
    """A caller cannot choose labels, yet whoever made the model's file could."""
    sha256 = b"one".hex().ljust(64, "0")
    prediction = predicted(classified(("=cmd()", 0.5)), sha256=sha256)
    store.add_predictions(
        shelf.connection, [entry(prediction)], model_id=KnownModels().ids(shelf.connection)
    )
    store.put_feedback(shelf.connection, prediction.id, Said(correct=True), key="", at_ms=1)
    shelf.add(b"one")
    _, rows = export(shelf, tmp_path / "out")
    assert ["'=cmd()"] == [row["label"] for row in rows]
