"""Version folders become one card: that of the version to serve."""

from __future__ import annotations

from pathlib import Path

import pytest

from tintype.errors import CardError, ModelFileError
from tintype.models.card import Card
from tintype.models.fake import put_fake_model
from tintype.models.library import find_cards


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Three versions, none with a card."""
    for number in ("1", "2", "10"):
        put_fake_model(tmp_path / f"pets/{number}/m.tflite")
    return tmp_path / "pets"


def only(folder: Path) -> Card:
    (card,) = find_cards((folder,))
    return card


def test_the_highest_number_is_served(pets):
    """Numbers, not letters: 10 is above 2. The others are there to fall back on."""
    card = only(pets)
    assert ("pets", "10", pets / "10/m.tflite") == (card.name, card.version, card.file)
    assert ["2", "1"] == [each.version for each in card.earlier]
    assert card.canary is None


def test_the_card_says_which_is_which(pets):
    """Then there is nothing to fall back on: what is named is meant. Numbers need no quotes."""
    (pets / "model.toml").write_text(
        '[versions]\nstable = 1\ncanary = "10"\nshare = 0.2\nshadow = true\n'
    )
    card = only(pets)
    assert ("1", "10", ()) == (card.version, card.canary.version, card.earlier)
    assert (0.2, True) == (card.versions.share, card.versions.shadow)


def test_the_canary_is_not_taken_for_the_stable_version(pets):
    """The highest number but the canary's."""
    (pets / "model.toml").write_text('[versions]\ncanary = "10"\n')
    assert ("2", "10") == (only(pets).version, only(pets).canary.version)


def test_a_version_s_own_card_is_laid_over_the_model_s(pets):
    """Key by key; files are looked for in the version's folder first."""
    (pets / "model.toml").write_text('title = "Pets"\ntop = 3\nlabels = "labels.txt"\n')
    (pets / "labels.txt").write_text("cat\ndog\n")
    (pets / "10/model.toml").write_text("top = 1\n")
    (pets / "10/labels.txt").write_text("dog\ncat\n")
    card = only(pets)
    assert ("Pets", 1, pets / "10/labels.txt") == (card.title, card.top, card.labels)
    assert (3, pets / "labels.txt") == (card.earlier[0].top, card.earlier[0].labels)


def test_a_golden_set_belongs_to_the_model(pets):
    """Beside its card; a share of one is wanted if none is said."""
    (pets / "model.toml").write_text('[golden]\npictures = "golden"\n')
    (pets / "golden").mkdir()
    assert (pets / "golden", 1.0) == (only(pets).golden.pictures, only(pets).golden.accuracy)


def test_a_saved_model_folder_is_a_version(tmp_path):
    """The layout that TensorFlow Serving has."""
    (tmp_path / "pets/1").mkdir(parents=True)
    (tmp_path / "pets/1/saved_model.pb").write_bytes(b"")
    card = only(tmp_path)
    assert ("pets", "1", tmp_path / "pets/1") == (card.name, card.version, card.file)


def test_a_version_without_a_model_is_no_version_yet(pets):
    """A folder that was just made."""
    (pets / "11").mkdir()
    assert "10" == only(pets).version


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[versions]\nstable = "7"\n', "no version '7'"),
        ('[versions]\nstable = "1"\ncanary = "1"\n', "the same version"),
        ("[versions]\nshare = 0.5\n", "need 'versions.canary'"),
        ("[versions]\nshare = 2\n", "share"),
        ('[versions]\nstabel = "1"\n', "did you mean 'stable'"),
        ("[golden]\naccuracy = 0.5\n", "golden.pictures"),
    ],
)
def test_what_cannot_be_is_refused(pets, text, words):
    """In words that name the key."""
    (pets / "model.toml").write_text(text)
    with pytest.raises(CardError, match=words):
        find_cards((pets,))


def test_a_version_s_card_says_nothing_of_versions(pets):
    """That is the model's to say."""
    (pets / "10/model.toml").write_text('[versions]\nstable = "1"\n')
    with pytest.raises(CardError, match="does not belong here"):
        find_cards((pets,))


def test_several_files_need_a_word(pets):
    """Which of them is the model?"""
    put_fake_model(pets / "10/other.tflite")
    with pytest.raises(CardError, match=r"m\.tflite, other\.tflite"):
        find_cards((pets,))
    (pets / "10/model.toml").write_text('file = "other.tflite"')
    assert pets / "10/other.tflite" == only(pets).file


def test_what_is_broken_is_told_and_the_rest_found(pets):
    """With the folder that it is about."""
    put_fake_model(pets.parent / "things.tflite")
    (pets / "model.toml").write_text("nonsense")
    told: dict[Path, ModelFileError] = {}
    cards = find_cards((pets.parent,), broken=told.__setitem__)
    assert (["things"], [pets]) == ([card.name for card in cards], [*told])
