"""From folders on disk to labelled pictures, and what is said when that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tintype.errors import SettingsError
from tintype.evaluation.folder import Skipped, match_folders, read_labelled_folder

LABELS = ("cat", "dog", "Golden Retriever")


def make(folder: Path, *files: str) -> Path:
    """Empty files, in folders."""
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("folder", "label", "how"),
    [
        ("dog", "dog", ""),
        ("Dog", "dog", "but for case and spaces"),
        ("golden_retriever", "Golden Retriever", "but for case and spaces"),
        ("Golden-Retriever ", "Golden Retriever", "but for case and spaces"),
        ("01 dog", "dog", "but for the number in front"),
        ("1_golden_retriever", "Golden Retriever", "but for the number in front"),
        ("dogs", "dog", "as its plural or singular"),
        ("Golden Retrievers", "Golden Retriever", "as its plural or singular"),
    ],
)
def test_a_folder_is_a_label_in_more_than_one_spelling(folder: str, label: str, how: str):
    """And why is said."""
    (match,) = match_folders([folder], labels=LABELS, named={}).values()
    assert (folder, label, how) == (match.folder, match.label, how)


@pytest.mark.parametrize(
    ("folder", "label"),
    [("boxes", "box"), ("puppies", "puppy"), ("glass", "glasses"), ("peach", "peaches")],
)
def test_plurals_are_those_of_english(folder: str, label: str):
    """Singular and plural may stand on either side."""
    assert label == match_folders([folder], labels=[label, "other"], named={})[folder].label


def test_the_nearest_spelling_wins():
    """A label that is equal, before one that is nearly so."""
    found = match_folders(["cats", "cat"], labels=["cat", "cats"], named={})
    assert {"cats": "cats", "cat": "cat"} == {name: each.label for name, each in found.items()}


def test_a_name_that_may_be_two_labels_is_refused():
    """With the flag that says which."""
    with pytest.raises(SettingsError, match="may be any of the labels Cat, CAT") as caught:
        match_folders(["cat"], labels=["Cat", "CAT"], named={})
    assert "--folder 'cat=Cat'" in (caught.value.hint or "")


def test_a_person_may_say_which_label_a_folder_has():
    """Whatever it is called."""
    found = match_folders(["n02123045"], labels=LABELS, named={"n02123045": "cat"})
    assert ("cat", "as you said") == (found["n02123045"].label, found["n02123045"].how)


@pytest.mark.parametrize(
    ("named", "words"),
    [({"dgo": "dog"}, "'dgo' is no folder"), ({"dog": "dgo"}, "'dgo' is no label of the model")],
)
def test_what_a_person_names_must_be_there(named: dict[str, str], words: str):
    """The nearest known name is told."""
    with pytest.raises(SettingsError, match=words) as caught:
        match_folders(["dog"], labels=LABELS, named=named)
    assert "did you mean 'dog'?" == caught.value.hint


def test_every_file_below_a_label_is_a_picture(tmp_path: Path):
    """Deeper ones too, in order; hidden files and what systems leave behind are none."""
    make(tmp_path, "dog/b.jpg", "dog/a.jpg", "dog/more/c.jpg", "cat/a.jpg")
    make(tmp_path, "dog/.DS_Store", "dog/Thumbs.db", ".git/x", "dog/.hidden/y.jpg")
    read = read_labelled_folder(tmp_path, labels=LABELS, named={})
    assert [("cat", "cat/a.jpg"), ("dog", "dog/a.jpg"), ("dog", "dog/b.jpg")] == [
        (each.label, str(each.file.relative_to(tmp_path))) for each in read.pictures[:3]
    ]
    assert ("dog", tmp_path / "dog/more/c.jpg") == (read.pictures[3].label, read.pictures[3].file)
    assert (4, ()) == (len(read.pictures), read.skipped)


def test_an_unknown_folder_is_refused_in_words(tmp_path: Path):
    """The labels are told, and both ways on."""
    make(tmp_path, "dog/a.jpg", "catt/b.jpg")
    with pytest.raises(SettingsError, match="'catt'; the labels are 'cat', 'dog'") as caught:
        read_labelled_folder(tmp_path, labels=LABELS, named={})
    assert "--folder 'catt=cat'" in (caught.value.hint or "")
    assert "--skip-unknown" in (caught.value.hint or "")


def test_unknown_folders_may_be_skipped_and_are_counted(tmp_path: Path):
    """Loose files are counted as well."""
    make(tmp_path, "dog/a.jpg", "birds/b.jpg", "birds/c.jpg", "readme.txt")
    read = read_labelled_folder(tmp_path, labels=LABELS, named={}, skip_unknown=True)
    assert (Skipped(folder="birds", files=2), Skipped(folder="", files=1)) == read.skipped
    assert 1 == len(read.pictures)


def test_no_known_folder_at_all_is_refused(tmp_path: Path):
    """Skipping them all would leave nothing."""
    make(tmp_path, "birds/b.jpg")
    with pytest.raises(SettingsError, match="birds"):
        read_labelled_folder(tmp_path, labels=LABELS, named={}, skip_unknown=True)


@pytest.mark.parametrize(
    ("files", "words"),
    [([], "has no folders"), (["a.jpg"], "has no folders"), (["dog/.x"], "hold no file")],
)
def test_a_folder_with_nothing_to_judge_is_refused(tmp_path: Path, files: list[str], words: str):
    """And says what is expected."""
    with pytest.raises(SettingsError, match=words):
        read_labelled_folder(make(tmp_path, *files), labels=LABELS, named={})


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path):
    """As is a file."""
    with pytest.raises(SettingsError, match="cannot read the folder"):
        read_labelled_folder(tmp_path / "none", labels=LABELS, named={})
