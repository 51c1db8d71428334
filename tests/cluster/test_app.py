"""The application that is built, and what is refused before anything is started."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

import tintype
from tintype.errors import ModelFileDamaged, SettingsError
from tintype.models.library import find_cards
from tintype.settings import read_settings

with warnings.catch_warnings():  # of pydantic, raised by Ray's own classes as they are made
    warnings.filterwarnings("ignore", "Using extra keyword arguments on `Field`")
    from tintype.cluster.app import application, build, sound

COLOURS = Path(tintype.__file__).parent / "demo/models/colours/model.keras"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound model and one that is cut short."""
    whole = COLOURS.read_bytes()
    (tmp_path / "good.keras").write_bytes(whole)
    (tmp_path / "half.keras").write_bytes(whole[: len(whole) // 2])
    return tmp_path


def test_a_damaged_file_in_a_folder_gets_no_deployment(folder: Path):
    """Its replicas would never start, and the whole application with them."""
    assert ["good"] == [card.name for card in sound(find_cards((folder,)))]


def test_a_damaged_file_that_is_named_stops_the_start(folder: Path):
    """Who names a file wants it served."""
    with pytest.raises(ModelFileDamaged, match=r"half\.keras"):
        build({"models": [str(folder / "half.keras")]})


@pytest.mark.parametrize("args", [{}, {"models": []}, {"models": "/m"}, {"models": ["/m"], "x": 1}])
def test_args_of_a_config_that_make_no_sense_are_refused(args):
    """With what is expected, and where it comes from."""
    with pytest.raises(SettingsError, match="expected models") as raised:
        build(args)
    assert "--print-config" in raised.value.hint


def test_fronts_share_a_record_or_have_none():
    """A file of one machine would be a record each."""
    cards = find_cards((COLOURS,))
    several = {"cluster.fronts_max": 2}
    with pytest.raises(SettingsError, match="fronts_max") as raised:
        application(cards, read_settings(environment={}, flags=several))
    assert "postgresql" in raised.value.hint
    alone = read_settings(environment={}, flags={**several, "record.enabled": False})
    assert application(cards, alone)
